package directory

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/nodetest/printing"
	"sphinxmix.example/sphinx"
)

func TestNewServerRefuses(t *testing.T) {
	good := ServerConfig{Key: directoryKey, Network: network}
	_, err := NewServer(good)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		spoil func(*ServerConfig)
		want  error
	}{
		"no key":              {func(c *ServerConfig) { c.Key = nil }, ErrKey},
		"no network":          {func(c *ServerConfig) { c.Network = Network{} }, sphinx.ErrParams},
		"no epoch":            {func(c *ServerConfig) { c.Network.Epoch = 0 }, ErrNetwork},
		"insecure schedule":   {func(c *ServerConfig) { c.Network.Schedule++ }, ErrInsecureSchedule},
		"lifetime too short":  {func(c *ServerConfig) { c.Lifetime = 2*time.Second - 1 }, nil},
		"lifetime negative":   {func(c *ServerConfig) { c.Lifetime = -time.Hour }, nil},
		"negative node limit": {func(c *ServerConfig) { c.MaxNodes = -1 }, nil},
		"node limit too high": {func(c *ServerConfig) { c.MaxNodes = MaxNodes + 1 }, nil},
		"negative new nodes":  {func(c *ServerConfig) { c.MaxNewNodes = -1 }, nil},
		"too many new nodes":  {func(c *ServerConfig) { c.MaxNewNodes = MaxNodes + 1 }, nil},
		"a policy of nobody":  {func(c *ServerConfig) { c.Policy = policyOf(t, 1, nil) }, nil},
		"no policy":           {func(c *ServerConfig) { c.PolicyKey = public(policyKey) }, nil},
		"a policy of another": {func(c *ServerConfig) { c.Policy, c.PolicyKey = policyOf(t, 1, nil), public(identity(1)) }, ErrPolicy},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			c.spoil(&cfg)
			_, err := NewServer(cfg)
			require.Error(t, err)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
		})
	}
}

func TestRegisteredNodesAreInTheView(t *testing.T) {
	_, client, _ := serve(t, ServerConfig{})
	for n := byte(1); n <= 5; n++ {
		require.NoError(t, client.Register(t.Context(), signed(t, n, describe(n))))
	}
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Equal(t, network, v.Network)
	require.Len(t, v.Nodes, 5)
	for n := byte(1); n <= 5; n++ {
		require.Equal(t, describe(n), *mustNode(t, v, n))
	}
}

func TestOnlyAHigherVersionReplacesANode(t *testing.T) {
	_, client, _ := serve(t, ServerConfig{})
	first := describe(1)
	moved := describe(1)
	moved.Address = "moved.example:4000"
	moved.Version++
	moved.Expires = moved.Expires.Add(-time.Second)
	require.NoError(t, client.Register(t.Context(), signed(t, 1, first)))
	require.NoError(t, client.Register(t.Context(), signed(t, 1, moved)))
	require.ErrorIs(t, client.Register(t.Context(), signed(t, 1, first)), ErrRefused)
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Equal(t, moved, *mustNode(t, v, 1))
	require.Len(t, v.Nodes, 1)
}

func TestAnOldDescriptorStaysOldAfterTheNodeExpired(t *testing.T) {
	_, client, now := serve(t, ServerConfig{MaxNodes: 1})
	first, last := describe(1), describe(1)
	first.Expires, last.Expires = start.Add(time.Minute), start.Add(2*time.Minute)
	last.Version++
	require.NoError(t, client.Register(t.Context(), signed(t, 1, first)))
	require.NoError(t, client.Register(t.Context(), signed(t, 1, last)))
	now.advance(2 * time.Minute)
	require.NoError(t, client.Register(t.Context(), signed(t, 2, describe(2))), "no room was made")
	require.ErrorIs(t, client.Register(t.Context(), signed(t, 1, first)), ErrRefused)
	require.ErrorIs(t, client.Register(t.Context(), signed(t, 1, last)), ErrRefused)
}

func TestAnotherIdentityDoesNotTakeANodeID(t *testing.T) {
	s, client, _ := serve(t, ServerConfig{})
	// Two identities with one id take 2⁴⁸ tries, so the server is told that it met the other one before.
	holder := describe(2)
	s.roster.records[NodeIDOf(public(identity(1)))] = recordOf(&holder, signed(t, 2, holder))
	d := describe(1)
	d.Version++
	answer, text := ask(t, http.MethodPost, client.URLs[0]+"/v1/descriptor", signed(t, 1, d))
	require.Equal(t, http.StatusConflict, answer.StatusCode)
	require.Contains(t, text, ErrTaken.Error())
}

func TestRegisteringTwiceChangesNothing(t *testing.T) {
	s, client, _ := serve(t, ServerConfig{})
	b := signed(t, 1, describe(1))
	require.NoError(t, client.Register(t.Context(), b))
	before := published(t, s)
	require.NoError(t, client.Register(t.Context(), b))
	require.Same(t, before, published(t, s))
}

func TestExpiredNodesLeaveTheDirectory(t *testing.T) {
	s, client, now := serve(t, ServerConfig{MaxNodes: 1})
	require.NoError(t, client.Register(t.Context(), signed(t, 1, describe(1))))
	require.ErrorIs(t, client.Register(t.Context(), signed(t, 2, describe(2))), ErrRefused)
	now.advance(time.Hour - time.Second)
	require.ErrorIs(t, client.Register(t.Context(), signed(t, 2, describe(2))), ErrRefused)
	now.advance(time.Second)
	later := describe(2)
	later.Expires = now.Now().Add(time.Hour)
	require.NoError(t, client.Register(t.Context(), signed(t, 2, later)))
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, v.Nodes, 1)
	require.Equal(t, later, *mustNode(t, v, 2))

	now.advance(time.Hour)
	require.Empty(t, viewOfServer(t, s).Nodes)
	require.Empty(t, s.roster.records)
	require.Zero(t, s.roster.size)
}

// TestNoVerbPrintsTheKey of a directory, wherever in a value that is printed its server stands.
func TestNoVerbPrintsTheKey(t *testing.T) {
	s, _, _ := serve(t, ServerConfig{})
	published(t, s)
	printing.RequireHidden(t, s, directoryKey.Seed())
	require.Equal(t, fmt.Sprintf("directory.Server(%x)", public(directoryKey)), fmt.Sprint(s))
}
