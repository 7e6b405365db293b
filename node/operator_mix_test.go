package node_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/nodetest"
)

// get returns what the operator of n sees.
func get(n *nodetest.Mix, path string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	request := httptest.NewRequest("GET", "http://localhost"+path, nil)
	node.NewOperator(n.Stats).ServeHTTP(answer, request)
	return answer
}

// TestOperatorSeesTheMix: what it does, what it refuses, and that it is not well when its view is gone.
func TestOperatorSeesTheMix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := &inbox{}
		n := nodetest.Start(t, nodetest.Config{Mixes: 4, Node: withInbox(box, func(cfg *node.Config) { cfg.Cover.Loops = 0.1 })})
		mix := n.Mixes[0]
		require.Equal(t, "ok\n", get(mix, "/healthz").Body.String())

		alice := n.Link("alice", nil, 0)
		packet := wrap(t, n, "inbox", "hello", 0)
		send(t, alice, packet, packet)
		sleep(10 * time.Minute)
		require.Equal(t, []string{"hello"}, box.sorted())
		var s node.Stats
		require.NoError(t, json.Unmarshal(get(mix, "/stats").Body.Bytes(), &s))
		require.Equal(t, mix.ID(), s.Node)
		require.EqualValues(t, 1, s.Served)
		require.EqualValues(t, 1, s.Dropped[node.DropReplay])
		require.Positive(t, s.LoopsReturned)
		require.Len(t, s.Peers, 3)
		require.True(t, slices.IsSortedFunc(s.Peers, func(a, b node.PeerStats) int { return bytes.Compare(a.Node[:], b.Node[:]) }))
		require.Len(t, s.Epochs, 2, "the current one and the next")
		metrics := get(mix, "/metrics").Body.String()
		require.Contains(t, metrics, "\nmixnet_packets_dropped_total{reason=\"replay\"} 1\n")
		require.Contains(t, metrics, "\nmixnet_node_state{state=\"serving\"} 1\n")
		require.NotContains(t, metrics, "alice")

		n.StopDirectory()
		sleep(time.Until(s.View.Expires))
		answer := get(mix, "/healthz")
		require.Equal(t, http.StatusServiceUnavailable, answer.Code)
		require.Contains(t, answer.Body.String(), "view of the network expired")
	})
}
