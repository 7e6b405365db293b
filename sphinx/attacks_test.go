package sphinx

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"testing"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/sphinx/internal/x25519"
)

func mustKey(t testing.TB, s string) (k x25519.Key) {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	require.Len(t, b, len(k))
	return x25519.Key(b)
}

// lowOrderAlphas are all encodings that X25519 takes for a point whose order divides 8, of the curve or its twist.
func lowOrderAlphas(t testing.TB) (all []x25519.Key) {
	for _, s := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000", // 0
		"0100000000000000000000000000000000000000000000000000000000000000", // 1
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", // order 8
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157", // order 8
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p − 1, of the twist
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p, another 0
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p + 1, another 1
	} {
		u := mustKey(t, s)
		all = append(all, u)
		u[31] |= 0x80 // which X25519 ignores
		all = append(all, u)
	}
	return all
}

// TestLowOrderAlphaIsRefused sends packets that take no key to make: α of low order, and all the rest right for the
// shared secret 0 that every node would then compute. One such packet would open at every node there is.
func TestLowOrderAlphaIsRefused(t *testing.T) {
	for _, schedule := range schedules {
		t.Run(schedule.name, func(t *testing.T) {
			p := Params{3, 128, schedule.KeySchedule}
			random := randomness("low order " + schedule.name)
			nodes := newNodes(t, random, 3)
			arrivals, _ := journey(t, p, nodes, wrap(t, p, random, nodes, []byte("hello")))
			for _, alpha := range lowOrderAlphas(t) {
				for i, n := range nodes {
					y := x25519.Key(n.key.public)
					keyless := forge(p, alpha, y, x25519.Key{}, exitBeta(p), forwardDelta(p, "bob", "hello"))
					requireRefused(t, p, n, keyless, ErrGroup, "keyless packet with α", alpha)
					changed := slices.Clone(arrivals[i])
					copy(p.alpha(changed), alpha[:])
					requireRefused(t, p, n, changed, ErrGroup, "hop", i, "with α", alpha)
				}
			}
		})
	}
}

