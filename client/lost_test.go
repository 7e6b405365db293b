package client_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/nodetest"
)

// TestLossIsMadeUpFor: of what mixes send each other a tenth is lost, and a long message arrives whole and once.
func TestLossIsMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		random := rand.New(rand.NewChaCha8([32]byte{10}))
		lost := 0
		n := nodetest.Start(t, nodetest.Config{Mixes: 6, Tap: func(f nodetest.Frame) []nodetest.Frame {
			mu.Lock()
			defer mu.Unlock()
			if betweenMixes(f) && random.IntN(10) == 0 {
				lost++
				return nil
			}
			return []nodetest.Frame{f}
		}})
		const cells = 200
		answered := 0
		body := text(1, cells*room)
		reply, err := n.Client("alice").Request(soon(t), client.Message{To: "echo", Body: body, Progress: func(done, total int) {
			require.Equal(t, cells, total)
			answered++
			require.Equal(t, answered, done)
		}})
		require.NoError(t, err)
		require.Equal(t, body, reply)
		require.Equal(t, cells, answered)
		require.Greater(t, lost, cells/10)
	})
}

// TestNothingIsSentTwiceWithoutLoss, however long the mixes hold packets. The deadline of one second is that of mixes
// whose operators have not chosen one, and a lone client waits for it at each of six hops.
func TestNothingIsSentTwiceWithoutLoss(t *testing.T) {
	for _, deadline := range []time.Duration{30 * time.Millisecond, 300 * time.Millisecond, time.Second} {
		t.Run(deadline.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := nodetest.Start(t, nodetest.Config{Node: func(_ int, cfg *node.Config) { cfg.Mix.Interval = deadline }})
				const cells = 50
				requireEcho(t, n.Client("alice"), text(1, cells*room))
				time.Sleep(time.Minute)
				require.Empty(t, n.Counts().Dropped)
				require.EqualValues(t, cells, n.Counts().Served)
			})
		})
	}
}

// TestSlowNetworkIsLearned: where the first guess of the round trip was too short, later messages do not repeat it.
func TestSlowNetworkIsLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Node: func(_ int, cfg *node.Config) { cfg.Mix.Interval = 3 * time.Second }})
		c := n.Client("alice")
		const cells = 30
		requireEcho(t, c, text(1, cells*room))
		time.Sleep(time.Minute)
		before := n.Counts().Served
		requireEcho(t, c, text(2, cells*room))
		time.Sleep(time.Minute)
		require.EqualValues(t, cells, n.Counts().Served-before)
	})
}

// TestWindowIsKept: no more cells of a message are under way at once.
func TestWindowIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		n := nodetest.Start(t, nodetest.Config{Tap: func(f nodetest.Frame) []nodetest.Frame {
			if f.Kind == link.Packet {
				sent.Add(1)
				return nil
			}
			return []nodetest.Frame{f}
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := n.Client("alice").Request(ctx, client.Message{To: "echo", Body: text(1, (client.Window+100)*room)})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualValues(t, client.Window, sent.Load())
	})
}

// TestMixThatStopsIsRoutedAround: cells that were lost with it are sent again, along other paths.
func TestMixThatStopsIsRoutedAround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Mixes: 8})
		c := n.Client("alice")
		victim := (gatewayOf(t, n, c) + 1) % 8
		body := text(1, 100*room)
		done := request(soon(t), c, client.Message{To: "echo", Body: body})
		time.Sleep(3 * nodetest.BatchDeadline / 2)
		n.Stop(victim)
		got := <-done
		require.NoError(t, got.err)
		require.Equal(t, body, got.reply)
	})
}

// TestOutageIsSurvived: nothing passes for some minutes, and then the message arrives.
func TestOutageIsSurvived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var outage switchable
		n := nodetest.Start(t, nodetest.Config{Node: seldom, Tap: outage.Tap})
		c := n.Client("alice")
		requireEcho(t, c, text(1, room))
		sent := 0
		outage.set(func(f nodetest.Frame) []nodetest.Frame {
			if f.From == "alice" {
				sent++
			}
			return nil
		})
		const cells = 20
		done := request(soon(t), c, client.Message{To: "echo", Body: text(2, cells*room)})
		time.Sleep(8 * time.Minute)
		synctest.Wait()
		require.Empty(t, done)
		outage.set(nil)
		start := time.Now()
		got := <-done
		require.NoError(t, got.err)
		require.Equal(t, text(2, cells*room), got.reply)
		require.LessOrEqual(t, time.Since(start), 31*time.Second, "the longest wait before a cell is sent again, and a round trip")
		require.Less(t, sent, 60*cells, "who gets no answer asks more seldom, but not so seldom that a few ways that are lost cost minutes")
	})
}

// TestDeadlineIsKept, and the error says how far the message had come.
func TestDeadlineIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Tap: atMost("mix", "alice", 3)})
		c := n.Client("alice")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.Request(ctx, client.Message{To: "echo", Body: text(1, 10*room)})
		require.Equal(t, 20*time.Second, time.Since(start))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "3 of 10 cells answered")
		synctest.Wait()
		require.Zero(t, c.Expected(), "keys are kept of replies that nobody waits for")
	})
}

// TestCancelledRequestLeavesNothing, after however many replies, and the client goes on.
func TestCancelledRequestLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mute switchable
		n := nodetest.Start(t, nodetest.Config{Tap: mute.Tap})
		c := n.Client("alice")
		for i := range 10 {
			mute.set(atMost("mix", "alice", i))
			ctx, cancel := context.WithCancel(t.Context())
			done := request(ctx, c, client.Message{To: "echo", Body: text(i, 20*room)})
			time.Sleep(time.Second)
			cancel()
			require.ErrorIs(t, (<-done).err, context.Canceled)
			synctest.Wait()
			require.Zero(t, c.Expected(), "keys are kept of replies that nobody waits for")
		}
		mute.set(nil)
		requireEcho(t, c, text(99, 10*room))
	})
}

// TestCellThatIsWrappedTooLateLeavesNothing: a request may end while one of its cells is being wrapped, whose reply then
// never comes.
func TestCellThatIsWrappedTooLateLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := nodetest.Start(t, nodetest.Config{}).Client("alice")
		sent, err := c.WrapTooLate("echo")
		require.NoError(t, err)
		require.False(t, sent)
		require.Zero(t, c.Expected(), "keys are kept of replies that nobody waits for")
	})
}

// TestStreamCellThatIsWrappedTooLateLeavesNothing, however many SURBs it was to have.
func TestStreamCellThatIsWrappedTooLateLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e exits
		c := nodetest.Start(t, nodetest.Config{
			Node: func(i int, cfg *node.Config) { e.offer(t, i, cfg) },
		}).Client("alice")
		for _, surbs := range []int{1, 5} {
			sent, err := c.WrapStreamTooLate(surbs)
			require.NoError(t, err)
			require.False(t, sent)
			require.Zero(t, c.Expected(), "keys are kept of replies that nobody waits for")
		}
	})
}

// atMost is a Tap that lets that many frames pass from hosts, or mixes, whose name starts so to one host.
func atMost(from, to string, passing int) nodetest.Tap {
	var mu sync.Mutex
	return func(f nodetest.Frame) []nodetest.Frame {
		if f.To == to && f.From[:len(from)] == from {
			mu.Lock()
			defer mu.Unlock()
			if passing--; passing < 0 {
				return nil
			}
		}
		return []nodetest.Frame{f}
	}
}
