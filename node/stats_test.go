package node_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
)

// TestHistoryAddsUp: a packet that comes and a sample that begins while Stats is at work make no sample that is out of
// order, and no packet that is in none or in two, or in one as less than nothing.
func TestHistoryAddsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := unmixed(t)
		mix, alice := n.Mixes[0], n.Link("alice", nil, 0)
		pass := func() {
			send(t, alice, wrap(t, n, "inbox", "", 0))
			sleep(node.SamplePeriod)
			send(t, alice, wrap(t, n, "inbox", "", 0)) // whose batch begins a sample
			synctest.Wait()
		}
		require.Len(t, mix.Stats().History, 1, "which begins the first")
		pass()
		mix.OnStats(pass)
		for want := range 2 {
			stats := mix.Stats()
			var received, sent, batches uint64
			for _, sample := range stats.History {
				require.LessOrEqual(t, sample.Received, stats.Received)
				received += sample.Received
				sent += sample.Sent
				batches += sample.Batches
			}
			require.Equal(t, stats.Received, received)
			require.Equal(t, stats.Served, sent)
			require.Equal(t, stats.Batches, batches)
			require.EqualValues(t, 2+2*want, received)
			require.True(t, slices.IsSortedFunc(stats.History, func(a, b node.Sample) int { return a.At.Compare(b.At) }))
		}
	})
}
