package node_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/mix"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/sphinx"
)

// TestLoopsComeBack: at the configured rate, and none is lost in a network in which nothing is.
func TestLoopsComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Mixes: 4, Node: func(_ int, cfg *node.Config) { cfg.Cover.Loops = 2 }})
		sleep(2 * time.Minute) // until those are given up that were sent before all mixes knew each other
		before := n.Counts()
		sleep(2 * time.Minute)
		after := n.Counts()
		// 960 on average; seven standard deviations of a Poisson process are 217.
		require.InDelta(t, 960, after.LoopsSent-before.LoopsSent, 217)
		require.InDelta(t, after.LoopsSent-before.LoopsSent, after.LoopsReturned-before.LoopsReturned, 20, "a few are under way")
		require.Equal(t, before.LoopsLost, after.LoopsLost)
		require.Equal(t, before.Dropped, after.Dropped)
	})
}

// TestDropsEndSilently at the mixes that they were sent to.
func TestDropsEndSilently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Mixes: 4, Node: func(_ int, cfg *node.Config) { cfg.Cover.Drops = 2 }})
		before := n.Counts() // some went to mixes that not all knew yet
		sleep(2 * time.Minute)
		after := n.Counts()
		require.InDelta(t, 960, after.DropsSent-before.DropsSent, 217)
		require.InDelta(t, after.DropsSent-before.DropsSent, after.Covered-before.Covered, 20)
		require.Equal(t, before.Dropped, after.Dropped)
	})
}

// TestLostLoopsShow: a mix that loses what it should send on shows in the others' loop loss.
func TestLostLoopsShow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var losing atomic.Bool
		n := nodetest.Start(t, nodetest.Config{
			Mixes: 4,
			Node:  func(_ int, cfg *node.Config) { cfg.Cover.Loops = 2 },
			Tap: func(f nodetest.Frame) []nodetest.Frame {
				if losing.Load() && f.From == "mix3" {
					return nil
				}
				return []nodetest.Frame{f}
			},
		})
		losing.Store(true)
		sleep(70 * time.Second) // until the first of those are given up that were lost
		before := make(map[*nodetest.Mix]node.Counts)
		for _, m := range n.Mixes[:3] {
			before[m] = m.Counts()
		}
		sleep(4 * time.Minute)
		for m, was := range before {
			c := m.Counts()
			lost, returned := float64(c.LoopsLost-was.LoopsLost), float64(c.LoopsReturned-was.LoopsReturned)
			// Of the paths through two of three others, two thirds go through mix3; six standard deviations for 480 are 0.13.
			require.InDelta(t, 2./3, lost/(lost+returned), 0.14, m.Name)
			require.Equal(t, c.LoopsLost, m.Stats().Since(time.Time{}).LoopsLost)
		}
	})
}

// TestCoverIsLikeAllOtherTraffic: frames of one kind and one epoch. That they are of one size is package link's part.
func TestCoverIsLikeAllOtherTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var frames, strange atomic.Int64
		n := nodetest.Start(t, nodetest.Config{
			Mixes: 5,
			Node:  func(_ int, cfg *node.Config) { cfg.Cover = node.Cover{Loops: 1, Drops: 1} },
			Tap: func(f nodetest.Frame) []nodetest.Frame {
				frames.Add(1)
				if f.Kind != link.Packet || f.Arg != nodetest.FirstEpoch {
					strange.Add(1)
				}
				return []nodetest.Frame{f}
			},
		})
		send(t, n.Link("alice", nil, 0), wrap(t, n, "nobody", "", 0, 1, 2))
		sleep(time.Minute)
		require.Greater(t, frames.Load(), int64(1000))
		require.Zero(t, strange.Load())
	})
}

