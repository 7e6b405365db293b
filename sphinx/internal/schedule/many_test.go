package schedule

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/sphinx/internal/x25519"
)

// TestManyAreOneAfterTheOther: for every number up to some groups, with and without a place for the seed, what comes out
// is what Derive and MAC make of each, and nothing is left of a call with more before it.
func TestManyAreOneAfterTheOther(t *testing.T) {
	for _, insecure := range []bool{false, true} {
		random := randomness(fmt.Sprint("many ", insecure))
		many, one := New(insecure), New(insecure)
		sizes := []int{3*groupSize + 1, 64}
		for n := range 2*groupSize + 3 {
			sizes = append(sizes, n)
		}
		for _, n := range sizes {
			operands := make([][3]x25519.Key, n)
			keys, seeds := make([]Keys, n), make([]Seed, n)
			gammas, betas := make([][MACSize]byte, n), make([][]byte, n)
			derivations, authentications := make([]Derivation, n), make([]Authentication, n)
			for i := range n {
				o := &operands[i]
				o[0], o[1], o[2] = draw(random)
				random.Read(keys[i][:]) // what was there must not show
				derivations[i] = Derivation{Keys: &keys[i], Alpha: &o[0], Y: &o[1], S: &o[2]}
				if i%3 != 1 {
					derivations[i].Seed = &seeds[i]
				}
				betas[i] = make([]byte, 176)
				if n%2 == 1 {
					betas[i] = betas[i][:i]
				}
				random.Read(betas[i])
				authentications[i] = Authentication{gammas[i][:], &keys[i], betas[i]}
			}
			before, messages := slices.Clone(operands), slices.Clone(betas)
			many.DeriveAll(derivations)
			many.MACAll(authentications)
			require.Equal(t, before, operands)
			require.Equal(t, messages, betas)
			for i := range n {
				var want Keys
				seed := one.Derive(&want, &operands[i][0], &operands[i][1], &operands[i][2])
				require.Equal(t, want, keys[i], "keys %d of %d", i, n)
				if i%3 == 1 {
					seed = Seed{}
				}
				require.Equal(t, seed, seeds[i], "seed %d of %d", i, n)
				require.Equal(t, one.MAC(nil, &want, betas[i]), gammas[i][:], "MAC %d of %d", i, n)
			}
		}
		many.Wipe()
		require.Equal(t, New(insecure), many)
	}
}

func TestManyAllocateNothing(t *testing.T) {
	const n = 2*groupSize + 1
	for _, insecure := range []bool{false, true} {
		d := New(insecure)
		var operands [n][3]x25519.Key
		var keys [n]Keys
		var gammas [n][MACSize]byte
		beta := make([]byte, 176)
		derivations, authentications := make([]Derivation, n), make([]Authentication, n)
		for i := range n {
			o := &operands[i]
			derivations[i] = Derivation{Keys: &keys[i], Alpha: &o[0], Y: &o[1], S: &o[2]}
			authentications[i] = Authentication{gammas[i][:], &keys[i], beta}
		}
		require.Zero(t, testing.AllocsPerRun(10, func() {
			d.DeriveAll(derivations)
			d.MACAll(authentications)
			d.Wipe()
		}), "insecure: %t", insecure)
	}
}

// TestNothingOfTheCallersIsKept: a Schedule that lives on must not hold on to packets, wiped or not.
func TestNothingOfTheCallersIsKept(t *testing.T) {
	for _, insecure := range []bool{false, true} {
		d := New(insecure)
		alpha, y, s := draw(randomness("kept"))
		var keys Keys
		d.Derive(&keys, &alpha, &y, &s)
		d.MAC(nil, &keys, alpha[:])
		d.MACAll([]Authentication{{make([]byte, MACSize), &keys, alpha[:]}})
		require.Zero(t, d.hashings)
		require.Zero(t, d.streams)
	}
}
