package system_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
)

// TestNoMessageIsLostInCrashes: clients with many messages under way, in a network whose keys change every 10 seconds,
// while one node after the other is ended by SIGKILL and started again, for an epoch and ten crashes at least. Half of
// the nodes keep their keys on disk. Every message gets its reply, which is what was sent, once.
func TestNoMessageIsLostInCrashes(t *testing.T) {
	fewest := 10 // crashes
	if long {
		fewest = 150
	}
	n := start(t, plan{
		nodes:     6,
		directory: settings{"network.epoch": `"10s"`},
		node: func(i int) settings {
			return settings{"keys.keep": fmt.Sprint(i%2 == 0), "mix.size": "3", "mix.interval": `"20ms"`}
		},
	})
	l := n.startLoad(0, task{
		AtOnce: 64,
		Sizes:  []int{10, 1000, 100, 3000},
	}.so(5)...)
	began := n.view().EpochAt(time.Now())
	l.tell(orderGo)
	crashes, epochs := 0, uint64(0)
	var lost node.Counts // what nodes had counted shortly before they crashed
	for ; crashes < fewest || epochs == 0; crashes++ {
		require.True(t, l.idle(), "a client has ended")
		m := n.nodes[rand.IntN(len(n.nodes))]
		if s, err := m.stats(); err == nil {
			lost.Add(s.Counts)
		}
		m.crashAndStart()
		await(t, m.name+" serves again", func() bool { return m.serves(len(n.nodes)) || !m.runs() })
		require.True(t, m.runs(), "%s ended by itself", m.name)
		<-time.After(rand.N(2 * time.Second)) // chance, in where its packets are when the next one crashes
		epochs = n.view().EpochAt(time.Now()) - began
	}
	l.tell(orderStop)
	r := l.hear()
	t.Log(r)
	require.Empty(t, r.Wrong)
	require.NotZero(t, r.Answered)
	sum := n.counts()
	sum.Add(lost)
	t.Logf("%d crashes, in %d epochs; cells were served %d times for %d that were sent; dropped: %v",
		crashes, epochs, sum.Served, r.Cells, sum.Dropped)
	require.NotContains(t, sum.Dropped, node.DropNextHop, "a node that starts again takes packets before it can send them on")
}
