package sphinx

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/lioness"
)

// sighting is what an observer of the wires sees leave a mix: a packet, and on which wire.
type sighting struct {
	to     Address
	packet []byte
}

// linked is an observer without any key who tries whether a packet that left a mix is one that went in. It takes the two
// headers for the plaintext and the ciphertext of one keystream, and the start of that keystream for the payload key. Where
// so much of it is not on the wire (r < 5), the first 128 bytes do: the last round of LIONESS leaves R as it is.
func linked(p Params, in []byte, out sighting) bool {
	key := append(slices.Clone(p.beta(in)), make([]byte, hopSize)...)
	subtle.XORBytes(key, key, slices.Concat(out.to[:], p.gamma(out.packet), p.beta(out.packet)))
	before, after := in[p.HeaderSize():], slices.Clone(out.packet[p.HeaderSize():])
	if len(key) >= lioness.KeySize {
		cipher := lioness.New((*[lioness.KeySize]byte)(key))
		return cipher.Encrypt(after) == nil && bytes.Equal(after, before)
	}
	l, r := after[:32], after[32:]
	r = specXOR(r, specStream(specXOR(l, key[:32]), len(r)))
	l = specXOR(l, specHash(32, key[32:96], r))
	r = specXOR(r, specStream(specXOR(l, key[96:128]), len(r)))
	return bytes.Equal(r, before[32:])
}

// TestLinkingAttackWithoutAnyKey mixes a batch and lets the observer link all that went in with all that came out: each
// packet under the schedule that takes the payload key from the header's keystream, none under the bound one.
func TestLinkingAttackWithoutAnyKey(t *testing.T) {
	const batch = 64
	for _, r := range []int{3, 4, 5, 6, 20} {
		for _, schedule := range schedules {
			random := randomness("linking " + schedule.name + string(rune(r)))
			p := Params{r, 256, schedule.KeySchedule}
			mix := newNodes(t, random, 1)[0]
			behind := newNodes(t, random, max(4, r-2))
			in := make([][]byte, batch)
			for i := range in {
				// forward packets and replies, to four neighbours, along paths of two hops and of all
				path := []node{mix, behind[i%4]}
				if i%3 == 0 {
					path = append(path, behind[:r-2]...)
				}
				if i%2 == 0 {
					in[i] = wrap(t, p, random, path, []byte("hello"))
					continue
				}
				surb, _, err := p.NewSURB(random, pathOf(path), []byte("alice"), MessageID{byte(i)})
				require.NoError(t, err)
				_, in[i], err = surb.Use(nil, []byte("hello"))
				require.NoError(t, err)
			}

			packets := make([][]byte, batch)
			for i := range in {
				packets[i] = slices.Clone(in[i])
			}
			layers, errs := make([]Layer, batch), make([]error, batch)
			mix.unwrapper(t, p, make(TagSet)).UnwrapBatch(packets, layers, errs)
			out := make([]sighting, batch)
			origin := make(map[*byte]int, batch) // of the packet that left in a buffer; unknown to the observer
			for i := range packets {
				require.NoError(t, errs[i])
				require.Equal(t, Relay, layers[i].Route)
				out[i] = sighting{layers[i].Next, packets[i]}
				origin[&packets[i][0]] = i
			}
			for i := batch - 1; i > 0; i-- {
				j := int(binary.LittleEndian.Uint64(randomBytes(random, 8)) % uint64(i+1))
				out[i], out[j] = out[j], out[i]
			}

			right, wrong := 0, 0
			for i := range in {
				for _, o := range out {
					switch {
					case !linked(p, in[i], o):
					case origin[&o.packet[0]] == i:
						right++
					default:
						wrong++
					}
				}
			}
			want := 0
			if schedule.KeySchedule == InsecureReferenceSchedule {
				want = batch
			}
			require.Equal(t, want, right, "%s schedule, r = %d: packets linked of %d", schedule.name, r, batch)
			require.Zero(t, wrong, "%s schedule, r = %d: packets linked wrongly", schedule.name, r)
		}
	}
}

// TestNoTwoKeysShareKeystream: no key of a hop is a part of what lies bare on the wire, and none is the start of another.
func TestNoTwoKeysShareKeystream(t *testing.T) {
	p := Params{MaxHops: 20, PayloadSize: 256}
	random := randomness("keystream")
	nodes := newNodes(t, random, 2)
	in := wrap(t, p, random, nodes, []byte("hello"))
	_, keys := nodes[0].agreed(p, in)
	bare := nodes[0].opened(p, in)
	subtle.XORBytes(bare, bare, append(slices.Clone(p.beta(in)), make([]byte, hopSize)...))
	for at := 0; at < len(keys); at += 8 {
		require.NotContains(t, string(bare), string(keys[at:at+8]), "byte %d of a hop's keys", at)
		require.Equal(t, 1, bytes.Count(keys[:], keys[at:at+8]))
	}
}
