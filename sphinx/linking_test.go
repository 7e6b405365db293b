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

// linker is an observer without any key who tries whether a packet that left a mix is one that went in. It takes the two
// headers for the plaintext and the ciphertext of one keystream, and the start of that keystream for the payload key.
type linker struct {
	p         Params
	keystream []byte
	cipher    *lioness.Cipher
	delta     []byte
}

func (l *linker) links(in []byte, out sighting) bool {
	p := l.p
	l.keystream = append(l.keystream[:0], p.beta(in)...)
	l.keystream = append(l.keystream, make([]byte, hopSize)...)
	bare := slices.Concat(out.to[:], p.gamma(out.packet), p.beta(out.packet))
	subtle.XORBytes(l.keystream, l.keystream, bare)
	l.cipher.SetKey((*[lioness.KeySize]byte)(l.keystream))
	l.delta = append(l.delta[:0], in[p.HeaderSize():]...)
	l.cipher.Decrypt(l.delta)
	return bytes.Equal(l.delta, out.packet[p.HeaderSize():])
}

// TestLinkingAttackWithoutAnyKey mixes a batch and lets the observer link all that went in with all that came out: each
// packet under the schedule that takes the payload key from the header's keystream, none under the bound one.
func TestLinkingAttackWithoutAnyKey(t *testing.T) {
	const batch = 64
	for _, r := range []int{5, 6, 20} { // from 5 hops on the keystream on the wire is as long as a payload key
		for _, schedule := range schedules {
			random := randomness("linking " + schedule.name + string(rune(r)))
			p := Params{r, 256, schedule.KeySchedule}
			mix := newNodes(t, random, 1)[0]
			behind := newNodes(t, random, 4)
			in := make([][]byte, batch)
			for i := range in {
				// forward packets and replies, to four neighbours, from paths of 2 to 5 hops
				path := []node{mix, behind[i%4]}
				path = append(path, behind[:i%4]...)
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

			l := linker{p: p, cipher: lioness.New(new([lioness.KeySize]byte))}
			linked, wrong := 0, 0
			for i := range in {
				for _, o := range out {
					switch {
					case !l.links(in[i], o):
					case origin[&o.packet[0]] == i:
						linked++
					default:
						wrong++
					}
				}
			}
			want := 0
			if schedule.KeySchedule == InsecureReferenceSchedule {
				want = batch
			}
			require.Equal(t, want, linked, "%s schedule, r = %d: packets linked of %d", schedule.name, r, batch)
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
