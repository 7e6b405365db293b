package bench

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"

	"sphinxmix.example/sphinx"
)

var (
	destination = []byte("destination.example")
	client      = []byte("client")
)

// unseen is a Replay that calls every tag new and remembers none, so that one packet can be opened any number of times
// and what is measured is the format alone. A node's replay set comes on top.
type unseen struct{}

func (unseen) Fresh(_ []sphinx.Tag, fresh []bool) error {
	for i := range fresh {
		fresh[i] = true
	}
	return nil
}

// network is a path of as many hops as its parameters allow, with their keys, and a message that fills the payload.
type network struct {
	sphinx.Params
	path    []sphinx.Hop
	hops    []*sphinx.Unwrapper
	message []byte
}

func newNetwork(hops, payloadSize int) (*network, error) {
	n := &network{Params: sphinx.Params{MaxHops: hops, PayloadSize: payloadSize}}
	for i := range hops {
		key, err := sphinx.GenerateKey(nil)
		if err != nil {
			return nil, err
		}
		hop, err := sphinx.NewUnwrapper(n.Params, key, unseen{})
		if err != nil {
			return nil, err
		}
		n.path = append(n.path, sphinx.Hop{Address: sphinx.Address{0xff, byte(i)}, Key: key.Public()})
		n.hops = append(n.hops, hop)
	}
	n.message = make([]byte, n.MaxMessage(len(destination)))
	rand.Read(n.message)
	return n, nil
}

// wrap appends a new packet to dst.
func (n *network) wrap(dst []byte) ([]byte, error) {
	return n.Wrap(dst, nil, n.path, destination, n.message)
}

// through sends packet, changed in place, through the hops from the given one to the last, and returns what that one
// learns.
func (n *network) through(from int, packet []byte) (sphinx.Layer, error) {
	for i := from; ; i++ {
		layer, err := n.hops[i].Unwrap(packet)
		if err != nil {
			return layer, fmt.Errorf("hop %d: %w", i, err)
		}
		if i == len(n.hops)-1 {
			return layer, nil
		}
		if layer.Route != sphinx.Relay || layer.Next != n.path[i+1].Address {
			return layer, fmt.Errorf("hop %d sends the packet to %v by route %v", i, layer.Next, layer.Route)
		}
	}
}

// arrives returns an error unless packet, on its way at the given hop, carries the message to its destination.
func (n *network) arrives(from int, packet []byte) error {
	layer, err := n.through(from, packet)
	if err != nil {
		return err
	}
	if layer.Route != sphinx.Exit || !bytes.Equal(layer.Destination, destination) || !bytes.Equal(layer.Message, n.message) {
		return errors.New("the message that arrives is not the one that was sent")
	}
	return nil
}

// reply returns the payload of a reply that came back through surb, as the client gets it.
func (n *network) reply(surb *sphinx.SURB, message []byte) ([]byte, error) {
	first, packet, err := surb.Use(nil, message)
	if err != nil {
		return nil, err
	}
	if first != n.path[0].Address {
		return nil, fmt.Errorf("the SURB sends its reply to %v first", first)
	}
	layer, err := n.through(0, packet)
	if err != nil {
		return nil, err
	}
	if layer.Route != sphinx.Reply || !bytes.Equal(layer.Client, client) {
		return nil, errors.New("the reply does not reach its client")
	}
	return layer.Payload, nil
}

// opens returns an error unless key takes message out of payload.
func opens(key *sphinx.ReplyKey, payload, message []byte) error {
	got, err := key.Open(payload)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, message) {
		return errors.New("the reply that arrives is not the one that was sent")
	}
	return nil
}