// smallU forges exit packets with u as α, a u so small that u + p is another encoding of the same point.
func smallU(p Params, n node, u byte) (canonical, plusP []byte) {
	alpha, y := x25519.Key{u}, x25519.Key(n.key.public)
	var s x25519.Key
	x25519.Shared(&s, scalarOf(n.key), &alpha)
	canonical = forge(p, alpha, y, s, exitBeta(p), forwardDelta(p, "bob", "hello"))
	plusP = slices.Clone(canonical)
	copy(p.alpha(plusP), append(append([]byte{u - 19}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f)) // p = 2²⁵⁵ − 19
	return canonical, plusP
}

// TestNonCanonicalAlphaIsRefused: of two encodings of one point the MAC is right for the sender's alone.
func TestNonCanonicalAlphaIsRefused(t *testing.T) {
	nodes := newNodes(t, randomness("non-canonical"), 2)
	for u := byte(2); u < 19; u++ {
		for _, n := range nodes {
			bound := Params{MaxHops: 3, PayloadSize: 128}
			canonical, plusP := smallU(bound, n, u)
			layer, err := n.unwrapper(t, bound, make(TagSet)).Unwrap(slices.Clone(canonical))
			require.NoError(t, err)
			require.Equal(t, "hello", string(layer.Message))
			requireRefused(t, bound, n, plusP, ErrMAC, "u =", u)

			reference := Params{3, 128, InsecureReferenceSchedule} // that this is an attack: it works there
			_, plusP = smallU(reference, n, u)
			_, err = n.unwrapper(t, reference, make(TagSet)).Unwrap(plusP)
			require.NoError(t, err)
		}
	}
}

// TestBit255OfAlphaIsAuthenticated: X25519 ignores that bit, so a packet that came in twice, with and without it, would
// be let in twice if nothing else bound it.
func TestBit255OfAlphaIsAuthenticated(t *testing.T) {
	p := Params{MaxHops: 3, PayloadSize: 128}
	random := randomness("bit 255")
	nodes := newNodes(t, random, 3)
	for range 20 {
		arrivals, _ := journey(t, p, nodes, wrap(t, p, random, nodes, []byte("hello")))
		for i, n := range nodes {
			changed := slices.Clone(arrivals[i])
			changed[31] ^= 0x80
			requireRefused(t, p, n, changed, ErrMAC, "hop", i)
		}
	}
}

// torsion are the seven points of order 2, 4 and 8.
func torsion(t testing.TB) (points []*edwards25519.Point) {
	encoded, err := hex.DecodeString("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
	require.NoError(t, err)
	generator, err := new(edwards25519.Point).SetBytes(encoded)
	require.NoError(t, err)
	for point := new(edwards25519.Point).Set(generator); point.Equal(edwards25519.NewIdentityPoint()) == 0; point.Add(point, generator) {
		points = append(points, new(edwards25519.Point).Set(point))
	}
	require.Len(t, points, 7)
	return points
}

// edwards is the point with Montgomery coordinate u, y = (u − 1)/(u + 1), or nil where u is of the twist.
func edwards(t testing.TB, u []byte) *edwards25519.Point {
	coordinate, err := new(field.Element).SetBytes(u)
	require.NoError(t, err)
	one := new(field.Element).One()
	y := new(field.Element).Subtract(coordinate, one)
	y.Multiply(y, new(field.Element).Invert(new(field.Element).Add(coordinate, one)))
	point, err := new(edwards25519.Point).SetBytes(y.Bytes())
	if err != nil {
		return nil
	}
	return point
}

// TestTorsionOnAlphaIsRefused adds points of order 2, 4 and 8 to α. The shared secret stays, so that a MAC over β alone
// would let them pass, and an α blinded by anything but a multiple of 8 would show them again behind the mix.
func TestTorsionOnAlphaIsRefused(t *testing.T) {
	for _, schedule := range schedules {
		t.Run(schedule.name, func(t *testing.T) {
			p := Params{3, 128, schedule.KeySchedule}
			random := randomness("torsion " + schedule.name)
			nodes := newNodes(t, random, 3)
			points := torsion(t)
			for range 40 {
				arrivals, _ := journey(t, p, nodes, wrap(t, p, random, nodes, nil))
				for i, n := range nodes {
					point := edwards(t, p.alpha(arrivals[i]))
					require.NotNil(t, point, "α must be on the curve")
					for _, low := range points {
						changed := slices.Clone(arrivals[i])
						copy(p.alpha(changed), new(edwards25519.Point).Add(point, low).BytesMontgomery())
						require.NotEqual(t, arrivals[i], changed)
						s, _ := n.agreed(p, arrivals[i])
						tagged, _ := n.agreed(p, changed)
						require.Equal(t, s, tagged, "the premise of the attack")
						if schedule.KeySchedule == BoundSchedule {
							requireRefused(t, p, n, changed, ErrMAC, "hop", i)
							continue
						}
						_, err := n.unwrapper(t, p, make(TagSet)).Unwrap(changed)
						require.NotErrorIs(t, err, ErrMAC, "the reference schedule does not notice")
					}
				}
			}
		})
	}
}

// TestBlindingKillsTorsion: what leaves a mix has no torsion component, not even where the sender put one in.
func TestBlindingKillsTorsion(t *testing.T) {
	p := Params{MaxHops: 3, PayloadSize: 128}
	random := randomness("blinding")
	n := newNodes(t, random, 1)[0]
	beta := exitBeta(p)
	beta[0] = 0xff
	for _, low := range torsion(t) {
		x := x25519.Key(randomBytes(random, KeySize))
		x25519.Clamp(&x)
		var alpha, s x25519.Key
		x25519.Public(&alpha, &x)
		point := edwards(t, alpha[:])
		alpha = x25519.Key(new(edwards25519.Point).Add(point, low).BytesMontgomery())
		y := x25519.Key(n.key.public)
		x25519.Shared(&s, &x, &y)
		packet := forge(p, alpha, y, s, beta, make([]byte, p.PayloadSize))
		_, err := n.unwrapper(t, p, make(TagSet)).Unwrap(packet)
		require.NoError(t, err)
		next := edwards(t, p.alpha(packet))
		// (ℓ − 1)·P + P is ℓ·P: the torsion component and nothing else
		minusOne := edwards25519.NewScalar()
		one, err := edwards25519.NewScalar().SetCanonicalBytes(append([]byte{1}, make([]byte, 31)...))
		require.NoError(t, err)
		minusOne.Negate(one)
		component := new(edwards25519.Point).ScalarMult(minusOne, next)
		component.Add(component, next)
		require.Equal(t, 1, component.Equal(edwards25519.NewIdentityPoint()))
	}
}

// TestEveryHeaderBitIsAuthenticated flips each bit of the header, at each hop.
func TestEveryHeaderBitIsAuthenticated(t *testing.T) {
	p := Params{MaxHops: 3, PayloadSize: 64}
	random := randomness("header bits")
	nodes := newNodes(t, random, 3)
	arrivals, _ := journey(t, p, nodes, wrap(t, p, random, nodes, []byte("hello")))
	for i, n := range nodes {
		for bit := range 8 * p.HeaderSize() {
			changed := slices.Clone(arrivals[i])
			changed[bit/8] ^= 1 << (bit % 8)
			requireRefused(t, p, n, changed, ErrMAC, "hop", i, "bit", bit)
		}
	}
}

// TestHeaderIsBoundToOneKey: of two nodes that share the same s with the sender, a header opens at the one it was made
// for. Two such nodes would have keys x and ℓ − x, or one of them lies about its public key.
func TestHeaderIsBoundToOneKey(t *testing.T) {
	random := randomness("bound to a key")
	for _, schedule := range schedules {
		p := Params{3, 128, schedule.KeySchedule}
		nodes := newNodes(t, random, 2)
		packet := wrap(t, p, random, nodes[:1], []byte("hello"))
		requireRefused(t, p, nodes[1], packet, ErrMAC)

		twin := liar(nodes[0].key, nodes[1].key)
		s, _ := nodes[0].agreed(p, packet)
		same, _ := twin.agreed(p, packet)
		require.Equal(t, s, same)
		if schedule.KeySchedule == BoundSchedule {
			requireRefused(t, p, twin, packet, ErrMAC)
			continue
		}
		_, err := twin.unwrapper(t, p, make(TagSet)).Unwrap(packet)
		require.NoError(t, err, "the reference schedule does not notice")
	}
}

func differingBits(a, b []byte) (n int) {
	for i := range a {
		n += bits.OnesCount8(a[i] ^ b[i])
	}
	return n
}

// TestPayloadIsOneWideBlock flips payload bits on the way in to each hop but the last. The packet goes on, for the
// payload has no MAC; but the next hop gets noise, and the exit refuses it.
func TestPayloadIsOneWideBlock(t *testing.T) {
	p := Params{MaxHops: 3, PayloadSize: 512}
	random := randomness("payload bits")
	nodes := newNodes(t, random, 3)
	arrivals, _ := journey(t, p, nodes, wrap(t, p, random, nodes, []byte("hello")))
	for from := range nodes {
		for at := 0; at < 8*p.PayloadSize; at += 37 {
			packet := slices.Clone(arrivals[from])
			packet[p.HeaderSize()+at/8] ^= 1 << (at % 8)
			for i := from; i < len(nodes); i++ {
				header := slices.Clone(packet[:p.HeaderSize()])
				layer, err := nodes[i].unwrapper(t, p, make(TagSet)).Unwrap(packet)
				if i == len(nodes)-1 {
					if err != ErrPayload {
						t.Fatalf("changed bit %d came to the exit as %v", at, err)
					}
					require.Equal(t, Layer{}, layer)
					require.Equal(t, header, packet[:p.HeaderSize()])
					continue
				}
				require.NoError(t, err)
				require.Equal(t, arrivals[i+1][:p.HeaderSize()], packet[:p.HeaderSize()], "the header shows the change")
				for part := 0; part < p.PayloadSize; part += 128 { // noise everywhere, not only behind the change
					got := packet[p.HeaderSize()+part:][:128]
					if d := differingBits(got, arrivals[i+1][p.HeaderSize()+part:][:128]); d < 512-130 || d > 512+130 { // 8σ
						t.Fatalf("bit %d, changed before hop %d: %d of 1024 bits differ behind hop %d", at, from, d, i)
					}
				}
			}
		}
	}
}

// TestPacketSizeIsFixed: nothing but the exact size gets past the first check.
func TestPacketSizeIsFixed(t *testing.T) {
	p := Params{MaxHops: 3, PayloadSize: 64}
	random := randomness("sizes")
	nodes := newNodes(t, random, 1)
	packet := wrap(t, p, random, nodes, nil)
	for n := range len(packet) {
		requireRefused(t, p, nodes[0], packet[:n:n], ErrPacketSize)
	}
	requireRefused(t, p, nodes[0], append(slices.Clone(packet), 0), ErrPacketSize)
	requireRefused(t, p, nodes[0], slices.Concat(packet, packet), ErrPacketSize)

	// a packet of a network with other parameters
	other := Params{MaxHops: 2, PayloadSize: 96}
	require.Equal(t, p.PacketSize(), other.PacketSize())
	requireRefused(t, p, nodes[0], wrap(t, other, random, nodes, nil), ErrMAC)
}

// TestRoutingBlock gives the hop every first byte, and every length of a client id, behind a valid MAC. An id that does
// not fit in what a hop has of β, message id included, is refused; one that does is handed out whole.
func TestRoutingBlock(t *testing.T) {
	random := randomness("routing blocks")
	n := newNodes(t, random, 1)[0]
	for _, schedule := range schedules {
		for r := 1; r <= 6; r++ {
			t.Run(fmt.Sprintf("%s/r=%d", schedule.name, r), func(t *testing.T) {
				p := Params{r, 96, schedule.KeySchedule}
				for first := range 256 {
					testRoutingBlock(t, p, n, byte(first), random)
				}
			})
		}
	}
}

func testRoutingBlock(t *testing.T, p Params, n node, first byte, random io.Reader) {
	delta := forwardDelta(p, "bob", "hello")
	beta := randomBytes(random, p.betaSize())
	beta[0] = first
	packet := forgeFor(p, random, n, beta, delta)
	sent := slices.Clone(packet)
	layer, err := n.unwrapper(t, p, make(TagSet)).Unwrap(packet)
	id := int(first)
	switch {
	case first == 0x00:
		require.NoError(t, err)
		require.Equal(t, Layer{Route: Exit, Tag: layer.Tag, Destination: []byte("bob"), Message: []byte("hello")}, layer)
	case first == 0xff:
		require.NoError(t, err)
		require.Equal(t, Layer{Route: Relay, Tag: layer.Tag, Next: Address(beta[:16])}, layer)
		require.Equal(t, beta[16:32], p.gamma(packet))
		require.Equal(t, beta[32:], p.beta(packet)[:len(beta)-32])
		require.Equal(t, delta, packet[p.HeaderSize():])
	case first < 0x80 && 1+id+MessageIDSize <= p.betaSize():
		require.NoError(t, err)
		require.Equal(t, Layer{
			Route: Reply, Tag: layer.Tag, Client: beta[1 : 1+id],
			MessageID: MessageID(beta[1+id:][:MessageIDSize]), Payload: delta,
		}, layer)
	default:
		if err != ErrRouting {
			t.Fatalf("first byte %#02x: error %v, not ErrRouting, and a client id of %d bytes from a β of %d",
				first, err, len(layer.Client), p.betaSize())
		}
		require.Equal(t, Layer{}, layer)
		require.Equal(t, sent, packet)
	}
}

// TestClientIDIsNeverSlicedShort: an id that a hop takes is the one that the header holds, whatever length it claims.
func TestClientIDIsNeverSlicedShort(t *testing.T) {
	random := randomness("claimed lengths")
	n := newNodes(t, random, 1)[0]
	for r := 1; r <= 4; r++ {
		p := Params{MaxHops: r, PayloadSize: 64}
		for length := 1; length <= 127; length++ {
			beta := randomBytes(random, p.betaSize())
			beta[0] = byte(length)
			packet := forgeFor(p, random, n, beta, make([]byte, p.PayloadSize))
			held := n.opened(p, packet)
			layer, err := n.unwrapper(t, p, make(TagSet)).Unwrap(packet)
			if err == nil {
				require.Equal(t, held[1:1+length], layer.Client, "r = %d, id of %d bytes", r, length)
			}
		}
	}
}
