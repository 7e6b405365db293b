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
	"sphinxmix.example/client/exit"
	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/nodetest"
)

// at returns the number of a client's gateway, −1 while it has none. Unlike gatewayOf it sends nothing.
func at(n *nodetest.Network, c *client.Client) int {
	id, _ := c.Gateway()
	return slices.IndexFunc(n.Mixes, func(m *nodetest.Mix) bool { return m.ID() == id })
}

// TestLostGatewayIsMadeUpFor: a message that is under way when its client loses the gateway arrives whole, soon after.
func TestLostGatewayIsMadeUpFor(t *testing.T) {
	long(t)
	const cells = client.Window + 100
	for _, test := range []struct {
		name string
		lose func(n *nodetest.Network, gateway int)
		same bool          // whether the gateway after is the one before
		soon time.Duration // that the client must be back in
	}{
		{"it ends", func(n *nodetest.Network, gateway int) { n.Stop(gateway) }, false, 2 * time.Second},
		{"its link is cut", func(n *nodetest.Network, gateway int) { n.Cut("alice", n.Mixes[gateway].Address) }, true, 0},
		{"it comes back with other keys", func(n *nodetest.Network, gateway int) {
			n.Stop(gateway)
			n.Start(gateway)
		}, true, 2 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := nodetest.Start(t, nodetest.Config{Mixes: 9})
				c := n.Client("alice")
				gateway := gatewayOf(t, n, c)
				time.Sleep(time.Minute)
				var progress atomic.Int64
				body := text(1, cells*room)
				done := request(soon(t), c, client.Message{To: "echo", Body: body, Progress: func(done, _ int) { progress.Store(int64(done)) }})
				for progress.Load() < cells/4 {
					time.Sleep(nodetest.BatchDeadline / 3)
				}
				require.Less(t, progress.Load(), int64(cells), "the message is still under way")
				lost := time.Now()
				test.lose(n, gateway)
				time.Sleep(test.soon - time.Since(lost))
				synctest.Wait()
				require.NotEqual(t, -1, at(n, c))
				require.Equal(t, test.same, at(n, c) == gateway)

				got := <-done
				require.NoError(t, got.err)
				require.True(t, string(body) == string(got.reply), "the reply is another than the message")
				require.Less(t, n.Counts().Served, uint64(cells+2*client.Window), "what was answered is not sent again")
				if test.same {
					require.Less(t, time.Since(lost), 20*time.Second) // not while a mix is listed that is gone
				}
				synctest.Wait()
				require.Zero(t, c.Expected())
			})
		})
	}
}

// TestCellsLostWithTheGatewayAreSentAtOnce, and not when they would have been without it.
func TestCellsLostWithTheGatewayAreSentAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{})
		c := n.Client("alice")
		gateway := gatewayOf(t, n, c)
		time.Sleep(time.Minute)
		start := time.Now()
		done := request(soon(t), c, client.Message{To: "echo", Body: text(1, 50*room)})
		time.Sleep(5 * nodetest.BatchDeadline)
		n.Cut("alice", n.Mixes[gateway].Address)
		got := <-done
		require.NoError(t, got.err)
		require.Equal(t, text(1, 50*room), got.reply)
		require.Less(t, time.Since(start), (5+7+1)*nodetest.BatchDeadline, "a part of a round trip, and another")
	})
}

// TestLossesOfTheGatewayAreNotTheNetworks: a cell that was sent many times because gateways went away is given no more time
// than one that was sent once.
func TestLossesOfTheGatewayAreNotTheNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hole switchable
		n := nodetest.Start(t, nodetest.Config{Tap: hole.Tap})
		c := n.Client("alice")
		requireEcho(t, c, text(1, 20*room))
		hole.set(func(f nodetest.Frame) []nodetest.Frame {
			if betweenMixes(f) {
				return nil
			}
			return []nodetest.Frame{f}
		})
		done := request(soon(t), c, client.Message{To: "echo"})
		for range 8 {
			for at(n, c) == -1 {
				time.Sleep(time.Second / 10)
			}
			n.Cut("alice", n.Mixes[at(n, c)].Address)
			synctest.Wait()
		}
		for at(n, c) == -1 {
			time.Sleep(time.Second / 10)
		}
		time.Sleep(2 * nodetest.BatchDeadline) // the last one is lost in the network
		hole.set(nil)
		start := time.Now()
		require.NoError(t, (<-done).err)
		require.Less(t, time.Since(start), 3*time.Second)
	})
}

