package client_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/nodetest"
)

// all returns what was seen so far.
func (f *frames) all() []nodetest.Frame {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.seen)
}

// outage starts a client whose connections to mixes fail while down is set.
func outage(t *testing.T, n *nodetest.Network, cfg client.Config) (c *client.Client, down *atomic.Bool) {
	t.Helper()
	down = new(atomic.Bool)
	dial := n.Dialer("alice")
	cfg.Directory = n.Directory()
	cfg.Dial = func(ctx context.Context, address string) (net.Conn, error) {
		if down.Load() {
			return nil, errors.New("no route to host")
		}
		return dial(ctx, address)
	}
	c, err := client.New(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c, down
}

// TestRepliesAreNotLostWithTheLink: a client that comes back to its gateway gets those that came meanwhile, and asks for
// none of them again.
func TestRepliesAreNotLostWithTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{})
		c, down := outage(t, n, client.Config{})
		const cells = 300
		body := text(1, cells*room)
		time.Sleep(10 * time.Second)
		done := request(soon(t), c, client.Message{To: "echo", Body: body})
		time.Sleep(3 * nodetest.BatchDeadline) // all have left, and none has come back
		synctest.Wait()
		down.Store(true)
		n.Cut("alice", n.Mixes[at(n, c)].Address)
		time.Sleep(3 * time.Second)
		require.Zero(t, n.Counts().Delivered)
		require.Equal(t, cells, c.Expected())
		down.Store(false)
		got := <-done
		require.NoError(t, got.err)
		require.True(t, string(body) == string(got.reply), "the reply is another than the message")
		synctest.Wait() // counted after they were delivered
		require.EqualValues(t, cells, n.Counts().Served, "no cell was sent twice")
		require.EqualValues(t, cells, n.Counts().Delivered)
		require.Empty(t, n.Counts().Dropped)
	})
}

// TestMailboxIsKeptForAMinute at one gateway, and is another one after that, or elsewhere, or where the gateway cannot have
// it any more. What was expected in the one before is not expected any more.
func TestMailboxIsKeptForAMinute(t *testing.T) {
	for _, test := range []struct {
		name string
		lose func(n *nodetest.Network, gateway int, down *atomic.Bool)
		same bool
	}{
		{"a short outage", func(_ *nodetest.Network, _ int, down *atomic.Bool) {
			time.Sleep(20 * time.Second)
			down.Store(false)
		}, true},
		{"a long outage", func(_ *nodetest.Network, _ int, down *atomic.Bool) {
			time.Sleep(link.Retention)
			down.Store(false)
		}, false},
		{"a gateway that starts anew", func(n *nodetest.Network, gateway int, down *atomic.Bool) {
			n.Stop(gateway)
			n.Start(gateway)
			time.Sleep(10 * time.Second)
			down.Store(false)
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var hole switchable
				var names frames
				n := nodetest.Start(t, nodetest.Config{Mixes: 7, Tap: func(f nodetest.Frame) []nodetest.Frame {
					if f.Kind == link.Subscribe {
						names.Tap(f)
					}
					return hole.Tap(f)
				}})
				via := []directory.NodeID{n.Mixes[0].ID(), n.Mixes[1].ID(), n.Mixes[2].ID()} // so that there is one gateway
				c, down := outage(t, n, client.Config{Via: via})
				time.Sleep(10 * time.Second)
				hole.set(func(f nodetest.Frame) []nodetest.Frame {
					if betweenMixes(f) {
						return nil
					}
					return []nodetest.Frame{f}
				})
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				go func() {
					_, _ = c.Request(context.WithoutCancel(ctx), client.Message{To: "echo", Body: text(1, 5*room)})
				}()
				time.Sleep(time.Second)
				require.Equal(t, 5, c.Expected())
				down.Store(true)
				n.Cut("alice", n.Mixes[0].Address)
				test.lose(n, 0, down)
				for at(n, c) == -1 {
					time.Sleep(time.Second / 10)
				}
				told := names.all()
				require.Len(t, told, 2)
				require.Equal(t, test.same, string(told[0].Body) == string(told[1].Body))
				hole.set(nil)
				requireEcho(t, c, text(2, 3*room))
				time.Sleep(time.Minute)
				require.Zero(t, c.Expected())
			})
		})
	}
}

// TestMailboxIsNamedToOneGatewayAlone.
func TestMailboxIsNamedToOneGatewayAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names frames
		n := nodetest.Start(t, nodetest.Config{Tap: func(f nodetest.Frame) []nodetest.Frame {
			if f.Kind == link.Subscribe {
				names.Tap(f)
			}
			return []nodetest.Frame{f}
		}})
		c := n.Client("alice")
		for range 12 {
			requireEcho(t, c, text(1, room))
			n.Cut("alice", n.Mixes[at(n, c)].Address) // soon after it has begun
		}
		time.Sleep(time.Minute)
		told := make(map[string]string)
		gateways := make(map[string]bool)
		for _, f := range names.all() {
			gateways[f.To] = true
			if to := told[string(f.Body)]; to != "" {
				require.Equal(t, to, f.To)
			}
			told[string(f.Body)] = f.To
		}
		require.Greater(t, len(gateways), 1)
		require.Less(t, len(told), len(names.all()), "the same one comes back with its name")
	})
}
