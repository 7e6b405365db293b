package system_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/directory"
)

// paths are those of CloudProxy's largest test, by the numbers of the nodes.
var paths = [][]int{{0, 1, 2}, {0, 4, 2}, {3, 4, 5}, {3, 1, 5}}

// TestTwentyClientsOnFourPaths is CloudProxy's largest test, with what it left out: replies are compared with what was
// sent, messages have any length, and batches are of a size that does not divide the senders. At gateways they fill; at
// the other nodes, which hear from one address, they wait for their interval.
func TestTwentyClientsOnFourPaths(t *testing.T) {
	for _, size := range []int{7, 3} {
		t.Run(fmt.Sprintf("batch=%d", size), func(t *testing.T) { clientsOnFourPaths(t, 20, size, 10) })
	}
}

// TestTwoHundredClientsOnFourPaths is ten times that.
func TestTwoHundredClientsOnFourPaths(t *testing.T) {
	clientsOnFourPaths(t, 200, 7, 5)
}

func clientsOnFourPaths(t *testing.T, clients, batch, messages int) {
	n := start(t, plan{nodes: 6, node: func(int) settings {
		return settings{"mix.size": fmt.Sprint(batch), "mix.interval": `"100ms"`}
	}})
	var tasks []task
	want := make(map[string]int)
	for i := range clients {
		var via []directory.NodeID
		for _, node := range paths[i%len(paths)] {
			via = append(via, n.nodes[node].id)
		}
		want[wayOf(via)] += messages
		tasks = append(tasks, task{
			Via:      via,
			Messages: messages,
			AtOnce:   2,
			Sizes:    []int{0, 1, 1000, 1800, 5000, 20_000},
		})
	}
	clientsAre := n.startLoad(0, tasks...)
	clientsAre.tell(orderGo)
	r := clientsAre.hear()
	t.Log(r)
	r.requireAll(t, clients*messages)
	require.Len(t, r.Ways, len(want), "no message goes by a path that its client has not fixed")
	for way, count := range want {
		require.GreaterOrEqual(t, r.Ways[way], count, "every message goes by the path that its client has fixed")
	}

	c := n.requireNothingLost()
	t.Logf("%d cells were sent, %d of them again after a long wait", c.Served, c.Served-uint64(r.Cells))
	for i, m := range n.nodes {
		s := m.mustStats()
		last := i == 2 || i == 5
		require.Equal(t, last, s.Served > 0, "%s: only the last hop of a path serves", m.name)
		require.Equal(t, i == 0 || i == 3, s.Delivered > 0, "%s: replies come to gateways alone", m.name)
		t.Logf("%s: %d packets, %d batches of %s senders", m.name, s.Received, s.Batches, senders(s))
	}
}