// TestGatewayIsKept where a connection breaks now and then, so that who cuts it cannot move the client on.
func TestGatewayIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{})
		c := n.Client("alice")
		gateway := gatewayOf(t, n, c)
		for range 20 {
			time.Sleep(time.Minute)
			n.Cut("alice", n.Mixes[gateway].Address)
			synctest.Wait()
			require.Equal(t, gateway, at(n, c))
			requireEcho(t, c, text(1, 3*room))
		}
	})
}

// TestGatewayThatDoesNotKeepItsClientIsLeft: it takes the client and hangs up soon after, again and again.
func TestGatewayThatDoesNotKeepItsClientIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{})
		c := n.Client("alice")
		gateway := gatewayOf(t, n, c)
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			n.Cut("alice", n.Mixes[gateway].Address)
		}
		require.NotEqual(t, gateway, at(n, c))
		requireEcho(t, c, text(1, 3*room))
	})
}

// TestRequestsWaitForAGateway as long as their contexts say, and go on when there is one again. Meanwhile the client
// does not hammer at the network.
func TestRequestsWaitForAGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Node: seldom})
		var dials atomic.Int64
		var down atomic.Bool
		dial := n.Dialer("alice")
		c, err := client.New(t.Context(), client.Config{Directory: n.Directory(), Dial: func(ctx context.Context, address string) (net.Conn, error) {
			if dials.Add(1); down.Load() {
				return nil, errors.New("no route to host")
			}
			return dial(ctx, address)
		}})
		require.NoError(t, err)
		defer c.Close()
		before := request(soon(t), c, client.Message{To: "echo", Body: text(1, 100*room)})
		time.Sleep(nodetest.BatchDeadline)
		down.Store(true)
		for _, m := range n.Mixes {
			n.Cut("alice", m.Address)
		}
		dials.Store(0)
		during := request(soon(t), c, client.Message{To: "echo", Body: text(2, 10*room)})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
		defer cancel()
		start := time.Now()
		_, err = c.Request(ctx, client.Message{To: "echo", Body: text(3, 10*room)})
		require.Equal(t, 20*time.Minute, time.Since(start))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, client.ErrGateway)
		require.ErrorContains(t, err, "0 of 10 cells answered")
		require.ErrorContains(t, err, "no route to host")
		require.Greater(t, dials.Load(), int64(20*60/30))
		require.Less(t, dials.Load(), int64(20*60/15+10))

		down.Store(false)
		for i, done := range []<-chan result{before, during} {
			got := <-done
			require.NoError(t, got.err)
			require.Equal(t, text(i+1, []int{100, 10}[i]*room), got.reply)
		}
		require.Less(t, time.Since(start), 21*time.Minute)
	})
}

// TestGatewayThatFallsSilentIsReplaced: no frame at all is the sign of a link that is no more, and idle ones carry some.
func TestGatewayThatFallsSilentIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A Tap lets no padding pass.
		n := nodetest.Start(t, nodetest.Config{Node: seldom, Tap: func(f nodetest.Frame) []nodetest.Frame { return []nodetest.Frame{f} }})
		c := n.Client("alice")
		for range 3 {
			requireEcho(t, c, []byte("hello"))
			time.Sleep(20 * time.Minute)
		}
	})
}

