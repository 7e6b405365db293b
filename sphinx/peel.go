package sphinx

import (
	"slices"

	"sphinxmix.example/lioness/symmetric"
	"sphinxmix.example/sphinx/internal/wire"
	"sphinxmix.example/sphinx/internal/x25519"
)

// The stages of UnwrapBatch that open the packets that were let in.

// Stage 6: what β says is to be done with the packet. What a sender wrote ends with β; behind it is bare keystream.
func (w *workspace) route(packets [][]byte, layers []Layer, errs []error) {
	all := w.jobs.streams[:len(w.live)]
	for k, i := range w.live {
		header := w.header(i)
		clear(header[copy(header, w.params.beta(packets[i])):])
		all[k] = symmetric.Stream{Dst: header, Src: header, Key: w.hops[i].keys.Stream()}
	}
	symmetric.XORKeyStreams(all)
	clear(all)
	for _, i := range w.live {
		route, value, rest, ok := wire.Decode(w.header(i))
		if !ok || route == wire.Reply && len(rest) < MessageIDSize+hopSize {
			layers[i], errs[i] = Layer{}, ErrRouting
			continue
		}
		layers[i].Route = Route(route)
		w.hops[i].value, w.hops[i].rest = value, rest
	}
	w.sift(errs)
}

// header is the memory for β ‖ zeros of packet i.
func (w *workspace) header(i int) []byte {
	size := w.params.streamSize()
	return w.jobs.headers[i*size : (i+1)*size]
}

// Stage 7: δ.
func (w *workspace) decrypt(packets [][]byte) {
	keys, payloads := w.jobs.keys[:len(w.live)], w.jobs.payloads[:len(w.live)]
	for k, i := range w.live {
		keys[k], payloads[k] = w.hops[i].keys.Payload(), packets[i][w.params.HeaderSize():]
	}
	if err := w.cipher.Decrypt(keys, payloads); err != nil {
		panic("sphinx: unreachable: every payload is a block")
	}
	clear(keys)
	clear(payloads)
}

// Stage 8: for a packet that goes on, its header as the next hop is to see it.
func (w *workspace) relay(packets [][]byte, layers []Layer, errs []error) {
	all := w.jobs.multiplications[:0]
	for _, i := range w.live {
		if layers[i].Route == Relay {
			alpha := (*x25519.Key)(w.params.alpha(packets[i]))
			all = append(all, x25519.Multiplication{Result: alpha, Scalar: w.hops[i].keys.Blinding(), Point: alpha})
		}
	}
	w.multiplier.Multiply(all)
	left := all
	for _, i := range w.live {
		if layers[i].Route != Relay {
			continue
		}
		ok := left[0].OK
		left = left[1:]
		if !ok {
			layers[i], errs[i] = Layer{}, ErrGroup // out of reach: s was not zero
			continue
		}
		layers[i].Next = Address(w.hops[i].value)
		copy(w.params.gamma(packets[i]), w.hops[i].rest[:gammaSize])
		copy(w.params.beta(packets[i]), w.hops[i].rest[gammaSize:])
	}
	clear(all)
	w.sift(errs)
}

// Stage 9: what a packet that ends here holds.
func (w *workspace) deliver(packets [][]byte, layers []Layer, errs []error) {
	for _, i := range w.live {
		layer, packet, h := &layers[i], packets[i], &w.hops[i]
		delta := packet[w.params.HeaderSize():]
		switch layer.Route {
		case Exit:
			var ok bool
			if layer.Destination, layer.Message, ok = openForward(delta); !ok {
				*layer, errs[i] = Layer{}, ErrPayload
			}
		case Reply:
			layer.Client = slices.Clip(packet[alphaSize : alphaSize+copy(w.params.beta(packet), h.value)])
			layer.MessageID = MessageID(h.rest[:MessageIDSize])
			layer.Payload = delta
		}
	}
}
