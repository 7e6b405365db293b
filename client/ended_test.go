package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/node/nodetest/printing"
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

// TestCloseWaitsForNobody, whatever keeps the client from a gateway.
func TestCloseWaitsForNobody(t *testing.T) {
	long(t)
	for _, test := range []struct {
		name string
		dial func(ctx context.Context, address string) (net.Conn, error)
	}{
		{"nobody answers", func(ctx context.Context, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}},
		{"all refuse", func(context.Context, string) (net.Conn, error) { return nil, errors.New("refused") }},
		{"nobody says anything", func(context.Context, string) (net.Conn, error) {
			near, far := net.Pipe()
			go io.Copy(io.Discard, far)
			return near, nil
		}},
		{"nobody reads", func(context.Context, string) (net.Conn, error) {
			near, _ := net.Pipe()
			return near, nil
		}},
		{"nobody reads on", nil},
	} {
		for _, after := range []time.Duration{0, time.Second, 4 * time.Second, time.Hour} {
			t.Run(fmt.Sprintf("%s, %v", test.name, after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := nodetest.Start(t, nodetest.Config{Node: seldom})
					var lost atomic.Bool
					dial := n.Dialer("alice")
					c, err := client.New(t.Context(), client.Config{
						Directory: n.Directory(),
						Cover:     client.Cover{Loops: 0.1},
						Dial: func(ctx context.Context, address string) (net.Conn, error) {
							switch {
							case !lost.Load():
								return dial(ctx, address)
							case test.dial != nil:
								return test.dial(ctx, address)
							}
							conn, err := dial(ctx, address)
							return &stubborn{Conn: conn, closed: make(chan struct{})}, err
						},
					})
					require.NoError(t, err)
					done := request(t.Context(), c, client.Message{To: "echo", Body: text(1, 20*room)})
					lost.Store(true)
					for _, m := range n.Mixes {
						n.Cut("alice", m.Address)
					}
					time.Sleep(after)
					start := time.Now()
					c.Close()
					require.Zero(t, time.Since(start))
					require.ErrorIs(t, (<-done).err, client.ErrClosed)
				})
			})
		}
	}
}

// stubborn is a connection that takes a TLS client's two writes of the handshake, and not another byte.
type stubborn struct {
	net.Conn
	writes atomic.Int64
	once   sync.Once
	closed chan struct{}
}

func (s *stubborn) Write(p []byte) (int, error) {
	if s.writes.Add(1) <= 2 {
		return s.Conn.Write(p)
	}
	<-s.closed
	return 0, io.ErrClosedPipe
}

func (s *stubborn) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.Conn.Close()
}

// TestNoVerbPrintsWhatAClientKnows, wherever in a value that is printed the client stands.
func TestNoVerbPrintsWhatAClientKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := nodetest.Start(t, nodetest.Config{}).Client("alice")
		c.Close() // as package fmt reads what goroutines write
		secret := c.Secret()
		printing.RequireHidden(t, c, secret[:])
		require.Equal(t, "client.Client", fmt.Sprint(c))
	})
}
