package node_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/nodetest"
)

// TestMixThatLeavesIsSentWhatClientsStillMake: nodes know of a mix that leaves before clients do, and take packets for it
// there as long as it stays. Once it is gone, and clients must have heard of that, they drop them.
func TestMixThatLeavesIsSentWhatClientsStillMake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := &inbox{}
		n := nodetest.Start(t, nodetest.Config{Mixes: 3, Node: withInbox(box, immediate)})
		alice := n.Link("alice", nil, 0)
		send(t, alice, wrap(t, n, "inbox", "before", 0, 1, 2))
		synctest.Wait()
		drained := make(chan error)
		go func() { drained <- n.Mixes[1].Drain(t.Context()) }()
		for range 3 {
			sleep(nodetest.Refresh)
			_, listed := n.Mixes[0].View().Node(n.Mixes[1].ID())
			require.False(t, listed)
			send(t, alice, wrap(t, n, "inbox", "meanwhile", 0, 1, 2))
		}
		require.NoError(t, <-drained)
		require.Equal(t, []string{"before", "meanwhile", "meanwhile", "meanwhile"}, box.sorted())
		n.Stop(1)

		time.Sleep(2 * time.Minute)
		send(t, alice, wrap(t, n, "inbox", "afterwards", 0, 1, 2))
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropNextHop: 1})
	})
}
