package client_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/sphinx"
)

func TestReplyEqualsTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{})
		c := n.Client("alice")
		for i, size := range []int{0, 1, room - 1, room, room + 1, 2 * room, 2*room + 1, 50_000} {
			before := n.Counts().Served
			requireEcho(t, c, text(i, size))
			cells := max(1, (size+room-1)/room)
			require.EqualValues(t, cells, n.Counts().Served-before, "a message of %d bytes takes %d cells", size, cells)
		}
	})
}

// TestLongMessage is longer than what a client has under way at once, and longer than a mix's queues.
func TestLongMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Network: directory.Network{Params: sphinx.Params{MaxHops: 5, PayloadSize: 2048}}})
		requireEcho(t, n.Client("alice"), text(1, 1<<20))
		require.Empty(t, n.Counts().Dropped)
	})
}

func TestPathsOfEveryLength(t *testing.T) {
	for hops := 3; hops <= 5; hops++ {
		t.Run(fmt.Sprint("hops=", hops), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := nodetest.Start(t, nodetest.Config{Mixes: hops + 1, Client: func(cfg *client.Config) { cfg.Hops = hops }})
				requireEcho(t, n.Client("alice"), text(hops, 10*room))
				c := n.Counts()
				require.EqualValues(t, 10, c.Served)
				require.EqualValues(t, 10*2*hops, c.Received)
			})
		})
	}
}

// TestEveryoneGetsTheirOwnReply: many clients at once, with many messages each.
func TestEveryoneGetsTheirOwnReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Mixes: 6})
		const clients, messages = 20, 4
		var all sync.WaitGroup
		for i := range clients {
			c := n.Client(fmt.Sprint("client", i))
			for j := range messages {
				all.Go(func() {
					body := text(i*messages+j, (j*j+1)*room)
					reply, err := c.Request(soon(t), client.Message{To: "echo", Body: body})
					assert.NoError(t, err)
					assert.True(t, string(body) == string(reply), "client %d, message %d", i, j)
				})
			}
		}
		all.Wait()
		require.Empty(t, n.Counts().Dropped)
	})
}

// TestManyClientsFillEachOthersBatches: with enough of them nobody waits for a deadline.
func TestManyClientsFillEachOthersBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Mixes: 4, Node: func(_ int, cfg *node.Config) { cfg.Mix.Size = 2 }})
		var all sync.WaitGroup
		for i := range 10 {
			c := n.Client(fmt.Sprint("client", i))
			all.Go(func() {
				reply, err := c.Request(soon(t), client.Message{To: "echo", Body: text(i, 5*room)})
				assert.NoError(t, err)
				assert.True(t, string(text(i, 5*room)) == string(reply))
			})
		}
		all.Wait()
	})
}

// TestRequestsDoNotDisturbEachOther: that one is given up costs another no packet.
func TestRequestsDoNotDisturbEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{})
		c := n.Client("alice")
		const cells = 30
		done := request(soon(t), c, client.Message{To: "echo", Body: text(1, cells*room)})
		time.Sleep(nodetest.BatchDeadline / 2)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), nodetest.BatchDeadline)
		defer cancel()
		_, err := c.Request(ctx, client.Message{To: "echo"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		got := <-done
		require.NoError(t, got.err)
		require.Equal(t, text(1, cells*room), got.reply)
		require.EqualValues(t, cells+1, n.Counts().Served)
	})
}

func TestProgressCountsEachCellOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{})
		const cells = 30
		var seen []int
		_, err := n.Client("alice").Request(soon(t), client.Message{To: "echo", Body: text(1, cells*room), Progress: func(done, total int) {
			require.Equal(t, cells, total)
			seen = append(seen, done)
		}})
		require.NoError(t, err)
		require.Len(t, seen, cells)
		for i, done := range seen {
			require.Equal(t, i+1, done)
		}
	})
}

// TestSlowCallerHoldsUpNobody: who does not come along with one reply delays no other.
func TestSlowCallerHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{})
		c := n.Client("alice")
		release := make(chan struct{})
		slow := request(soon(t), c, client.Message{To: "echo", Body: text(1, 20*room), Progress: func(int, int) { <-release }})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		quick := <-request(ctx, c, client.Message{To: "echo", Body: text(2, 3*room)})
		close(release)
		first := <-slow
		require.NoError(t, quick.err)
		require.Equal(t, text(2, 3*room), quick.reply)
		require.NoError(t, first.err)
		require.Equal(t, text(1, 20*room), first.reply)
	})
}

func TestRequestErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{})
		c := n.Client("alice")
		_, err := c.Request(soon(t), client.Message{To: "nothing"})
		require.ErrorIs(t, err, client.ErrNoService)
		require.ErrorContains(t, err, `"nothing"`)
		_, err = c.Request(soon(t), client.Message{})
		require.ErrorIs(t, err, client.ErrNoService)
		_, err = c.Request(soon(t), client.Message{To: "echo", Body: make([]byte, client.MaxMessage+1)})
		require.ErrorIs(t, err, client.ErrTooLong)
		require.ErrorContains(t, err, "67108865 bytes")
		require.Zero(t, n.Counts().Received, "nothing was sent")
		requireEcho(t, c, []byte("still works"))
	})
}

// TestRoutedTellsThePathsTaken of the first packet, once, unless that packet had to be sent again.
func TestRoutedTellsThePathsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var seen []string // who sends to whom
		n := nodetest.Start(t, nodetest.Config{Tap: func(f nodetest.Frame) []nodetest.Frame {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, f.From+" "+f.To)
			return []nodetest.Frame{f}
		}})
		c := n.Client("alice")
		synctest.Wait()
		seen = nil
		called := 0
		var want []string
		_, err := c.Request(soon(t), client.Message{To: "echo", Routed: func(out, back []directory.NodeID) {
			called++
			hosts := []string{"alice"}
			for _, id := range append(out, back...) {
				for _, m := range n.Mixes {
					if m.ID() == id {
						hosts = append(hosts, m.Name)
					}
				}
			}
			hosts = append(hosts, "alice")
			for i := range hosts[1:] {
				want = append(want, hosts[i]+" "+hosts[i+1])
			}
		}})
		require.NoError(t, err)
		require.Equal(t, 1, called)
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, want, seen)
		mu.Unlock()
		defer mu.Lock()

		called = 0
		_, err = c.Request(soon(t), client.Message{To: "echo", Body: text(1, 10*room), Routed: func(_, _ []directory.NodeID) { called++ }})
		require.NoError(t, err)
		require.Equal(t, 1, called)
	})
}
