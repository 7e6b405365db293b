package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/katzenpost/core/crypto/ecdh"
	"github.com/katzenpost/core/sphinx"
	"github.com/katzenpost/core/sphinx/commands"
)

// katzenpost is a path of hops of katzenpost, with their keys, and a message.
type katzenpost struct {
	keys    []*ecdh.PrivateKey
	path    []*sphinx.PathHop
	message []byte
}

const katzenpostNote = "katzenpost's Sphinx of 2021, before it took other groups and KEMs: X25519 by x/crypto, " +
	"HMAC-SHA-256, AES-128-CTR, AEZ over a payload of 1024 bytes (1008 of message); per hop 82 bytes of commands, of " +
	"which a delay, the next hop's id of 32 and a MAC are used; "

func newKatzenpost() (*peer, error) {
	k := &katzenpost{message: make([]byte, payloadSize-sphinx.PayloadTagLength)}
	rand.Read(k.message)
	for i := range hops {
		key, err := ecdh.NewKeypair(rand.Reader)
		if err != nil {
			return nil, err
		}
		hop := &sphinx.PathHop{PublicKey: key.PublicKey()}
		rand.Read(hop.ID[:])
		if i < hops-1 {
			hop.Commands = []commands.RoutingCommand{&commands.NodeDelay{Delay: 1000 + uint32(i)}}
		} else {
			recipient := &commands.Recipient{}
			rand.Read(recipient.ID[:])
			hop.Commands = []commands.RoutingCommand{recipient}
		}
		k.keys = append(k.keys, key)
		k.path = append(k.path, hop)
	}
	packet, err := k.wrap()
	if err != nil {
		return nil, err
	}
	work := make([]byte, len(packet))
	made := packet
	return &peer{
		name:       "katzenpost",
		module:     "github.com/katzenpost/core",
		packetSize: len(packet),
		operations: []operation{
			{
				name: "unwrap",
				note: katzenpostNote + "in place, the packet restored each time; the replay tag is computed and not " +
					"looked up",
				run: func() error {
					copy(work, packet)
					return k.relay(0, work)
				},
				arrived: func() error { return k.arrives(1, bytes.Clone(work)) },
			},
			{
				name: "wrap",
				note: katzenpostNote + "with crypto/rand; 20 multiplications for 5 hops, 1 of them of the base point",
				run: func() (err error) {
					made, err = k.wrap()
					return err
				},
				arrived: func() error { return k.arrives(0, bytes.Clone(made)) },
			},
			katzenpostGroup(k.keys[0], k.keys[1]),
		},
	}, nil
}

func (k *katzenpost) wrap() ([]byte, error) { return sphinx.NewPacket(rand.Reader, k.path, k.message) }

// relay opens packet at a hop before the last, in place, and returns an error unless it has to go on to the next.
func (k *katzenpost) relay(hop int, packet []byte) error {
	_, _, instructions, err := sphinx.Unwrap(k.keys[hop], packet)
	if err != nil {
		return err
	}
	for _, instruction := range instructions {
		if next, ok := instruction.(*commands.NextNodeHop); ok && next.ID == k.path[hop+1].ID {
			return nil
		}
	}
	return fmt.Errorf("hop %d does not name the next hop", hop)
}

// arrives sends packet, changed in place, through the hops from the given one to the last, and returns an error unless
// that one gets the message.
func (k *katzenpost) arrives(from int, packet []byte) error {
	for hop := from; hop < hops-1; hop++ {
		if err := k.relay(hop, packet); err != nil {
			return err
		}
	}
	message, _, _, err := sphinx.Unwrap(k.keys[hops-1], packet)
	if err == nil && !bytes.Equal(message, k.message) {
		err = errors.New("another message arrives than was sent")
	}
	return err
}

// katzenpostGroup is one multiplication in katzenpost's group.
func katzenpostGroup(one, other *ecdh.PrivateKey) operation {
	var want, got [ecdh.GroupElementLength]byte
	other.Exp(&want, one.PublicKey())
	return operation{
		name: "x25519",
		note: "katzenpost's group operation alone, which an unwrap does twice: X25519 of any point, by x/crypto",
		run: func() error {
			one.Exp(&got, other.PublicKey())
			if got != want {
				return errors.New("a wrong shared secret")
			}
			return nil
		},
	}
}