// TestIdleLinksCarryPadding where there is cover, and end where there is none.
func TestIdleLinksCarryPadding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			cover node.Cover
			least int
		}{{node.Cover{}, 0}, {node.Cover{Drops: 1e-9}, 150}} { // 300 on average
			n := nodetest.Start(t, nodetest.Config{Mixes: 2, Node: func(_ int, cfg *node.Config) { cfg.Cover = c.cover }})
			send(t, n.Link("alice", nil, 0), wrap(t, n, "nobody", "", 0, 1))
			sleep(10 * time.Second)
			before := n.Written("mix0", "mix1:4000")
			sleep(5 * time.Minute)
			frames := (n.Written("mix0", "mix1:4000") - before) / n.Params.PacketSize()
			require.GreaterOrEqual(t, frames, c.least)
			require.LessOrEqual(t, frames, 4*c.least)
			n.Stop(0)
			n.Stop(1)
		}
	})
}

// TestDrain: a node that leaves is listed no more at once, sends what it holds, and says when it is done.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := &inbox{}
		const long = time.Minute
		n := nodetest.Start(t, nodetest.Config{Mixes: 4, Node: withInbox(box, func(cfg *node.Config) {
			cfg.Mix.Size, cfg.Mix.Interval = batchSize, long
		})})
		require.Equal(t, node.Serving, n.Mixes[0].Stats().State)
		send(t, n.Link("alice", nil, 0), wrap(t, n, "inbox", "held", 0, 1))
		sleep(time.Second)
		require.Equal(t, 1, n.Mixes[0].Stats().Held)

		start := time.Now()
		drained := make(chan error, 1)
		go func() { drained <- n.Mixes[0].Drain(t.Context()) }()
		sleep(2 * time.Second)
		_, listed := fetch(t, n).Node(n.Mixes[0].ID())
		require.False(t, listed)
		require.Equal(t, node.Leaving, n.Mixes[0].Stats().State)
		require.Empty(t, drained)
		require.NoError(t, <-drained)
		require.Greater(t, time.Since(start), long-2*time.Second, "not before the batch left")
		require.Less(t, time.Since(start), 2*long)
		require.EqualValues(t, 1, n.Mixes[0].Counts().Sent)
		n.Stop(0)
		sleep(long)
		require.Equal(t, []string{"held"}, box.sorted())
	})
}

// TestDrainEndsWithItsContext, however long the batch is.
func TestDrainEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Mixes: 1, Node: func(_ int, cfg *node.Config) {
			cfg.Mix.Size, cfg.Mix.Interval = batchSize, time.Hour
		}})
		send(t, n.Link("alice", nil, 0), wrap(t, n, "echo", "", 0))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, n.Mixes[0].Drain(ctx), context.DeadlineExceeded)
		require.Equal(t, time.Minute, time.Since(start))
	})
}

// TestPoissonMixHeedsDelays: each packet leaves when its own delay is over, whatever else is there.
func TestPoissonMixHeedsDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := &inbox{}
		var passed []time.Time // when packets went from mix0 to mix1
		n := nodetest.Start(t, nodetest.Config{
			Mixes:   3,
			Network: directory.Network{MeanDelay: time.Second},
			Node:    withInbox(box, func(cfg *node.Config) { cfg.Mix = mix.Config{Strategy: "poisson"} }),
			Tap: func(f nodetest.Frame) []nodetest.Frame {
				if f.From == "mix0" {
					passed = append(passed, time.Now())
				}
				return []nodetest.Frame{f}
			},
		})
		alice := n.Link("alice", nil, 0)
		start := time.Now()
		for i, delay := range []time.Duration{3 * time.Second, time.Second, 2 * time.Second} {
			hop := n.Mixes[1].Hop()
			hop.Address = directory.Route{Node: n.Mixes[1].ID(), Epoch: nodetest.FirstEpoch, Delay: delay}.Address()
			packet, err := n.Params.Wrap(nil, nil, []sphinx.Hop{n.Mixes[0].Hop(), hop}, []byte("inbox"), []byte{byte('a' + i)})
			require.NoError(t, err)
			send(t, alice, packet)
		}
		sleep(time.Minute)
		require.Len(t, passed, 3)
		for i, when := range passed {
			require.Equal(t, time.Duration(i+1)*time.Second, when.Sub(start))
		}
		require.Equal(t, []string{"a", "b", "c"}, box.sorted())
		for _, when := range box.times {
			require.NotContains(t, passed, when, "the last hop mixes too")
		}
	})
}
