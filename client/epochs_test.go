package client_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/nodetest"
)

// epochsOf is a network of short epochs, whose mixes look at the directory often enough.
func epochsOf(epoch time.Duration) nodetest.Config {
	return nodetest.Config{
		Network: directory.Network{Epoch: epoch},
		Node:    func(_ int, cfg *node.Config) { cfg.Refresh = min(epoch/5, nodetest.Refresh) },
	}
}

// TestPacketsAreOfTheCurrentEpoch, and say so to the gateway; what was under way when the epoch ended is of the one before.
func TestPacketsAreOfTheCurrentEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const epoch = 10 * time.Second
		var mu sync.Mutex
		var current uint64
		seen := make(map[uint64]bool)
		number := func() uint64 { return directory.Network{Epoch: epoch}.EpochAt(time.Now()) }
		cfg := epochsOf(epoch)
		cfg.Tap = func(f nodetest.Frame) []nodetest.Frame {
			mu.Lock()
			defer mu.Unlock()
			if f.Kind == link.Packet {
				now := number()
				if f.From == "alice" {
					assert.Equal(t, byte(now), f.Arg)
				} else if f.Arg != byte(now) {
					assert.Equal(t, byte(now-1), f.Arg)
				}
				seen[now] = true
			}
			return []nodetest.Frame{f}
		}
		n := nodetest.Start(t, cfg)
		c := n.Client("alice")
		current = number()
		for number() < current+6 {
			requireEcho(t, c, text(1, 3*room))
			time.Sleep(400 * time.Millisecond)
		}
		require.GreaterOrEqual(t, len(seen), 6)
		require.Empty(t, n.Counts().Dropped)
	})
}

// TestEpochsPassUnderLoad: messages go on all the time while keys change every five seconds, and none is lost, not even
// for a moment.
func TestEpochsPassUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lasting := time.Minute
		if testing.Short() {
			lasting = 20 * time.Second
		}
		n := nodetest.Start(t, epochsOf(5*time.Second))
		var all sync.WaitGroup
		start := time.Now()
		for i := range 2 {
			c := n.Client(fmt.Sprint("client", i))
			all.Go(func() {
				for j := 0; time.Since(start) < lasting; j++ {
					reply, err := c.Request(soon(t), client.Message{To: "echo", Body: text(1000*i+j, 3*room)})
					assert.NoError(t, err)
					assert.True(t, string(text(1000*i+j, 3*room)) == string(reply))
				}
			})
		}
		all.Wait()
		require.Empty(t, n.Counts().Dropped)
		require.Greater(t, n.Counts().Served, uint64(lasting/(60*time.Millisecond)))
	})
}

// TestDaysPass, and a client that nobody looks after works as on its first: 30 of them with SPHINX_LONG=1, which
// take half a minute.
func TestDaysPass(t *testing.T) {
	long(t)
	days := 3
	if os.Getenv("SPHINX_LONG") != "" {
		days = 30
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := epochsOf(12 * time.Hour)
		cfg.Node = func(_ int, cfg *node.Config) { cfg.Refresh, cfg.Lifetime = 20*time.Minute, 24*time.Hour }
		n := nodetest.Start(t, cfg)
		c := n.Client("alice")
		for i := range 24 * days {
			time.Sleep(time.Hour)
			reply, err := c.Request(soon(t), client.Message{To: "echo", Body: text(i, room+1)})
			require.NoError(t, err, "hour %d", i)
			require.Equal(t, text(i, room+1), reply)
		}
		require.Empty(t, n.Counts().Dropped)
	})
}

