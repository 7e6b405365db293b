package system_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
)

// TestNodeLeavesWithoutLoss: told to stop while packets flow, a node leaves the view, sends what it holds and exits with
// status 0, and every message gets its reply.
func TestNodeLeavesWithoutLoss(t *testing.T) {
	n := start(t, plan{
		nodes:     6,
		directory: settings{"network.epoch": `"8s"`}, // of which clients look at the directory two or three times
		node: func(int) settings {
			return settings{"mix.size": "3", "mix.interval": `"20ms"`, "drain": `"10m"`}
		},
	})
	l := n.startLoad(0, task{AtOnce: 4, Sizes: []int{10, 1000, 4000}}.so(4)...)
	l.tell(orderGo)
	m := n.nodes[0]
	await(t, "packets flow", func() bool { return m.mustStats().Received > 1000 })
	m.signal(syscall.SIGTERM)
	told := time.Now()
	var last node.Stats // before it was gone
	var asked time.Time // for these
	await(t, "the node is not listed any more", func() bool {
		if s, err := m.stats(); err == nil {
			last = s
		}
		_, listed := n.view().Node(m.id)
		return !listed
	})
	await(t, "the node is gone", func() bool {
		now := time.Now()
		if s, err := m.stats(); err == nil {
			require.Equal(t, node.Leaving, s.State)
			last, asked = s, now
		}
		return !m.runs()
	})
	status, text := m.state()
	require.Zero(t, status, text)
	t.Logf("gone after %.1f s", time.Since(told).Seconds())
	if time.Since(asked) < 2*time.Second { // twice its refresh: for so long it has had nothing to open
		require.Zero(t, last.Held)
	}

	l.tell(orderReport)
	before := l.hear()
	l.tell(orderStop)
	after := l.hear()
	t.Logf("until then %v", before)
	t.Logf("afterwards %v", after)
	require.Empty(t, before.Wrong)
	require.Empty(t, after.Wrong)
	require.NotZero(t, after.Answered)
	c := n.counts()
	c.Add(last.Counts)
	cells := uint64(before.Cells + after.Cells)
	t.Logf("cells were served %d times for %d that were sent; dropped: %v", c.Served, cells, c.Dropped)
	delete(c.Dropped, node.DropNoClient) // a client that leaves its gateway in time asks again for the replies under way
	require.Empty(t, c.Dropped)
}

// TestSecondSignalEndsANodeAtOnce, with a status that says so, as long as the first has not ended it.
func TestSecondSignalEndsANodeAtOnce(t *testing.T) {
	n := start(t, plan{nodes: 1, node: func(int) settings { return settings{"refresh": `"1m"`, "drain": `"10m"`} }})
	m := n.nodes[0]
	m.signal(syscall.SIGTERM)
	await(t, "the node is leaving", func() bool {
		s, err := m.stats()
		return err == nil && s.State == node.Leaving
	})
	require.True(t, m.runs())
	m.signal(syscall.SIGTERM)
	await(t, "the node is gone", func() bool { return !m.runs() })
	status, text := m.state()
	require.NotZero(t, status, text)
	t.Log(text)

	n.directory.signal(syscall.SIGTERM)
	await(t, "the directory is gone", func() bool { return !n.directory.runs() })
	status, text = n.directory.state()
	require.Zero(t, status, text)
}
