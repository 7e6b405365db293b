package directory

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

func TestTheServerKnowsTheSizeOfItsView(t *testing.T) {
	s, _, now := serve(t, ServerConfig{})
	requireSize := func() { t.Helper(); require.Len(t, published(t, s).signed, minViewSize+s.roster.size) }
	requireSize()
	for n := byte(1); n <= 3; n++ {
		require.NoError(t, s.register(t.Context(), signed(t, n, describe(n)), ""))
		requireSize()
	}
	larger := full(1)
	larger.Version = 2
	larger.Expires = larger.Expires.Add(time.Second)
	require.NoError(t, s.register(t.Context(), signed(t, 1, larger), ""))
	requireSize()
	smaller := describe(1)
	smaller.Version = 3
	smaller.Expires = larger.Expires.Add(time.Second)
	require.NoError(t, s.register(t.Context(), signed(t, 1, smaller), ""))
	requireSize()
	now.advance(time.Hour)
	requireSize()
	require.Len(t, viewOfServer(t, s).Nodes, 1)
}

func TestTheViewNeverOutgrowsItsLimit(t *testing.T) {
	s, _, _ := serve(t, ServerConfig{})
	require.NoError(t, s.register(t.Context(), signed(t, 1, full(1)), ""))
	s.roster.size = maxListSize - (nodePrefixSize + MaxDescriptorSize) // as if many others were listed
	require.NoError(t, s.register(t.Context(), signed(t, 2, full(2)), ""))
	require.Equal(t, maxListSize, s.roster.size)
	require.ErrorIs(t, s.register(t.Context(), signed(t, 3, describe(3)), ""), ErrFull)

	renewed := full(2)
	renewed.Version = 2
	require.NoError(t, s.register(t.Context(), signed(t, 2, renewed), ""), "a node that is listed needs no more room")
	require.Equal(t, maxListSize, s.roster.size)
	smaller := describe(2)
	smaller.Version = 3
	require.NoError(t, s.register(t.Context(), signed(t, 2, smaller), ""))
	larger := full(2)
	larger.Version = 4
	require.NoError(t, s.register(t.Context(), signed(t, 3, describe(3)), ""))
	require.ErrorIs(t, s.register(t.Context(), signed(t, 2, larger), ""), ErrFull, "a node that is listed grows over the limit")

	// The largest view of the largest nodes can be encoded, with the largest policy.
	nodes := make([][]byte, maxListSize/(nodePrefixSize+MaxDescriptorSize))
	for i := range nodes {
		nodes[i] = make([]byte, MaxDescriptorSize)
	}
	rest := maxListSize - len(nodes)*(nodePrefixSize+MaxDescriptorSize)
	nodes = append(nodes, make([]byte, rest-nodePrefixSize))
	b := headerOf(1).sign(directoryKey, encodeRest(make([]byte, tao.MaxPolicySize), nodes))
	require.Len(t, b, MaxViewSize)
	_, err := parse(b)
	require.ErrorContains(t, err, "node 0")
}
