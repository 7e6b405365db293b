package system_test

import (
	"fmt"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
)

// senders says between how many senders a node's packets were hidden.
func senders(s node.Stats) string {
	least, most, batches, sum := 0, 0, uint64(0), 0.0
	for _, sample := range s.History {
		if sample.Batches == 0 {
			continue
		}
		if batches == 0 || sample.MinSenders < least {
			least = sample.MinSenders
		}
		most = max(most, sample.MaxSenders)
		batches += sample.Batches
		sum += float64(sample.Batches) * sample.MeanSenders
	}
	if batches == 0 {
		return "no"
	}
	return fmt.Sprintf("%d to %d, on average %.1f", least, most, sum/float64(batches))
}

// dropped adds up what was dropped, for whatever reason.
func dropped(c node.Counts) (sum uint64) {
	for _, count := range c.Dropped {
		sum += count
	}
	return sum
}

// requireNothingLost fails the test unless every packet that came into the network has gone all its way: three hops to
// the service, and three back. Clients who wait for long on a busy machine send cells again, and these count too; a second
// reply may then come to a gateway whose client has all that it wanted and is gone.
func (n *network) requireNothingLost() node.Counts {
	n.t.Helper()
	c := n.counts()
	await(n.t, "all packets are where they belong", func() bool {
		c = n.counts()
		late := c.Dropped[node.DropNoClient]
		return c.Received == 6*c.Served && c.Sent == 5*c.Served && c.Delivered+late == c.Served || dropped(c) > late
	})
	delete(c.Dropped, node.DropNoClient)
	require.Empty(n.t, c.Dropped)
	return c
}