// TestGatewayIsKeptThatADirectoryForgets for a moment, as one does that starts anew: the mix registers again.
func TestGatewayIsKeptThatADirectoryForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Node: func(i int, cfg *node.Config) {
			if cfg.Refresh = time.Second; i == 0 {
				cfg.Refresh = 12 * time.Second
			}
		}})
		c := n.Client("alice")
		for at(n, c) != 0 {
			c.Close()
			c = n.Client("alice")
		}
		for range 12 {
			n.StopDirectory()
			n.ForgetNodes()
			n.StartDirectory()
			time.Sleep(90 * time.Second)
			require.Equal(t, 0, at(n, c))
			requireEcho(t, c, text(1, 2*room))
		}
	})
}

// TestGatewayThatLeavesIsLeft: a mix that takes itself out of the directory is waited for by nobody, and no message is
// lost.
func TestGatewayThatLeavesIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Mixes: 6})
		c := n.Client("alice")
		gateway := gatewayOf(t, n, c)
		drained := make(chan error, 1)
		go func() { drained <- n.Mixes[gateway].Drain(soon(t)) }()
		for start := time.Now(); time.Since(start) < 3*time.Minute; time.Sleep(time.Second) {
			requireEcho(t, c, text(1, 2*room))
		}
		require.NotEqual(t, gateway, at(n, c))
		require.Len(t, drained, 1, "nobody sends to it any more")
		require.NoError(t, <-drained)
	})
}

// TestForgetfulDirectoryDoesNoHarm: one that has lost its memory lists no mix, and then those that have registered
// again. Requests go on through the mixes that were listed before, and so does the way through the gateway.
func TestForgetfulDirectoryDoesNoHarm(t *testing.T) {
	long(t)
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Mixes: 6, Node: func(i int, cfg *node.Config) {
			cfg.Refresh = 25 * time.Minute
			if i == 5 {
				cfg.Handlers = nil
				cfg.Refresh = 10 * time.Second
			}
		}})
		c := n.Client("alice")
		for at(n, c) == 5 { // it alone sees the poor view, and drops what goes to mixes that are not in it
			c.Close()
			c = n.Client("alice")
		}
		requireEcho(t, c, text(0, room))
		gateway := at(n, c)
		n.StopDirectory()
		n.ForgetNodes()
		n.StartDirectory()
		poor := 0 // minutes in which the directory listed few mixes or none
		for range 60 {
			time.Sleep(time.Minute)
			view, err := n.Directory().Fetch(t.Context())
			require.NoError(t, err)
			if len(view.Nodes) < 3 {
				poor++
			}
			requireEcho(t, c, text(1, 3*room))
			require.Equal(t, gateway, at(n, c))
		}
		require.Greater(t, poor, 5)
	})
}

// TestRunningRequestsWaitForTheNetwork: the one mix that offers a service leaves while a message to it is under way, for
// longer than clients remember it, and comes back. New messages are refused meanwhile.
func TestRunningRequestsWaitForTheNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{
			Views: func(cfg *directory.ServerConfig) { cfg.Lifetime = 4 * time.Minute },
			Node: func(i int, cfg *node.Config) {
				if i == 0 {
					cfg.Handlers["here"] = exit.NewEcho(cfg.Network.Params)
				}
			},
		})
		c := n.Client("alice")
		body := text(1, 100*room)
		done := request(t.Context(), c, client.Message{To: "here", Body: body})
		short, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
		defer cancel()
		given := request(short, c, client.Message{To: "here", Body: body})
		time.Sleep(2 * nodetest.BatchDeadline)
		go n.Mixes[0].Drain(short)
		time.Sleep(2 * nodetest.BatchDeadline)
		n.Stop(0)
		got := <-given
		require.ErrorIs(t, got.err, context.DeadlineExceeded)
		require.ErrorIs(t, got.err, client.ErrNoService)
		require.ErrorContains(t, got.err, `"here"`)
		_, err := c.Request(soon(t), client.Message{To: "here"})
		require.ErrorIs(t, err, client.ErrNoService)
		requireEcho(t, c, []byte("other services are there"))

		require.Empty(t, done)
		back := time.Now()
		n.Start(0)
		got = <-done
		require.NoError(t, got.err)
		require.True(t, string(body) == string(got.reply), "the reply is another than the message")
		require.Less(t, time.Since(back), 5*time.Minute)
	})
}
