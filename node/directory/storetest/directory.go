package storetest

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/sphinx"
)

var (
	network = directory.Network{Params: sphinx.Params{MaxHops: 5, PayloadSize: 1024}, Epoch: time.Hour}
	key     = identity(200)
	start   = time.Date(2026, 1, 1, 12, 30, 0, 0, time.UTC)
)

func identity(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func idOf(n byte) directory.NodeID {
	return directory.NodeIDOf(identity(n).Public().(ed25519.PublicKey))
}

// descriptor returns a signed descriptor of node n that is good for some time from start.
func descriptor(t *testing.T, n byte, version uint64, lifetime time.Duration) []byte {
	t.Helper()
	signed, err := directory.SignDescriptor(identity(n), directory.Descriptor{
		Address: "mix.example:4000",
		Keys:    []directory.EpochKey{{Key: sphinx.PublicKey(bytes.Repeat([]byte{n + 2}, sphinx.KeySize))}},
		Network: network.Hash(),
		Version: version,
		Expires: start.Add(lifetime),
	})
	require.NoError(t, err)
	return signed
}

// clock is a time that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

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

// host is a server of a directory.
type host struct {
	*httptest.Server
	*directory.Client
}

// serve runs a server of the directory on a store.
func serve(t *testing.T, store directory.Store, now *clock) *host {
	t.Helper()
	handler, err := directory.NewServer(directory.ServerConfig{Key: key, Network: network, Store: store, Now: now.Now})
	require.NoError(t, err)
	h := httptest.NewServer(handler)
	t.Cleanup(h.Close)
	return &host{h, &directory.Client{URLs: []string{h.URL}, Key: key.Public().(ed25519.PublicKey), Now: now.Now}}
}

// fetch returns the view of a client that has seen none before.
func (h *host) fetch(t *testing.T, now *clock) *directory.View {
	t.Helper()
	v, err := (&directory.Client{URLs: h.URLs, Key: h.Key, Now: now.Now}).Fetch(t.Context())
	require.NoError(t, err)
	return v
}

// bytes returns the view as it goes over the wire, and its version.
func (h *host) bytes(t *testing.T) (signed []byte, version uint64) {
	t.Helper()
	answer, err := http.Get(h.Server.URL + "/v1/view")
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	var b bytes.Buffer
	_, err = b.ReadFrom(answer.Body)
	require.NoError(t, err)
	return b.Bytes(), binary.BigEndian.Uint64(b.Bytes()[ed25519.SignatureSize:])
}

func requireListed(t *testing.T, v *directory.View, nodes ...byte) {
	t.Helper()
	require.Len(t, v.Nodes, len(nodes))
	for _, n := range nodes {
		_, listed := v.Node(idOf(n))
		require.True(t, listed, "node %d", n)
	}
}

// directoryRestarts wants a restart to lose nothing and to go back nowhere.
func directoryRestarts(t *testing.T, data Data) {
	now := &clock{now: start}
	store, closeStore := data(t)
	before := serve(t, store, now)
	for n := byte(1); n <= 3; n++ {
		require.NoError(t, before.Register(t.Context(), descriptor(t, n, 2, time.Hour)))
	}
	require.NoError(t, before.Leave(t.Context(), directory.SignLeave(identity(3), 3)))
	first, version := before.bytes(t)
	requireListed(t, before.fetch(t, now), 1, 2)
	before.Close()
	closeStore()

	store = open(t, data)
	after := serve(t, store, now)
	again, _ := after.bytes(t)
	require.Equal(t, first, again, "nothing happened, and yet the view is another one")
	require.ErrorContains(t, after.Register(t.Context(), descriptor(t, 1, 1, time.Hour)), "version 2")
	require.ErrorContains(t, after.Register(t.Context(), descriptor(t, 3, 2, time.Hour)), "version 3", "who left came back")
	require.NoError(t, after.Register(t.Context(), descriptor(t, 3, 4, time.Hour)))

	now.advance(-10 * time.Minute)
	v := after.fetch(t, now)
	requireListed(t, v, 1, 2, 3)
	require.Greater(t, v.Version, version, "the clock went back, and the version with it")
}

// Outage wants a directory to outlive an outage of its store, which stop begins and resume ends.
func Outage(t *testing.T, store directory.Store, stop, resume func()) {
	now := &clock{now: start}
	h := serve(t, store, now)
	require.NoError(t, h.Register(t.Context(), descriptor(t, 1, 1, time.Hour)))
	_, before := h.bytes(t)
	stop()
	now.advance(10 * time.Minute)
	_, during := h.bytes(t) // which waits for as long as that takes
	require.Equal(t, before, during)
	require.ErrorIs(t, h.Register(t.Context(), descriptor(t, 2, 1, time.Hour)), directory.ErrRefused)
	resume()
	now.advance(time.Minute)
	require.NoError(t, h.Register(t.Context(), descriptor(t, 2, 1, time.Hour)))
	requireListed(t, h.fetch(t, now), 1, 2)
}

// directoryCleans wants a store to be empty of nodes some time after they have expired.
func directoryCleans(t *testing.T, data Data) {
	now := &clock{now: start}
	store := open(t, data)
	h := serve(t, store, now)
	for n := byte(1); n <= 3; n++ {
		require.NoError(t, h.Register(t.Context(), descriptor(t, n, 1, time.Minute)))
	}
	require.NoError(t, h.Leave(t.Context(), directory.SignLeave(identity(3), 3)))
	require.NoError(t, h.Register(t.Context(), descriptor(t, 4, 1, 3*time.Hour)))
	now.advance(time.Hour)
	requireListed(t, h.fetch(t, now), 4)
	now.advance(time.Second)
	h.fetch(t, now)
	values, _ := since(t, store, 0)
	require.Len(t, values, 2, "%v", values)
	require.Contains(t, values, "view")
	require.Contains(t, values, "node/"+idOf(4).String())
}

// directoryDoubtsItAll wants nothing that stands in a store to be listed, or to stop a directory, because it stands
// there.
func directoryDoubtsItAll(t *testing.T, data Data) {
	now := &clock{now: start}
	store := open(t, data)
	h := serve(t, store, now)
	require.NoError(t, h.Register(t.Context(), descriptor(t, 1, 1, time.Hour)))
	require.NoError(t, h.Register(t.Context(), descriptor(t, 2, 1, time.Hour)))
	values, mark := since(t, store, 0)
	good := values["node/"+idOf(2).String()]
	require.NotEmpty(t, good)

	forged := bytes.Clone(good)
	forged[len(forged)-1] ^= 1
	endless := bytes.Clone(good)
	binary.BigEndian.PutUint64(endless, uint64(start.Add(365*24*time.Hour).Unix()))
	kind := bytes.Clone(good)
	kind[8] = 9
	for name, value := range map[string][]byte{
		"node/" + idOf(3).String():    good, // of another node
		"node/" + idOf(4).String():    forged,
		"node/" + idOf(5).String():    {},
		"node/" + idOf(2).String():    endless,
		"node/" + idOf(6).String():    kind,
		"node/x":                      good,
		"what was not thought of yet": []byte("?"),
		"view":                        bytes.Repeat([]byte("view"), 100),
	} {
		ok, err := store.Set(t.Context(), name, value, mark)
		require.NoError(t, err)
		require.True(t, ok)
	}
	h = serve(t, store, now)
	requireListed(t, h.fetch(t, now), 1)
	require.NoError(t, h.Register(t.Context(), descriptor(t, 2, 2, time.Hour)))
	requireListed(t, h.fetch(t, now), 1, 2)

	values, mark = since(t, store, 0)
	forged = bytes.Clone(values["view"])
	forged[0] ^= 1
	require.True(t, set(t, store, "view", string(forged), mark))
	requireListed(t, serve(t, store, now).fetch(t, now), 1, 2)
}
