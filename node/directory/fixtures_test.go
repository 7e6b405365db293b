package directory

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/sphinx"
)

var (
	network = Network{Params: sphinx.Params{MaxHops: 5, PayloadSize: 1024}, Epoch: time.Hour, MeanDelay: 50 * time.Millisecond}
	start   = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
)

func identity(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

var directoryKey = identity(200)

func public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

func mixKey(n byte) (key sphinx.PublicKey) {
	copy(key[:], bytes.Repeat([]byte{n + 2}, sphinx.KeySize))
	return key
}

// describe returns a descriptor of node n that is good for an hour from start, as it is when it has been read.
func describe(n byte) Descriptor {
	return Descriptor{
		Identity: public(identity(n)),
		Address:  "mix.example:4000",
		Keys:     []EpochKey{{Epoch: 7, Key: mixKey(n)}},
		Services: []string{"echo"},
		Network:  network.Hash(),
		Weight:   DefaultWeight,
		Version:  1,
		Expires:  start.Add(time.Hour),
		id:       NodeIDOf(public(identity(n))),
	}
}

func signed(t testing.TB, n byte, d Descriptor) []byte {
	t.Helper()
	b, err := SignDescriptor(identity(n), d)
	require.NoError(t, err)
	return b
}

// resign signs d as it is, whatever is wrong with it.
func resign(n byte, d Descriptor) []byte { return sign(identity(n), descriptorContext, d.encode()) }

// viewOf returns a signed view, good for an hour from start, with the descriptors in the order of their ids.
func viewOf(version uint64, descriptors ...[]byte) []byte {
	slices.SortFunc(descriptors, func(a, b []byte) int { return compare(idIn(a), idIn(b)) })
	return headerOf(version).sign(directoryKey, encodeRest(nil, descriptors))
}

// resealed signs a view as it is, whatever is wrong with it.
func resealed(view []byte) []byte {
	rest := view[stampSize:]
	hash := sha256.Sum256(rest)
	head := slices.Concat(view[ed25519.SignatureSize:stampSize-len(hash)], hash[:])
	return slices.Concat(sign(directoryKey, viewContext, head), rest)
}

func headerOf(version uint64) *View {
	return &View{Version: version, Published: start, Expires: start.Add(time.Hour), Network: network}
}

func idIn(signed []byte) NodeID {
	return NodeIDOf(signed[ed25519.SignatureSize:][:ed25519.PublicKeySize])
}

// clock is a time that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: start} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// serve runs a directory on loopback and returns it with a client of it, both on one clock.
func serve(t *testing.T, cfg ServerConfig) (*Server, *Client, *clock) {
	t.Helper()
	now := newClock()
	cfg.Key, cfg.Network, cfg.Now = directoryKey, network, now.Now
	s, err := NewServer(cfg)
	require.NoError(t, err)
	host := httptest.NewServer(s)
	t.Cleanup(host.Close)
	return s, &Client{URLs: []string{host.URL}, Key: public(directoryKey), Now: now.Now}, now
}

// published returns the view that s gives out.
func published(t *testing.T, s *Server) *publication {
	t.Helper()
	p, err := s.publish(t.Context())
	require.NoError(t, err)
	return p
}

// viewOfServer returns that view as a client understands it.
func viewOfServer(t *testing.T, s *Server) *View {
	t.Helper()
	v, err := ParseView(published(t, s).signed, public(directoryKey), s.cfg.Now())
	require.NoError(t, err)
	return v
}
