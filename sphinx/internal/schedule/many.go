package schedule

import (
	"sphinxmix.example/lioness/symmetric"
	"sphinxmix.example/sphinx/internal/x25519"
)

// groupSize is how many derivations or MACs go through the primitives together: two passes of the eight lanes of
// BLAKE2b, and five of the sixteen blocks of ChaCha20.
const groupSize = 16

// group is the working memory for groupSize of them. No call leaves a pointer in it.
type group struct {
	inputs   [groupSize][3 * x25519.Size]byte // α ‖ y ‖ s
	seeds    [groupSize]Seed
	gamma    [MACSize]byte
	hashings [groupSize]symmetric.Hashing
	streams  [groupSize]symmetric.Stream
}

func (g *group) wipe() {
	clear(g.inputs[:])
	clear(g.seeds[:])
	clear(g.gamma[:])
}

// Derivation is one hop whose keys are to be derived. The hop has the public key y and shares s with the sender of α. Keys
// is set to its keys, and Seed, where it is not nil, to the seed of its payload key.
type Derivation struct {
	Keys        *Keys
	Seed        *Seed
	Alpha, Y, S *x25519.Key
}

// DeriveAll derives the keys of each of all. What one sets must not be the memory of another one's fields.
func (d *Schedule) DeriveAll(all []Derivation) {
	if d.insecure {
		for i := range all {
			seed := d.deriveReference(all[i].Keys, all[i].Alpha, all[i].S)
			if all[i].Seed != nil {
				*all[i].Seed = seed
			}
			clear(seed[:])
		}
		return
	}
	for len(all) > 0 {
		n := min(len(all), groupSize)
		d.deriveGroup(all[:n])
		all = all[n:]
	}
}

func (d *Schedule) deriveGroup(all []Derivation) {
	for i := range all {
		input := &d.inputs[i]
		copy(input[:32], all[i].Alpha[:])
		copy(input[32:64], all[i].Y[:])
		copy(input[64:], all[i].S[:])
		d.hashings[i] = symmetric.Hashing{Sum: d.seeds[i][:], Key: label, Message: input[:]}
	}
	d.sum(len(all))
	streams := d.streams[:len(all)]
	for i := range all {
		keys := all[i].Keys[:]
		clear(keys)
		streams[i] = symmetric.Stream{Dst: keys, Src: keys, Key: (*[32]byte)(&d.seeds[i])}
	}
	symmetric.XORKeyStreams(streams)
	clear(streams)
	for i := range all {
		x25519.Clamp(all[i].Keys.Blinding())
		if all[i].Seed != nil {
			*all[i].Seed = d.seeds[i]
		}
	}
}

// Authentication is one MAC to be computed: Gamma, of MACSize bytes, is set to γ over Beta under the μ key of Keys.
type Authentication struct {
	Gamma []byte
	Keys  *Keys
	Beta  []byte
}

// MACAll is MAC for each of all. It is fastest where every Beta has one length. No Gamma may be the memory of a Beta.
func (d *Schedule) MACAll(all []Authentication) {
	for len(all) > 0 {
		n := min(len(all), groupSize)
		for i := range all[:n] {
			d.hashings[i] = symmetric.Hashing{Sum: all[i].Gamma, Key: d.MACKey(all[i].Keys), Message: all[i].Beta}
		}
		d.sum(n)
		all = all[n:]
	}
}

// sum computes the first n of hashings, and lets go of what they point to.
func (d *Schedule) sum(n int) {
	d.hashes.Sum(d.hashings[:n])
	clear(d.hashings[:n])
}
