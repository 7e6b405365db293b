package bench

import (
	"fmt"

	"sphinxmix.example/sphinx"
)

// unwrap is one hop that relays one packet: two X25519, the key schedule, the MAC, β and δ.
func unwrap(r, payload int) maker {
	s := Subject{Kind: "Unwrap", Hops: r, Payload: payload}
	return maker{s, func() (*Operation, error) {
		n, err := newNetwork(r, payload)
		if err != nil {
			return nil, err
		}
		packet, err := n.wrap(nil)
		if err != nil {
			return nil, err
		}
		work := copies{original: packet}
		return &Operation{
			Subject: s,
			bytes:   len(packet),
			prepare: work.restore,
			call: func() error {
				layer, err := n.hops[0].Unwrap(work.take())
				return relayed(layer, err)
			},
			verify: func() error { return n.arrives(1, work.last) },
		}, nil
	}}
}

// unwrapBatch is unwrap for n different packets in one call.
func unwrapBatch(r, payload, size int) maker {
	s := Subject{Kind: "UnwrapBatch", Hops: r, Payload: payload, Items: size}
	return maker{s, func() (*Operation, error) {
		n, err := newNetwork(r, payload)
		if err != nil {
			return nil, err
		}
		var all []byte
		for range size {
			if all, err = n.wrap(all); err != nil {
				return nil, err
			}
		}
		work := copies{original: all}
		packets, layers, errs := make([][]byte, size), make([]sphinx.Layer, size), make([]error, size)
		return &Operation{
			Subject: s,
			bytes:   len(all),
			prepare: work.restore,
			call: func() error {
				batch := work.take()
				for i := range packets {
					packets[i] = batch[i*n.PacketSize():][:n.PacketSize()]
				}
				n.hops[0].UnwrapBatch(packets, layers, errs)
				for i, err := range errs {
					if err := relayed(layers[i], err); err != nil {
						return fmt.Errorf("packet %d: %w", i, err)
					}
				}
				return nil
			},
			verify: func() error {
				for i, packet := range packets {
					if err := n.arrives(1, packet); err != nil {
						return fmt.Errorf("packet %d: %w", i, err)
					}
				}
				return nil
			},
		}, nil
	}}
}

func relayed(layer sphinx.Layer, err error) error {
	if err == nil && layer.Route != sphinx.Relay {
		err = fmt.Errorf("a hop that relays takes route %v", layer.Route)
	}
	return err
}
