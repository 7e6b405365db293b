package sphinx

import (
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/lioness"
	"sphinxmix.example/lioness/symmetric"
	"sphinxmix.example/sphinx/internal/schedule"
	"sphinxmix.example/sphinx/internal/wire"
	"sphinxmix.example/sphinx/internal/x25519"
)

// The fields that hold secrets, in one place.
func scalarOf(key *PrivateKey) *x25519.Key { return key.scalar.get() }
func secretsOf(key *ReplyKey) *replyKey    { return key.k.get() }

// liar is a node that computes with the scalar of one key and says that it has the public key of another.
func liar(scalar, public *PrivateKey) node {
	return node{key: &PrivateKey{hide(scalarOf(scalar)), public.Public()}}
}

// keyOf is a ReplyKey with the given secrets.
func keyOf(secrets replyKey) *ReplyKey { return &ReplyKey{hide(&secrets)} }

// schedules are the key schedules under names for subtests.
var schedules = []struct {
	name string
	KeySchedule
}{{"bound", BoundSchedule}, {"reference", InsecureReferenceSchedule}}

// randomness is a reader whose bytes depend on name alone: a test that draws from it has one outcome.
func randomness(name string) *rand.ChaCha8 { return rand.NewChaCha8(sha256.Sum256([]byte(name))) }

func randomBytes(random io.Reader, n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(random, b); err != nil {
		panic(err)
	}
	return b
}

// node is a hop with its private key.
type node struct {
	key *PrivateKey
	hop Hop
}

func newNodes(t testing.TB, random io.Reader, n int) []node {
	t.Helper()
	nodes := make([]node, n)
	for i := range nodes {
		key, err := GenerateKey(random)
		require.NoError(t, err)
		address := Address(randomBytes(random, AddressSize))
		address[0] = wire.RelayPrefix
		nodes[i] = node{key, Hop{address, key.Public()}}
	}
	return nodes
}

func pathOf(nodes []node) []Hop {
	path := make([]Hop, len(nodes))
	for i, n := range nodes {
		path[i] = n.hop
	}
	return path
}

func (n node) unwrapper(t testing.TB, p Params, replay Replay) *Unwrapper {
	t.Helper()
	u, err := NewUnwrapper(p, n.key, replay)
	require.NoError(t, err)
	return u
}

// wrap makes a packet to bob.
func wrap(t testing.TB, p Params, random io.Reader, nodes []node, message []byte) []byte {
	t.Helper()
	packet, err := p.Wrap(nil, random, pathOf(nodes), []byte("bob"), message)
	require.NoError(t, err)
	return packet
}

// journey opens packet, which it leaves alone, at every node of its path. It returns the packet as each node gets it
// and the last layer.
func journey(t testing.TB, p Params, nodes []node, packet []byte) (arrivals [][]byte, last Layer) {
	t.Helper()
	packet = slices.Clone(packet)
	for i, n := range nodes {
		arrivals = append(arrivals, slices.Clone(packet))
		layer, err := n.unwrapper(t, p, make(TagSet)).Unwrap(packet)
		require.NoError(t, err, "hop %d", i)
		if i < len(nodes)-1 {
			require.Equal(t, Relay, layer.Route)
			require.Equal(t, nodes[i+1].hop.Address, layer.Next)
		}
		last = layer
	}
	return arrivals, last
}

// agreed is the shared secret and the keys that n derives from packet.
func (n node) agreed(p Params, packet []byte) (s x25519.Key, keys schedule.Keys) {
	alpha, y := x25519.Key(p.alpha(packet)), x25519.Key(n.key.public)
	x25519.Shared(&s, scalarOf(n.key), &alpha)
	schedule.New(p.insecure()).Derive(&keys, &alpha, &y, &s)
	return s, keys
}

// opened is β ‖ zeros as n decrypts it.
func (n node) opened(p Params, packet []byte) []byte {
	_, keys := n.agreed(p, packet)
	b := append(slices.Clone(p.beta(packet)), make([]byte, hopSize)...)
	symmetric.XORKeyStream(b, b, keys.Stream())
	return b
}

// forge makes what a sender who keeps no rule can: a packet whose MAC is right for the hop with public key y that agrees
// on s with alpha, whatever β and δ that hop then finds.
func forge(p Params, alpha, y, s x25519.Key, beta, delta []byte) []byte {
	derive := schedule.New(p.insecure())
	var keys schedule.Keys
	derive.Derive(&keys, &alpha, &y, &s)
	beta, delta = slices.Clone(beta), slices.Clone(delta)
	symmetric.XORKeyStream(beta, beta, keys.Stream())
	if err := lioness.New(keys.Payload()).Encrypt(delta); err != nil {
		panic(err)
	}
	return slices.Concat(alpha[:], beta, derive.MAC(nil, &keys, beta), delta)
}

// forgeFor is forge for a node and a random α.
func forgeFor(p Params, random io.Reader, n node, beta, delta []byte) []byte {
	x := x25519.Key(randomBytes(random, KeySize))
	y := x25519.Key(n.key.public)
	var alpha, s x25519.Key
	x25519.Public(&alpha, &x)
	x25519.Shared(&s, &x, &y)
	return forge(p, alpha, y, s, beta, delta)
}

// exitBeta is the β of a packet that ends where it is opened.
func exitBeta(p Params) []byte { return make([]byte, p.betaSize()) }

// forwardDelta is the payload of a packet that ends where it is opened.
func forwardDelta(p Params, destination, message string) []byte {
	delta := make([]byte, p.PayloadSize)
	n := kappa
	n += copy(delta[n:], append([]byte{byte(len(destination))}, destination...))
	n += copy(delta[n:], message)
	if !wire.Pad(delta, n) {
		panic("message does not fit")
	}
	return delta
}

// replayFunc is a Replay in one function.
type replayFunc func(tags []Tag, fresh []bool) error

func (f replayFunc) Fresh(tags []Tag, fresh []bool) error { return f(tags, fresh) }

// acceptAll calls every packet new.
var acceptAll = replayFunc(func(_ []Tag, fresh []bool) error {
	for i := range fresh {
		fresh[i] = true
	}
	return nil
})

// requireRefused opens a copy of packet and requires err itself, no layer, no question to the replay set, and that the
// packet stays as it was.
func requireRefused(t testing.TB, p Params, n node, packet []byte, err error, about ...any) {
	t.Helper()
	u := n.unwrapper(t, p, replayFunc(func([]Tag, []bool) error {
		t.Error("a packet without a valid MAC got to the replay set")
		return nil
	}))
	after := slices.Clone(packet)
	layer, got := u.Unwrap(after)
	if got != err { // the sentinel itself: errors.Is would let a wrapper through
		require.Failf(t, "wrong error", "%v, not %v %v", got, err, about)
	}
	require.Equal(t, Layer{}, layer, about...)
	require.Equal(t, packet, after, about...)
}
