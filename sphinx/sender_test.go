package sphinx

import (
	"slices"
	"testing"

	"filippo.io/edwards25519"
	"github.com/stretchr/testify/require"

	circl "github.com/cloudflare/circl/dh/x25519"

	"sphinxmix.example/sphinx/internal/x25519"
)

// fold is sᵢ by the book: y multiplied by x and by every blinding scalar before hop i, one after the other.
func fold(y PublicKey, scalars []x25519.Key) x25519.Key {
	s := circl.Key(y)
	for _, scalar := range scalars {
		k, out := circl.Key(scalar), circl.Key{}
		circl.Shared(&out, &k, &s)
		s = out
	}
	return x25519.Key(s)
}

// requireChain makes a header for path and requires every hop's keys to be those of the O(n²) fold, and that crypto/ecdh
// gives the same fold where the path is short.
func requireChain(t *testing.T, p Params, x x25519.Key, path []Hop) {
	t.Helper()
	c := newComposer(p)
	header := make([]byte, p.HeaderSize())
	copy(p.alpha(header), x[:])
	c.add(draft{path: path, header: header})
	_, err := c.agree()
	require.NoError(t, err)
	hops := c.drafts[0].keys
	x25519.Clamp(&x)

	var alpha x25519.Key
	x25519.Public(&alpha, &x)
	require.Equal(t, alpha[:], p.alpha(header))
	scalars := []x25519.Key{x}
	for i, hop := range path {
		s := fold(hop.Key, scalars)
		if len(path) <= 5 {
			other := hop.Key[:]
			for _, scalar := range scalars {
				other = specMultiply(scalar[:], other)
			}
			require.Equal(t, other, s[:])
		}
		want := specDerive(p, alpha[:], hop.Key[:], s[:])
		require.Equal(t, want.tag, hops[i].Tag()[:], "hop %d of %d", i, len(path))
		require.Equal(t, want.blinding, hops[i].Blinding()[:])
		require.Equal(t, want.payload, hops[i].Payload()[:])
		scalars = append(scalars, *hops[i].Blinding())
		x25519.Shared(&alpha, hops[i].Blinding(), &alpha)
	}
}

// TestSenderChainIsTheFold, for random paths of up to 50 hops.
func TestSenderChainIsTheFold(t *testing.T) {
	random := randomness("chain")
	nodes := newNodes(t, random, MaxMaxHops)
	for _, schedule := range schedules {
		p := Params{MaxMaxHops, 64, schedule.KeySchedule}
		for _, n := range []int{1, 2, 3, 4, 5, 5, 5, 17, 49, 50} {
			at := int(randomBytes(random, 1)[0]) % (MaxMaxHops - n + 1)
			requireChain(t, p, x25519.Key(randomBytes(random, KeySize)), pathOf(nodes[at:at+n]))
		}
	}
}

// TestSenderChainWithTorsion: a hop's key may have a component of order 2, 4 or 8, which the scalars, multiples of 8,
// take away; the product of scalars mod ℓ must not bring it back.
func TestSenderChainWithTorsion(t *testing.T) {
	random := randomness("keys with torsion")
	p := Params{MaxHops: 8, PayloadSize: 64}
	for _, low := range torsion(t) {
		path := pathOf(newNodes(t, random, p.MaxHops))
		for i := range path {
			point := edwards(t, path[i].Key[:])
			require.NotNil(t, point)
			path[i].Key = PublicKey(new(edwards25519.Point).Add(point, low).BytesMontgomery())
		}
		requireChain(t, p, x25519.Key(randomBytes(random, KeySize)), path)
	}
}

// TestSenderChainRepeatsHops: one hop twice, in a row and not, is a path like any other.
func TestSenderChainRepeatsHops(t *testing.T) {
	p := Params{MaxHops: 5, PayloadSize: 64}
	random := randomness("repeated hops")
	nodes := newNodes(t, random, 2)
	path := []node{nodes[0], nodes[0], nodes[1], nodes[0], nodes[0]}
	_, layer := journey(t, p, path, wrap(t, p, random, path, []byte("hello")))
	require.Equal(t, "hello", string(layer.Message))
}

// TestSenderRefusesLowOrderKey at each place of a path, in each encoding.
func TestSenderRefusesLowOrderKey(t *testing.T) {
	p := Params{MaxHops: 3, PayloadSize: 64}
	random := randomness("low-order keys")
	good := pathOf(newNodes(t, random, 3))
	for _, low := range lowOrderAlphas(t) {
		for i := range good {
			path := slices.Clone(good)
			path[i].Key = PublicKey(low)
			dst := append(make([]byte, 0, 3+p.PacketSize()), "abc"...)
			got, err := p.Wrap(dst, random, path, []byte("bob"), nil)
			require.ErrorIs(t, err, ErrKey)
			require.Equal(t, "abc", string(got))
			require.Equal(t, make([]byte, p.PacketSize()), dst[3:cap(dst)], "half a packet left behind dst")
			surb, key, err := p.NewSURB(random, path, []byte("alice"), MessageID{})
			require.ErrorIs(t, err, ErrKey)
			require.Nil(t, surb)
			require.Nil(t, key)
		}
	}
}
