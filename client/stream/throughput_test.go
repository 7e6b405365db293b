package stream_test

import (
	"context"
	"io"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/stream"
)

// TestBulkLeavesRoom: on a path that carries 1,000 cells per second, a bulk stream uses most of it, and another stream waits
// behind it for no more than two and a half round trips of the empty path.
func TestBulkLeavesRoom(t *testing.T) {
	if testing.Short() {
		t.Skip("tens of thousands of cells")
	}
	for _, test := range []struct {
		name  string
		delay func(*rand.Rand) time.Duration
		loss  float64
		round time.Duration
	}{
		{"steady", steady(50 * time.Millisecond), 0, 100 * time.Millisecond},
		{"poisson", poisson(12500 * time.Microsecond), 0, 100 * time.Millisecond},
		{"poisson, 1 % lost", poisson(12500 * time.Microsecond), .01, 100 * time.Millisecond},
		{"slow poisson", poisson(100 * time.Millisecond), 0, 800 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				n := newWire(t, 1, weather{delay: test.delay, loss: test.loss, rate: 1000})
				n.run(ctx)
				defer n.wg.Wait()
				defer n.exit.Fail(stream.ErrClosed)
				defer n.client.Fail(stream.ErrClosed)
				defer cancel()
				n.serve(ctx, func(c *stream.Conn) {
					c.Open()
					if c.Target() == "bulk.example:80" {
						for err := error(nil); err == nil; {
							_, err = c.Write(make([]byte, 10_000))
						}
						return
					}
					io.Copy(c, c)
				})
				bulk, err := n.client.Dial(ctx, "bulk.example:80")
				require.NoError(t, err)
				var got atomic.Int64
				n.wg.Go(func() {
					for b := make([]byte, 20_000); ; {
						k, err := bulk.Read(b)
						if err != nil {
							return
						}
						got.Add(int64(k))
					}
				})
				other, err := n.client.Dial(ctx, "echo.example:7")
				require.NoError(t, err)
				time.Sleep(20 * time.Second)
				before, since := got.Load(), time.Now()
				var total, longest time.Duration
				const pings = 30
				for range pings {
					began := time.Now()
					_, err := other.Write([]byte{1})
					require.NoError(t, err)
					_, err = io.ReadFull(other, make([]byte, 1))
					require.NoError(t, err)
					took := time.Since(began)
					total, longest = total+took, max(longest, took)
					time.Sleep(max(0, time.Second-took))
				}
				share := float64(got.Load()-before) / (time.Since(since).Seconds() * 1000 * (room - 20))
				t.Logf("%v on average, %v at most; %.0f %% of the path used; exit %s", total/pings, longest, 100*share, n.exit.State())
				require.Less(t, total/pings, 7*test.round/2)
				require.Greater(t, share, .8)
			})
		})
	}
}

// TestDownloadsFillTheWindow: what one stream brings of 20 MB, in weather of mixes that hold each packet back for 200 ms on
// average, at four places each way.
func TestDownloadsFillTheWindow(t *testing.T) {
	if testing.Short() {
		t.Skip("tens of thousands of cells")
	}
	for _, test := range []struct {
		name   string
		loss   float64
		up     bool
		within time.Duration
	}{
		{"down", 0, false, 60 * time.Second},
		{"up", 0, true, 60 * time.Second},
		{"down, 1 % lost", .01, false, 60 * time.Second},
		{"down, 5 % lost", .05, false, 120 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				n := newWire(t, 1, weather{delay: poisson(200 * time.Millisecond), loss: test.loss})
				n.run(ctx)
				defer n.wg.Wait()
				defer cancel()
				const size = 20 << 20
				done := make(chan time.Duration, 1)
				take := func(c *stream.Conn) {
					got, err := io.Copy(io.Discard, c)
					require.NoError(t, err)
					require.EqualValues(t, size, got)
					c.Close()
					done <- time.Since(n.began)
				}
				give := func(c *stream.Conn) {
					_, err := c.Write(make([]byte, size))
					require.NoError(t, err)
					require.NoError(t, c.Close())
				}
				server, program := give, take
				if test.up {
					server, program = take, give
				}
				n.serve(ctx, func(c *stream.Conn) {
					c.Open()
					server(c)
				})
				if os.Getenv("STREAM_TRACE") != "" {
					n.wg.Go(func() {
						for ctx.Err() == nil {
							t.Logf("%v client %s", time.Since(n.began), n.client.State())
							t.Logf("%v exit   %s", time.Since(n.began), n.exit.State())
							time.Sleep(time.Second)
						}
					})
				}
				c, err := n.client.Dial(ctx, "bulk.example:80")
				require.NoError(t, err)
				program(c)
				took := <-done
				t.Logf("%v, %d cells up, %d down, %.0f KB/s", took, n.up, n.down, size/1e3/took.Seconds())
				require.Less(t, took, test.within)
			})
		})
	}
}
