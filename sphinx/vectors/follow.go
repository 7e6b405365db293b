package vectors

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"

	"sphinxmix.example/sphinx"
	"sphinxmix.example/testvectors"
)

// follow opens packet at one node after the other and compares every step with hops. It returns the filler φ of the
// header, the LIONESS key of each hop, and what the last one found.
func (t *trip) follow(packet []byte, hops []testvectors.Hop) (filler []byte, keys [][]byte, last sphinx.Layer, err error) {
	if len(hops) != len(t.path) {
		return nil, nil, last, fmt.Errorf("hops: %d, with %d nodes", len(hops), len(t.path))
	}
	for i, want := range hops {
		at := fmt.Sprintf("hops[%d]", i)
		if want.Hop != i {
			return nil, nil, last, fmt.Errorf("%s.hop: %d", at, want.Hop)
		}
		steps := open(t.params, t.path[i].key, split(t.params, packet))
		if err := t.checkSteps(at, &steps, want, i); err != nil {
			return nil, nil, last, err
		}
		filler = growFiller(filler, steps, i, len(hops))
		keys = append(keys, steps.keys.Payload()[:])

		packet, last, err = t.unwrap(i, packet)
		if err != nil {
			return nil, nil, last, fmt.Errorf("%s: %w", at, err)
		}
		if err := t.checkLayer(at, want, packet, last, i); err != nil {
			return nil, nil, last, err
		}
	}
	return filler, keys, last, nil
}

// growFiller adds hop i's part to φ (§3.2); the last hop has none.
func growFiller(filler []byte, steps opened, i, n int) []byte {
	if i == n-1 {
		return append([]byte{}, filler...)
	}
	grown := append(filler, make([]byte, 2*kappa)...)
	stream := keystream(steps.keys.Stream(), len(steps.header))
	subtle.XORBytes(grown, grown, stream[len(stream)-len(grown):])
	return grown
}

// unwrap opens packet, of which it returns a changed copy, at node i. The same packet again must be a replay.
func (t *trip) unwrap(i int, packet []byte) ([]byte, sphinx.Layer, error) {
	unwrapper, err := sphinx.NewUnwrapper(t.params, t.path[i].key, make(sphinx.TagSet))
	if err != nil {
		return nil, sphinx.Layer{}, err
	}
	changed := bytes.Clone(packet)
	layer, err := unwrapper.Unwrap(changed)
	if err != nil {
		return nil, layer, err
	}
	if _, err := unwrapper.Unwrap(bytes.Clone(packet)); !errors.Is(err, sphinx.ErrReplay) {
		return nil, layer, fmt.Errorf("opens a second time: %v", err)
	}
	return changed, layer, nil
}

// checkSteps compares what only the owner of the node's key can compute.
func (t *trip) checkSteps(at string, got *opened, want testvectors.Hop, i int) error {
	address := t.path[i].hop.Address
	if err := first(
		same(at+".node_id", address[:], want.NodeID),
		same(at+".s", got.s[:], want.S),
		same(at+".tau", got.keys.Tag()[:], want.Tau),
		same(at+".blinding_factor", got.keys.Blinding()[:], want.BlindingFactor),
	); err != nil || !t.own {
		return err
	}
	if err := first(
		same(at+".prk", got.prk[:], want.PRK),
		same(at+".rho_key", got.keys.Stream()[:], want.Rho),
		same(at+".mu_key", got.mu, want.Mu),
		same(at+".pi_key", got.keys.Payload()[:], want.Pi),
	); err != nil || i < len(t.path)-1 {
		return err
	}
	return same(at+".header_plain", got.header, want.Plain)
}

// checkLayer compares what Unwrap has found.
func (t *trip) checkLayer(at string, want testvectors.Hop, packet []byte, got sphinx.Layer, i int) error {
	if err := same(at+".tau", got.Tag[:], want.Tau); err != nil {
		return err
	}
	result := map[sphinx.Route]string{
		sphinx.Relay: testvectors.ResultNextHop,
		sphinx.Exit:  testvectors.ResultExit,
		sphinx.Reply: testvectors.ResultClient,
	}[got.Route]
	if result != want.Result {
		return fmt.Errorf("%s.result: computed %s, the vector has %.20q", at, result, want.Result)
	}
	switch got.Route {
	case sphinx.Relay:
		if i+1 == len(t.path) || got.Next != t.path[i+1].hop.Address {
			return fmt.Errorf("%s: goes to %v, which is not the next node", at, got.Next)
		}
		if want.Packet == nil {
			return fmt.Errorf("%s.packet: missing", at)
		}
		return first(
			same(at+".next_hop", got.Next[:], want.NextHop),
			t.samePacket(at+".packet", split(t.params, packet), *want.Packet),
		)
	case sphinx.Exit:
		return first(
			same(at+".destination", got.Destination, want.Destination),
			t.sameLarge(at+".message", got.Message, want.Message, want.MessageSHA256),
		)
	default:
		return first(
			same(at+".client_id", got.Client, want.ClientID),
			same(at+".message_id", got.MessageID[:], want.MessageID),
			t.sameLarge(at+".delta", got.Payload, want.Delta, want.DeltaSHA256),
		)
	}
}
