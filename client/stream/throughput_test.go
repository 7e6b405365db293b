package stream_test

import (
	"context"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/stream"
)

// TestDownloadsFillTheWindow: what one stream brings of 20 MB, in weather of mixes that hold each packet back for 200 ms on
// average, at four places each way.
func TestDownloadsFillTheWindow(t *testing.T) {
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