// TestDirectoryMayBeAwayForHalfAnEpoch, and some more, whenever it is that it goes away.
func TestDirectoryMayBeAwayForHalfAnEpoch(t *testing.T) {
	long(t)
	synctest.Test(t, func(t *testing.T) {
		const epoch = time.Minute
		n := nodetest.Start(t, epochsOf(epoch))
		c := n.Client("alice")
		for range 12 {
			time.Sleep(2*epoch + 5*time.Second)
			requireEcho(t, c, text(1, room))
			n.StopDirectory()
			for away := time.Now(); time.Since(away) < 35*time.Second; time.Sleep(time.Second) {
				requireEcho(t, c, text(2, 2*room))
			}
			n.StartDirectory()
		}

		n.StopDirectory()
		time.Sleep(3 * epoch)
		_, err := c.Request(soon(t), client.Message{To: "echo"})
		require.ErrorIs(t, err, client.ErrView)
		require.ErrorContains(t, err, "key")
		n.StartDirectory()
		time.Sleep(2 * epoch)
		requireEcho(t, c, text(3, 2*room))
	})
}

// TestDirectoryIsNotAskedByAllAtOnce: clients that were started together ask at different times, each at least once in
// a quarter of an epoch, or in a minute where that is less.
func TestDirectoryIsNotAskedByAllAtOnce(t *testing.T) {
	for epoch, atLeast := range map[time.Duration]time.Duration{time.Minute: 15 * time.Second, time.Hour: time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			n := nodetest.Start(t, epochsOf(epoch))
			times := make(map[time.Duration]int)
			const clients = 10
			for i := range clients {
				asked := make(chan time.Time, 1000)
				known := n.Directory()
				known.HTTP.Transport = &watched{known.HTTP.Transport, asked}
				c, err := client.New(t.Context(), client.Config{Directory: known, Dial: n.Dialer(fmt.Sprint("client", i))})
				require.NoError(t, err)
				start := time.Now()
				defer func() {
					c.Close()
					close(asked)
					last := start
					for at := range asked {
						require.LessOrEqual(t, at.Sub(last), atLeast)
						times[at.Sub(start).Round(atLeast/100)]++
						last = at
					}
					require.Greater(t, last.Sub(start), 9*atLeast)
					if i == 0 { // the last to be looked at
						require.Greater(t, len(times), clients*5)
					}
				}()
			}
			time.Sleep(10 * atLeast)
		})
	}
}

// TestDelaysAreWaitedFor: where the network's mixes delay packets for seconds, nothing is sent twice, from the first
// packet on, and trips take what the delays add up to.
func TestDelaysAreWaitedFor(t *testing.T) {
	long(t)
	for _, mean := range []time.Duration{100 * time.Millisecond, time.Second, 6 * time.Second} {
		t.Run(mean.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := nodetest.Start(t, nodetest.Config{
					Network: directory.Network{MeanDelay: mean},
					Node: func(_ int, cfg *node.Config) {
						cfg.Mix.Strategy = "poisson"
					},
				})
				c := n.Client("alice")
				const cells = 400
				var took []time.Duration
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				reply, err := c.Request(ctx, client.Message{To: "echo", Body: text(1, cells*room), Progress: func(int, int) {
					took = append(took, time.Since(start))
				}})
				require.NoError(t, err)
				require.Equal(t, text(1, cells*room), reply)
				time.Sleep(time.Hour)
				require.Empty(t, n.Counts().Dropped)
				require.LessOrEqual(t, n.Counts().Served, uint64(cells+6), "hardly one is sent twice")
				// Three delays on the way there, one of the reply where it is made, three on the way back. The deviation of a sum of
				// seven is √7 times the mean.
				sum := 0.0
				for _, trip := range took {
					sum += trip.Seconds()
				}
				require.InDelta(t, 7*mean.Seconds(), sum/cells, 8*2.65*mean.Seconds()/20+0.01)
			})
		})
	}
}

// watched is an http.RoundTripper that says when it is used.
type watched struct {
	http.RoundTripper
	asked chan<- time.Time
}

func (w *watched) RoundTrip(r *http.Request) (*http.Response, error) {
	w.asked <- time.Now()
	return w.RoundTripper.RoundTrip(r)
}
