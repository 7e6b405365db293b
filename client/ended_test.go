package client_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node/nodetest"
)

// TestCloseEndsRequests that are under way, and no reply to which arrives.
func TestCloseEndsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := nodetest.Start(t, nodetest.Config{Tap: atMost("mix", "alice", 2)}).Client("alice")
		done := request(soon(t), c, client.Message{To: "echo", Body: text(1, 20*room)})
		time.Sleep(time.Second)
		synctest.Wait()
		require.Empty(t, done)
		start := time.Now()
		c.Close()
		require.ErrorIs(t, (<-done).err, client.ErrClosed)
		_, err := c.Request(soon(t), client.Message{To: "echo"})
		require.ErrorIs(t, err, client.ErrClosed)
		c.Close()
		require.Zero(t, time.Since(start))
		require.Zero(t, c.Expected())
	})
}

// TestIdleClientStaysConnected for hours: both ends send padding.
func TestIdleClientStaysConnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Node: seldom})
		c := n.Client("alice")
		time.Sleep(50 * time.Minute)
		requireEcho(t, c, text(1, 3*room))
	})
}

// TestVanishedClientLeavesNothing at its gateway but packets that nobody takes, and its host may connect again.
func TestVanishedClientLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{})
		c := n.Client("alice")
		done := request(soon(t), c, client.Message{To: "echo", Body: text(1, 100*room)})
		time.Sleep(3 * nodetest.BatchDeadline)
		synctest.Wait()
		c.Close()
		require.ErrorIs(t, (<-done).err, client.ErrClosed)
		time.Sleep(time.Minute)
		synctest.Wait()
		counts := n.Counts()
		require.Equal(t, counts.Served, counts.Delivered+dropped(counts))

		again := n.Client("alice")
		requireEcho(t, again, text(2, 10*room))
	})
}

// TestLongLivedClientKeepsUp: mixes come and go while a client stays, which must not go on sending to those that are
// gone, or with keys that are; neither while the view that it started with is good nor when it has expired.
func TestLongLivedClientKeepsUp(t *testing.T) {
	for _, after := range []time.Duration{5 * time.Minute, 2 * time.Hour} {
		t.Run(after.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := nodetest.Start(t, nodetest.Config{Mixes: 6, Node: seldom})
				c := n.Client("alice")
				gateway := gatewayOf(t, n, c)
				for i := range n.Mixes {
					if i != gateway {
						n.Stop(i)
						n.Start(i)
					}
				}
				time.Sleep(after)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				reply, err := c.Request(ctx, client.Message{To: "echo", Body: []byte("hello again")})
				require.NoError(t, err)
				require.Equal(t, "hello again", string(reply))
			})
		})
	}
}

// TestClientWorksWithoutItsDirectory until what it knows expires, and again when the directory is back.
func TestClientWorksWithoutItsDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Node: seldom})
		c := n.Client("alice")
		n.StopDirectory()
		time.Sleep(25 * time.Minute)
		requireEcho(t, c, text(1, 3*room))
		time.Sleep(time.Hour)
		_, err := c.Request(soon(t), client.Message{To: "echo"})
		require.ErrorIs(t, err, client.ErrView)

		n.StartDirectory()
		time.Sleep(2 * time.Minute)
		requireEcho(t, c, text(2, 3*room))
	})
}
