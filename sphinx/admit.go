package sphinx

import (
	"crypto/subtle"
	"fmt"

	"sphinxmix.example/sphinx/internal/schedule"
	"sphinxmix.example/sphinx/internal/x25519"
)

// The stages of UnwrapBatch that say which packets are let in. None of them changes a packet.

// Stage 1: the size.
func (w *workspace) checkSizes(packets [][]byte, errs []error) {
	w.live = w.live[:0]
	for i, packet := range packets {
		if len(packet) == w.params.PacketSize() {
			w.live = append(w.live, i)
		} else {
			errs[i] = ErrPacketSize
		}
	}
}

// Stage 2: s, refused where it is zero before anything is derived from it.
func (w *workspace) agree(packets [][]byte, errs []error) {
	all := w.jobs.multiplications[:len(w.live)]
	for k, i := range w.live {
		all[k] = x25519.Multiplication{
			Result: &w.hops[i].secret, Scalar: &w.scalar, Point: (*x25519.Key)(w.params.alpha(packets[i])),
		}
	}
	w.multiplier.Multiply(all)
	for k, i := range w.live {
		if !all[k].OK {
			errs[i] = ErrGroup
		}
	}
	clear(all)
	w.sift(errs)
}

// Stage 3: the keys.
func (w *workspace) derive(packets [][]byte) {
	all := w.jobs.derivations[:len(w.live)]
	for k, i := range w.live {
		h := &w.hops[i]
		all[k] = schedule.Derivation{
			Keys: &h.keys, Alpha: (*x25519.Key)(w.params.alpha(packets[i])), Y: &w.public, S: &h.secret,
		}
	}
	w.schedule.DeriveAll(all)
	clear(all)
}

// Stage 4: γ.
func (w *workspace) authenticate(packets [][]byte, errs []error) {
	all := w.jobs.authentications[:len(w.live)]
	for k, i := range w.live {
		h := &w.hops[i]
		all[k] = schedule.Authentication{Gamma: h.gamma[:], Keys: &h.keys, Beta: w.params.beta(packets[i])}
	}
	w.schedule.MACAll(all)
	clear(all)
	for _, i := range w.live {
		if subtle.ConstantTimeCompare(w.hops[i].gamma[:], w.params.gamma(packets[i])) != 1 {
			errs[i] = ErrMAC
		}
	}
	w.sift(errs)
}

// Stage 5: replays. A tag is stored only after its MAC was right, so nobody can burn the tag of a packet they merely
// saw; and before any work on the payload, so a replay costs none.
func (w *workspace) refuseReplays(layers []Layer, errs []error) {
	if len(w.live) == 0 {
		return
	}
	tags, fresh := w.jobs.tags[:len(w.live)], w.jobs.fresh[:len(w.live)]
	for k, i := range w.live {
		layers[i].Tag = *w.hops[i].keys.Tag()
		tags[k] = layers[i].Tag
	}
	clear(fresh)
	failure := w.replay.Fresh(tags, fresh)
	if failure != nil {
		failure = fmt.Errorf("%w: %w", ErrReplayStore, failure)
	}
	for k, i := range w.live {
		switch {
		case failure != nil:
			errs[i] = failure
		case !fresh[k]:
			errs[i] = ErrReplay
		}
		if errs[i] != nil {
			layers[i] = Layer{}
		}
	}
	w.sift(errs)
}
