package directory

import (
	"bytes"
	"crypto/ed25519"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhoLeavesIsListedNoMore(t *testing.T) {
	s, client, _ := serve(t, ServerConfig{})
	require.NoError(t, client.Register(t.Context(), signed(t, 1, describe(1))))
	require.NoError(t, client.Register(t.Context(), signed(t, 2, describe(2))))
	require.Len(t, viewOfServer(t, s).Nodes, 2)
	require.NoError(t, client.Leave(t.Context(), SignLeave(identity(1), 2)))
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, v.Nodes, 1)
	require.Equal(t, describe(2), *mustNode(t, v, 2))
	require.NoError(t, client.Leave(t.Context(), SignLeave(identity(1), 2)), "the same once more")
}

func TestWhoHasLeftIsNotBroughtBack(t *testing.T) {
	s, client, now := serve(t, ServerConfig{})
	long, last := describe(1), describe(1)
	long.Expires = start.Add(6 * time.Hour)
	last.Version = 2
	recorded := [][]byte{signed(t, 1, long), signed(t, 1, last)}
	for _, b := range recorded {
		require.NoError(t, client.Register(t.Context(), b))
	}
	require.NoError(t, client.Leave(t.Context(), SignLeave(identity(1), 3)))
	require.Empty(t, viewOfServer(t, s).Nodes)
	for range 6 {
		for _, b := range recorded {
			require.ErrorIs(t, client.Register(t.Context(), b), ErrRefused)
		}
		require.Empty(t, viewOfServer(t, s).Nodes)
		now.advance(time.Hour)
	}
	require.Empty(t, viewOfServer(t, s).Nodes)
	require.Empty(t, s.roster.records, "remembered for longer than anybody could bring it back")
	require.Empty(t, s.roster.paces)
}

// The same holds for a node that does not leave, but has a descriptor that is good for longer than its last.
func TestAnOldDescriptorThatOutlivesTheLastIsNotBroughtBack(t *testing.T) {
	s, client, now := serve(t, ServerConfig{MaxNodes: 1})
	long, last := describe(1), describe(1)
	long.Expires = start.Add(6 * time.Hour)
	last.Version = 2
	require.NoError(t, client.Register(t.Context(), signed(t, 1, long)))
	require.NoError(t, client.Register(t.Context(), signed(t, 1, last)))
	now.advance(2 * time.Hour)
	require.ErrorIs(t, client.Register(t.Context(), signed(t, 1, long)), ErrRefused)
	require.Empty(t, viewOfServer(t, s).Nodes)
	require.ErrorIs(t, client.Register(t.Context(), signed(t, 1, long)), ErrRefused)

	back := describe(1)
	back.Version, back.Expires = 3, now.Now().Add(time.Hour)
	require.NoError(t, client.Register(t.Context(), signed(t, 1, back)))
	require.Len(t, viewOfServer(t, s).Nodes, 1)
}

func TestALeaveIsNotReplayedAgainstWhoCameBack(t *testing.T) {
	s, client, _ := serve(t, ServerConfig{})
	require.NoError(t, client.Register(t.Context(), signed(t, 1, describe(1))))
	left := SignLeave(identity(1), 2)
	require.NoError(t, client.Leave(t.Context(), left))
	back := describe(1)
	back.Version = 3
	require.NoError(t, client.Register(t.Context(), signed(t, 1, back)))
	require.ErrorIs(t, client.Leave(t.Context(), left), ErrRefused)
	require.Len(t, viewOfServer(t, s).Nodes, 1)
}

func TestWhoIsNotListedLeavesNoTrace(t *testing.T) {
	s, client, _ := serve(t, ServerConfig{})
	before := published(t, s)
	require.NoError(t, client.Leave(t.Context(), SignLeave(identity(1), 2)))
	require.Empty(t, s.roster.records)
	require.Same(t, before, published(t, s))
}

func TestWhoHasLeftKeepsAPlaceUntilTheDescriptorExpires(t *testing.T) {
	s, client, now := serve(t, ServerConfig{MaxNodes: 2})
	for n := byte(1); n <= 2; n++ {
		require.NoError(t, client.Register(t.Context(), signed(t, n, describe(n))))
		require.NoError(t, client.Leave(t.Context(), SignLeave(identity(n), 2)))
	}
	require.ErrorContains(t, client.Register(t.Context(), signed(t, 3, describe(3))), ErrFull.Error())
	require.Zero(t, s.roster.size)
	now.advance(time.Hour)
	later := describe(3)
	later.Expires = now.Now().Add(time.Hour)
	require.NoError(t, client.Register(t.Context(), signed(t, 3, later)))
	require.Len(t, s.roster.records, 1)
}

func TestNobodyLeavesForAnother(t *testing.T) {
	s, client, _ := serve(t, ServerConfig{})
	require.NoError(t, client.Register(t.Context(), signed(t, 1, describe(1))))
	good := SignLeave(identity(1), 2)
	require.Len(t, good, LeaveSize)
	requireAllSigned(t, good, func(b []byte) error { _, _, err := parseLeave(b); return err })

	body := good[ed25519.SignatureSize:]
	future := uint64(start.Add(clockSlack).UnixMilli()) + 1
	nobody := append(make([]byte, ed25519.SignatureSize+ed25519.PublicKeySize), 0, 0, 0, 0, 0, 0, 0, 2)
	nobody[0], nobody[ed25519.SignatureSize] = 1, 1
	for name, c := range map[string]struct {
		body   []byte
		status int
		says   string
	}{
		"nothing":                    {nil, 400, "malformed leave"},
		"by another":                 {sign(identity(2), leaveContext, body), 403, "wrong signature"},
		"in another context":         {sign(identity(1), descriptorContext, body), 403, "wrong signature"},
		"by nobody":                  {nobody, 403, "low order"},
		"a descriptor":               {signed(t, 1, describe(1)), 413, "at most 104 bytes"},
		"too long":                   {append(bytes.Clone(good), 0), 413, "at most 104 bytes"},
		"older than the descriptor":  {SignLeave(identity(1), 0), 409, "must have a higher one"},
		"as old":                     {SignLeave(identity(1), 1), 409, "must have a higher one"},
		"from a clock that is wrong": {SignLeave(identity(1), future), 422, "is the node's clock right?"},
	} {
		t.Run(name, func(t *testing.T) {
			answer, text := ask(t, http.MethodPost, client.URLs[0]+"/v1/leave", c.body)
			require.Equal(t, c.status, answer.StatusCode)
			require.Contains(t, text, c.says)
			require.Equal(t, 1, strings.Count(text, "\n"))
		})
	}
	_, err := ParseDescriptor(good, start)
	require.Error(t, err)
	require.Len(t, viewOfServer(t, s).Nodes, 1)
}

func TestVersionsFromTheFutureAreRefused(t *testing.T) {
	_, client, now := serve(t, ServerConfig{})
	d := describe(1)
	d.Version = uint64(now.Now().Add(clockSlack).UnixMilli()) + 1
	err := client.Register(t.Context(), signed(t, 1, d))
	require.ErrorContains(t, err, "is the node's clock right?")
	d.Version--
	require.NoError(t, client.Register(t.Context(), signed(t, 1, d)))
	now.advance(clockSlack)
	d.Version++
	d.Expires = now.Now().Add(time.Hour)
	require.NoError(t, client.Register(t.Context(), signed(t, 1, d)), "a clock that was a day ahead locked the node out for longer")
}
