package node_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/nodetest"
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
			for _, sample := range stats.History {
				require.LessOrEqual(t, sample.Received, stats.Received)
			}
			sum := stats.Since(time.Time{})
			require.Equal(t, stats.Received, sum.Received)
			require.Equal(t, stats.Served, sum.Sent)
			require.Equal(t, stats.Batches, sum.Batches)
			require.EqualValues(t, 2+2*want, sum.Received)
			require.True(t, slices.IsSortedFunc(stats.History, func(a, b node.Sample) int { return a.At.Compare(b.At) }))
		}
	})
}

// TestMixCountsOnceInABatch, whatever view of the network it is listed in and whatever link it comes with: a batch is not
// said to hide its packets among more senders than there are.
func TestMixCountsOnceInABatch(t *testing.T) {
	for name, between := range map[string]func(*testing.T, *nodetest.Network, *link.Conn) *link.Conn{
		"with a new link": func(_ *testing.T, n *nodetest.Network, mix *link.Conn) *link.Conn {
			mix.Close()
			synctest.Wait()
			return n.Link("mix1", n.Mixes[1].Identity, 0)
		},
		"in a new view": func(t *testing.T, n *nodetest.Network, mix *link.Conn) *link.Conn {
			before := n.Mixes[0].View()
			n.Stop(2)
			n.Start(2)
			require.NotSame(t, before, n.Mixes[0].View())
			return mix
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				box := &inbox{}
				n := nodetest.Start(t, nodetest.Config{Mixes: 3, Node: withInbox(box, func(cfg *node.Config) {
					cfg.Mix.Size, cfg.Mix.Interval = batchSize, time.Hour
				})})
				mix := n.Link("mix1", n.Mixes[1].Identity, 0)
				send(t, mix, wrap(t, n, "inbox", "before", 0))
				synctest.Wait()
				mix = between(t, n, mix)
				send(t, mix, wrap(t, n, "inbox", "after", 0))
				sleep(time.Hour)
				require.Equal(t, []string{"after", "before"}, box.sorted())
				for _, sample := range n.Mixes[0].Stats().History {
					require.LessOrEqual(t, sample.MaxSenders, 1)
				}
			})
		})
	}
}
