package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"

	"sphinxmix.example/client"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/tao"
)

// TestRefusalsSayHowManyAndWhy the first, and what tells more.
func TestRefusalsSayHowManyAndWhy(t *testing.T) {
	refused := []directory.Refusal{
		{Node: directory.NodeID{0xab}, Address: "mix.example.org:7000", Err: fmt.Errorf("%w: 12 has run", tao.ErrProgram)},
		{Node: directory.NodeID{0xcd}, Address: "other.example.org:7000", Err: tao.ErrRevoked},
	}
	require.Equal(t, "the network's policy refuses 2 mixes, ab0000000000000000000000 at mix.example.org:7000 for one: "+
		"the policy does not know the program: 12 has run; 'mixnet policy explain' says more", refusals(refused))
	refused = refused[:1]
	require.Contains(t, refusals(refused), "refuses 1 mix, ab")
	err := error(&refusedError{fmt.Errorf("%w: paths of 3 take 4 mixes, and it has 0", client.ErrNetwork), refusals(refused)})
	require.True(t, errors.Is(err, client.ErrNetwork))
}

// startLiar starts a directory that lists mixes without evidence although its policy wants some, and returns the flags
// by which clients find it.
func startLiar(t *testing.T, mixes int) (flags []string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	policy := signPolicy(t, 1, time.Hour, nil)
	honest, err := directory.NewServer(directory.ServerConfig{
		Key: key, Network: localNet, Policy: policy, PolicyKey: testPolicy.Public().(ed25519.PublicKey),
	})
	require.NoError(t, err)
	shown := httptest.NewRecorder()
	honest.ServeHTTP(shown, httptest.NewRequest(http.MethodGet, "/v1/view", nil))
	require.Equal(t, http.StatusOK, shown.Code)

	var listed [][]byte
	for i := range mixes {
		_, identity, err := ed25519.GenerateKey(nil)
		require.NoError(t, err)
		signed, err := directory.SignDescriptor(identity, directory.Descriptor{
			Address: fmt.Sprintf("127.0.0.1:%d", i+1), Network: localNet.Hash(), Weight: 1, Version: 1, Expires: time.Now().Add(time.Hour),
			Keys: []directory.EpochKey{{Epoch: localNet.EpochAt(time.Now()), Key: [32]byte{9}}},
		})
		require.NoError(t, err)
		listed = append(listed, signed)
	}
	slices.SortFunc(listed, func(a, b []byte) int { // the identity stands behind the signature
		x, y := directory.NodeIDOf(a[64:96]), directory.NodeIDOf(b[64:96])
		return bytes.Compare(x[:], y[:])
	})
	const hashAt = ed25519.SignatureSize + 3*8 + 14 // behind version, dates and network
	var rest cryptobyte.Builder
	rest.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(policy) })
	rest.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, signed := range listed {
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(signed) })
		}
	})
	hash := sha256.Sum256(rest.BytesOrPanic())
	stamp := append(bytes.Clone(shown.Body.Bytes()[ed25519.SignatureSize:hashAt]), hash[:]...)
	view := slices.Concat(ed25519.Sign(key, append([]byte("sphinxmix view v2\x00"), stamp...)), stamp, rest.BytesOrPanic())
	liar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(view) }))
	t.Cleanup(liar.Close)
	return []string{"--directory", liar.URL, "--key", fmt.Sprintf("%x", key.Public()), "--policy-key", testPolicyKey}
}

// TestNetworkOfMixesThatAreRefused is too small, and every command says by whom that is so.
func TestNetworkOfMixesThatAreRefused(t *testing.T) {
	flags := startLiar(t, 5)
	const said = `take 4 mixes, and it has 0; the policy refuses 5 more, the first since: the evidence is malformed: there is none; ` +
		`that is [0-9a-f]{24} at 127\.0\.0\.1:\d; 'mixnet policy explain' says more`
	for _, command := range [][]string{{"send", "hello"}, {"ping"}, {"proxy", "--listen", "127.0.0.1:0"}} {
		_, err := run(t, "", append(command, flags...)...)
		require.Error(t, err)
		require.Regexp(t, said+"$", err.Error())
	}
	config := filepath.Join(t.TempDir(), "proxy", "proxy.toml")
	_, err := run(t, "", append([]string{"init", "proxy", "--dir", filepath.Dir(config), "--listen", "127.0.0.1:0"}, flags...)...)
	require.NoError(t, err)
	start(t, "proxy", "--config", config).says(t, "the first since: the evidence is malformed: there is none; that is ")

	// Programs of a proxy that has had a network are told, too.
	known, _, err := (&access{urls: flags[1:2], key: flags[3], policyKey: flags[5]}).directory()
	require.NoError(t, err)
	view, err := known.Fetch(t.Context())
	require.NoError(t, err)
	for _, lost := range []error{client.ErrNetwork, client.ErrNoService, client.ErrView} {
		dial := sayingRefusals(func(context.Context, string, string) (net.Conn, error) { return nil, lost }, func() []directory.Refusal { return view.Refused })
		_, err = dial(t.Context(), "", "a.example.org:80")
		require.ErrorIs(t, err, lost)
		require.Equal(t, lost != client.ErrView, regexp.MustCompile("policy refuses 5 mixes").MatchString(err.Error()))
	}
}

// TestProgramsDoNotHaveTheDirectoryAsked when they get no connection: it would learn when they want one.
func TestProgramsDoNotHaveTheDirectoryAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Mixes: 6, Attested: true, Papers: func(i int, p *nodetest.Papers) {
			if i == 5 {
				p.Rogue, p.Program = true, sha256.Sum256([]byte("another program"))
			}
		}})
		n.Lie()
		time.Sleep(2 * nodetest.Refresh)
		known := n.Directory()
		var asked atomic.Int32
		honest := known.HTTP.Transport
		known.HTTP.Transport = transport(func(r *http.Request) (*http.Response, error) {
			asked.Add(1)
			return honest.RoundTrip(r)
		})
		c, err := client.New(t.Context(), client.Config{Directory: known, Dial: n.Dialer("alice")})
		require.NoError(t, err)
		defer c.Close()
		before := asked.Load()
		require.Positive(t, before)
		dial := sayingRefusals(c.Dial, c.Refused)
		for range 3 {
			_, err := dial(t.Context(), "", "a.example.org:80") // there are no exits here
			require.ErrorIs(t, err, client.ErrNoService)
			require.ErrorContains(t, err, "the network's policy refuses 1 mix, "+n.Mixes[5].ID().String())
		}
		require.Equal(t, before, asked.Load())
	})
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }
