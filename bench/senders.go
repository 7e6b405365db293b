package bench

import (
	"bytes"
	"errors"
	"fmt"

	"sphinxmix.example/sphinx"
)

// wrap is a sender that makes one packet for a path of r hops, with crypto/rand, into memory that it has.
func wrap(r, payload int) maker {
	s := Subject{Kind: "Wrap", Hops: r, Payload: payload}
	return maker{s, func() (*Operation, error) {
		n, err := newNetwork(r, payload)
		if err != nil {
			return nil, err
		}
		packet := make([]byte, 0, n.PacketSize())
		return &Operation{
			Subject: s,
			bytes:   n.PacketSize(),
			call: func() (err error) {
				packet, err = n.wrap(packet[:0])
				return err
			},
			verify: func() error { return n.arrives(0, bytes.Clone(packet)) },
		}, nil
	}}
}

// wrapBatch is wrap for so many packets in one call.
func wrapBatch(r, payload, size int) maker {
	s := Subject{Kind: "WrapBatch", Hops: r, Payload: payload, Items: size}
	return maker{s, func() (*Operation, error) {
		n, err := newNetwork(r, payload)
		if err != nil {
			return nil, err
		}
		letters := make([]sphinx.Letter, size)
		for i := range letters {
			letters[i] = sphinx.Letter{Path: n.path, Destination: destination, Message: n.message}
		}
		packets := make([]byte, 0, size*n.PacketSize())
		return &Operation{
			Subject: s,
			bytes:   size * n.PacketSize(),
			call: func() (err error) {
				packets, err = n.WrapBatch(packets[:0], nil, letters)
				return err
			},
			verify: func() error {
				for i := range letters {
					if err := n.arrives(0, bytes.Clone(packets[i*n.PacketSize():][:n.PacketSize()])); err != nil {
						return fmt.Errorf("packet %d: %w", i, err)
					}
				}
				return nil
			},
		}, nil
	}}
}

// makeSURB is a client that makes one SURB for a path of r hops, with crypto/rand, or count of them in one call. The
// payload has no part in it.
func makeSURB(r, count int) maker {
	s := Subject{Kind: "SURB", Hops: r, Items: count}
	return maker{s, func() (*Operation, error) {
		n, err := newNetwork(r, mainPayload)
		if err != nil {
			return nil, err
		}
		addresses := make([]sphinx.ReturnAddress, s.items())
		for i := range addresses {
			addresses[i] = sphinx.ReturnAddress{Path: n.path, ClientID: client, MessageID: sphinx.MessageID{byte(i)}}
		}
		var surbs []*sphinx.SURB
		var keys []*sphinx.ReplyKey
		return &Operation{
			Subject: s,
			bytes:   s.items() * n.SURBSize(),
			call: func() (err error) {
				surbs, keys, err = n.NewSURBs(nil, addresses)
				return err
			},
			verify: func() error {
				message := []byte("a reply")
				for i, surb := range surbs {
					payload, err := n.reply(surb, message)
					if err == nil {
						err = opens(keys[i], payload, message)
					}
					if err != nil {
						return fmt.Errorf("SURB %d: %w", i, err)
					}
				}
				return nil
			},
		}, nil
	}}
}

// openReply is a client that opens the reply that came along a path of r hops. A success spends its key, and a new one
// takes far longer than what is to be measured. So these replies are spoilt ones: they cost the same work up to the
// last comparison, and leave the key as it was. One is opened in earnest, outside of the time.
func openReply(r, payload int) maker {
	s := Subject{Kind: "ReplyOpen", Hops: r, Payload: payload}
	return maker{s, func() (*Operation, error) {
		n, err := newNetwork(r, payload)
		if err != nil {
			return nil, err
		}
		message := n.message[:min(len(n.message), n.MaxReply())]
		replied := func() (payload []byte, key *sphinx.ReplyKey, err error) {
			surb, key, err := n.NewSURB(nil, n.path, client, sphinx.MessageID{1})
			if err == nil {
				payload, err = n.reply(surb, message)
			}
			return payload, key, err
		}
		spoilt, key, err := replied()
		if err != nil {
			return nil, err
		}
		spoilt[0] ^= 1
		return &Operation{
			Subject: s,
			bytes:   payload,
			call: func() error { // again and again over what it left: noise for noise
				if _, err := key.Open(spoilt); !errors.Is(err, sphinx.ErrPayload) {
					return fmt.Errorf("a spoilt reply is not refused as such: %v", err)
				}
				return nil
			},
			verify: func() error {
				earnest, key, err := replied()
				if err != nil {
					return err
				}
				return opens(key, earnest, message)
			},
		}, nil
	}}
}
