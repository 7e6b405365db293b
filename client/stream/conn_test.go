package stream_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"

	"sphinxmix.example/client/stream"
)

// pair returns the two ends of a stream over a network without delay or loss.
func pair(t testing.TB) (dialled, accepted *stream.Conn, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	n := newWire(t, 1, weather{delay: steady(0)})
	n.run(ctx)
	n.wg.Go(func() {
		var err error
		if accepted, err = n.exit.Accept(ctx); err == nil {
			accepted.Open()
		}
	})
	dialled, err := n.client.Dial(ctx, "pair.example:1")
	require.NoError(t, err)
	return dialled, accepted, func() {
		n.client.Fail(stream.ErrClosed)
		n.exit.Fail(stream.ErrClosed)
		cancel()
		n.wg.Wait()
	}
}

// TestConnIsOne: a stream's two ends behave as package net's connections do, with deadlines, and calls at the same time.
func TestConnIsOne(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		dialled, accepted, stop := pair(t)
		return dialled, accepted, stop, nil
	})
}

func TestDeadlinesHoldForWritesToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, stop := pair(t)
		defer stop()
		start := time.Now()
		require.NoError(t, c.SetWriteDeadline(start.Add(50*time.Millisecond)))
		n, err := c.Write(make([]byte, 1<<20)) // nobody reads
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout())
		require.Equal(t, 50*time.Millisecond, time.Since(start))
		require.Equal(t, 128<<10, n, "as many bytes as the other end takes were written")
	})
}
