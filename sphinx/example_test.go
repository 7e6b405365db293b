package sphinx_test

import (
	"fmt"
	"log"
	"slices"

	"sphinxmix.example/sphinx"
)

var params = sphinx.Params{MaxHops: 5, PayloadSize: 1024}

// network makes three hops: a path through them, and what opens packets at each.
func network() (path []sphinx.Hop, hops map[sphinx.Address]*sphinx.Unwrapper) {
	hops = make(map[sphinx.Address]*sphinx.Unwrapper)
	for i := range byte(3) {
		key, err := sphinx.GenerateKey(nil)
		if err != nil {
			log.Fatal(err)
		}
		hop := sphinx.Hop{Address: sphinx.Address{0xff, i}, Key: key.Public()}
		path = append(path, hop)
		hops[hop.Address], err = sphinx.NewUnwrapper(params, key, make(sphinx.TagSet))
		if err != nil {
			log.Fatal(err)
		}
	}
	return path, hops
}

func ExampleParams_Wrap() {
	path, hops := network()
	packet, err := params.Wrap(nil, nil, path, []byte("bob"), []byte("hello"))
	if err != nil {
		log.Fatal(err)
	}
	for next := path[0].Address; ; {
		layer, err := hops[next].Unwrap(packet)
		if err != nil {
			log.Fatal(err) // a mix drops the packet and says nothing
		}
		if layer.Route == sphinx.Exit {
			fmt.Printf("%s for %s, in a packet of %d bytes\n", layer.Message, layer.Destination, len(packet))
			return
		}
		next = layer.Next
	}
	// Output: hello for bob, in a packet of 1248 bytes
}

func ExampleUnwrapper_UnwrapBatch() {
	path, hops := network()
	var packets [][]byte
	for _, message := range []string{"one", "two", "three"} {
		packet, err := params.Wrap(nil, nil, path, []byte("bob"), []byte(message))
		if err != nil {
			log.Fatal(err)
		}
		packets = append(packets, packet)
	}
	packets = append(packets, slices.Clone(packets[0])) // somebody sends one again
	packets[1][100] ^= 1                                // and changes another

	layers, errs := make([]sphinx.Layer, len(packets)), make([]error, len(packets))
	hops[path[0].Address].UnwrapBatch(packets, layers, errs)
	for i, layer := range layers {
		fmt.Println(layer.Route == sphinx.Relay, errs[i])
	}
	// Output:
	// true <nil>
	// false sphinx: header fails authentication
	// true <nil>
	// false sphinx: packet was seen before
}

func ExampleParams_NewSURB() {
	path, hops := network()
	surb, key, err := params.NewSURB(nil, path, []byte("alice"), sphinx.MessageID{42})
	if err != nil {
		log.Fatal(err)
	}

	// Alice sends the SURB along with a message. Whom it leads to, Bob cannot tell.
	next, packet, err := surb.Use(nil, []byte("hello yourself"))
	if err != nil {
		log.Fatal(err)
	}

	for {
		layer, err := hops[next].Unwrap(packet)
		if err != nil {
			log.Fatal(err)
		}
		if layer.Route == sphinx.Reply {
			message, err := key.Open(layer.Payload) // at Alice, who finds the key by layer.MessageID
			if err != nil {
				log.Fatal(err)
			}
			fmt.Printf("%s, %d: %s\n", layer.Client, layer.MessageID[0], message)
			return
		}
		next = layer.Next
	}
	// Output: alice, 42: hello yourself
}

func ExampleParams_WrapBatch() {
	path, hops := network()

	// Alice sends Bob two messages and two SURBs, all along paths of their own.
	surbs, keys, err := params.NewSURBs(nil, []sphinx.ReturnAddress{
		{Path: path, ClientID: []byte("alice"), MessageID: sphinx.MessageID{0}},
		{Path: path[1:], ClientID: []byte("alice"), MessageID: sphinx.MessageID{1}},
	})
	if err != nil {
		log.Fatal(err)
	}
	var letters []sphinx.Letter
	for i, surb := range surbs {
		message, err := surb.AppendBinary(nil)
		if err != nil {
			log.Fatal(err)
		}
		letters = append(letters, sphinx.Letter{Path: path[:i+2], Destination: []byte("bob"), Message: message})
	}
	packets, err := params.WrapBatch(nil, nil, letters)
	if err != nil {
		log.Fatal(err)
	}

	// Each comes to Bob, who replies.
	for i := range letters {
		packet := packets[i*params.PacketSize():][:params.PacketSize()]
		next := letters[i].Path[0].Address
		for {
			layer, err := hops[next].Unwrap(packet)
			if err != nil {
				log.Fatal(err)
			}
			if layer.Route == sphinx.Relay {
				next = layer.Next
				continue
			}
			if layer.Route == sphinx.Reply {
				message, err := keys[layer.MessageID[0]].Open(layer.Payload)
				if err != nil {
					log.Fatal(err)
				}
				fmt.Printf("%s, %d: %s\n", layer.Client, layer.MessageID[0], message)
				break
			}
			surb, err := params.ParseSURB(layer.Message)
			if err != nil {
				log.Fatal(err)
			}
			if next, packet, err = surb.Use(nil, []byte("thank you")); err != nil {
				log.Fatal(err)
			}
		}
	}
	// Output:
	// alice, 0: thank you
	// alice, 1: thank you
}
