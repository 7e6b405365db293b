package system_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
)

// TestRotationLosesNothing: epochs of 5 seconds, for twenty seconds of constant load. No message is lost, and no node drops a
// single packet, for its epoch or for any other reason.
func TestRotationLosesNothing(t *testing.T) {
	length := 20 * time.Second
	if long {
		length = 10 * time.Minute
	}
	n := start(t, plan{
		nodes:     6,
		directory: settings{"network.epoch": `"5s"`},
		node: func(int) settings {
			return settings{"mix.size": "3", "mix.interval": `"20ms"`}
		},
	})
	l := n.startLoad(0, task{AtOnce: 8, Sizes: []int{10, 1000, 4000}}.so(4)...)
	began := n.view().EpochAt(time.Now())
	l.tell(orderGo)
	end := time.After(length)
	drops := make(map[string]map[node.Drop]uint64)
	keys := make(map[uint64]bool) // epochs that the first node had a key for
	for tick, over := time.NewTicker(time.Second), false; !over; {
		select {
		case <-tick.C:
		case <-end:
			over = true
		}
		for _, m := range n.nodes {
			s := m.mustStats()
			if len(s.Dropped) > 0 {
				drops[m.name] = s.Dropped
			}
			require.NotEmpty(t, s.Epochs)
			require.LessOrEqual(t, len(s.Epochs), 3)
			for _, e := range s.Epochs {
				keys[e.Number] = true
			}
		}
		require.Empty(t, drops)
		require.True(t, l.idle(), "a client has ended")
	}
	epochs := n.view().EpochAt(time.Now()) - began
	l.tell(orderStop)
	r := l.hear()
	t.Log(r)
	require.Empty(t, r.Wrong)
	require.NotZero(t, r.Answered)
	c := n.requireNothingLost()
	t.Logf("%d epochs; %d cells were sent, %d of them again after a long wait", epochs, c.Served, c.Served-uint64(r.Cells))
	require.GreaterOrEqual(t, len(keys), int(length/(5*time.Second)))
}
