package node_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/nodetest"
)

// dropped adds up what was dropped, for whatever reason.
func dropped(c node.Counts) (sum uint64) {
	for _, count := range c.Dropped {
		sum += count
	}
	return sum
}

// TestEveryPacketIsAccountedFor: what came in, and the replies of services, went out, to a service or to a client, or
// was dropped for a reason that is counted.
func TestEveryPacketIsAccountedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{})
		body := make([]byte, 50_000)
		reply, err := n.Client("alice").Request(t.Context(), client.Message{To: "echo", Body: body})
		require.NoError(t, err)
		require.Equal(t, body, reply)
		synctest.Wait()
		for _, m := range n.Mixes {
			c := m.Counts()
			require.Equal(t, c.Received+c.Served, c.Sent+c.Served+c.Delivered+dropped(c), "%s: %+v", m.Name, c)
		}
		c := n.Counts()
		require.Empty(t, c.Dropped)
		require.Equal(t, c.Served, c.Delivered)
		require.Equal(t, 6*c.Served, c.Received, "three hops there and three back")
		require.Equal(t, 5*c.Served, c.Sent, "and no link from the client, or to it")
	})
}

// TestPacketsForABrokenLinkAreCounted: a packet that the link's buffer held when the link broke was not sent.
func TestPacketsForABrokenLinkAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := &inbox{}
		n := nodetest.Start(t, nodetest.Config{Mixes: 2, Node: withInbox(box, nil)})
		alice := n.Link("alice", nil, 0)
		send(t, alice, wrap(t, n, "inbox", "first", 0, 1))
		sleep(nodetest.BatchDeadline)
		require.EqualValues(t, 1, n.Mixes[1].Counts().Received)

		n.Cut("mix0", n.Mixes[1].Address)
		const packets = 20
		for range packets {
			send(t, alice, wrap(t, n, "inbox", "later", 0, 1))
		}
		sleep(time.Minute)
		c := n.Mixes[0].Counts()
		require.EqualValues(t, 1+packets, c.Sent+dropped(c))
		require.Equal(t, c.Sent, n.Mixes[1].Counts().Received, "sent %d, dropped %v, received", c.Sent, c.Dropped)
	})
}

// TestRepliesForAVanishedClientAreCounted: a reply that waited for a client, or was on its way when the link broke, was
// not delivered, once it is clear that the client does not come back.
func TestRepliesForAVanishedClientAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := unmixed(t)
		alice, id := subscribed(t, n, "alice", 0)
		mallory := n.Link("mallory", nil, 0)
		const replies = 10
		for range replies {
			send(t, mallory, replyTo(t, n, id, 0))
			synctest.Wait()
		}
		alice.Close()
		sleep(link.Retention)
		c := n.Mixes[0].Counts()
		require.Zero(t, c.Delivered, "alice has read nothing")
		require.EqualValues(t, replies, dropped(c), "dropped: %v", c.Dropped)
	})
}

// TestSlowMixLosesNothing: a mix that is busy makes those wait who send to it.
func TestSlowMixLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := &inbox{}
		n := nodetest.Start(t, nodetest.Config{Mixes: 2, Node: withInbox(box, nil), Tap: func(f nodetest.Frame) []nodetest.Frame {
			if f.From == "mix0" {
				time.Sleep(10 * time.Millisecond)
			}
			return []nodetest.Frame{f}
		}})
		alice := n.Link("alice", nil, 0)
		var want []string
		for i := range 500 {
			want = append(want, fmt.Sprintf("message %03d", i))
			send(t, alice, wrap(t, n, "inbox", want[i], 0, 1))
		}
		sleep(time.Minute)
		require.Equal(t, want, box.sorted())
		require.Empty(t, n.Counts().Dropped)
	})
}
