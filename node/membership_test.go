package node_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/sphinx"
)

// fetch returns the network's view as a newcomer sees it.
func fetch(t *testing.T, n *nodetest.Network) *directory.View {
	t.Helper()
	view, err := n.Directory().Fetch(t.Context())
	require.NoError(t, err)
	return view
}

func TestNodeRegistersWhatItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Mixes: 3, Node: withInbox(&inbox{}, nil)})
		view := fetch(t, n)
		require.Equal(t, n.Params, view.Params)
		require.Len(t, view.Nodes, 3)
		for _, m := range n.Mixes {
			d, listed := view.Node(m.ID())
			require.True(t, listed)
			require.Equal(t, m.Address, d.Address)
			require.Len(t, d.Keys, 2, "of this epoch and the next")
			require.Equal(t, directory.EpochKey{Epoch: view.EpochAt(time.Now()), Key: m.Key.Public()}, d.Keys[0])
			require.Equal(t, []string{"echo", "gateway", "inbox"}, d.Services)
			require.EqualValues(t, directory.DefaultWeight, d.Weight)
		}
	})
}

// TestNodeWithoutClients says so, hangs up on whoever does not prove to be somebody before it takes anything, and mixes on.
func TestNodeWithoutClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := &inbox{}
		n := nodetest.Start(t, nodetest.Config{Mixes: 2, Node: func(i int, cfg *node.Config) {
			cfg.Handlers["inbox"] = box
			if i == 1 {
				cfg.NoClients, cfg.Weight = true, 9
			}
		}})
		d, _ := fetch(t, n).Node(n.Mixes[1].ID())
		require.Equal(t, []string{"echo", "inbox"}, d.Services)
		require.EqualValues(t, 9, d.Weight)

		for _, kind := range []link.Kind{link.Subscribe, link.Packet} {
			alice := n.Link("alice", nil, 1)
			_ = alice.WriteFrame(kind, nodetest.FirstEpoch, wrap(t, n, "inbox", "from nobody", 1))
			_ = alice.Flush()
			_, _, err := alice.ReadFrame(make([]byte, n.Params.PacketSize()))
			require.Error(t, err)
		}
		require.Zero(t, n.Mixes[1].Counts().Received)
		require.Empty(t, n.Mixes[1].Counts().Dropped)

		send(t, n.Link("bob", nil, 0), wrap(t, n, "inbox", "through a mix", 0, 1))
		sleep(time.Second)
		require.Equal(t, []string{"through a mix"}, box.sorted())
	})
}

// TestNodeOfAnotherNetworkDoesNotJoin, neither by registering nor by taking the view.
func TestNodeOfAnotherNetworkDoesNotJoin(t *testing.T) {
	good := directory.Network{Params: sphinx.Params{MaxHops: 5, PayloadSize: 1024}, Epoch: directory.MaxEpoch}
	hops, payload, epoch, delay := good, good, good, good
	hops.MaxHops, payload.PayloadSize, epoch.Epoch, delay.MeanDelay = 6, 1056, time.Hour, time.Second
	for name, network := range map[string]directory.Network{"hops": hops, "payload": payload, "epoch": epoch, "delay": delay} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := nodetest.Start(t, nodetest.Config{Mixes: 2})
				other := stranger(t, n, func(cfg *node.Config) { cfg.Network = network })
				ctx, cancel := context.WithCancel(t.Context())
				ended := run(ctx, other)
				time.Sleep(10 * time.Minute)
				require.Nil(t, other.View())
				require.Len(t, fetch(t, n).Nodes, 2)
				cancel()
				require.NoError(t, <-ended)
			})
		})
	}
}

// TestNodesStayRegistered for as long as they run, and a day after a node is gone it is listed no more.
func TestNodesStayRegistered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Mixes: 5, Node: func(_ int, cfg *node.Config) { cfg.Refresh = 5 * time.Minute }})
		for range 29 {
			time.Sleep(50 * time.Minute)
			view := fetch(t, n)
			require.Len(t, view.Nodes, 5)
			for _, d := range view.Nodes {
				require.Greater(t, time.Until(d.Expires), 20*time.Minute, "there is time to find the directory if it is away")
			}
		}
		reply, err := n.Client("alice").Request(t.Context(), client.Message{To: "echo", Body: []byte("still here")})
		require.NoError(t, err)
		require.Equal(t, "still here", string(reply))

		n.Stop(2)
		time.Sleep(24 * time.Hour)
		view := fetch(t, n)
		require.Len(t, view.Nodes, 4)
		require.False(t, slices.ContainsFunc(view.Nodes, func(d *directory.Descriptor) bool { return d.ID() == n.Mixes[2].ID() }))
	})
}

// TestMovedNodeIsDialledAnew: packets for a mix that starts again elsewhere go there and nowhere else.
func TestMovedNodeIsDialledAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := unmixed(t)
		alice := n.Link("alice", nil, 0)
		send(t, alice, wrap(t, n, "inbox", "before", 0, 1))
		synctest.Wait()
		require.Equal(t, []string{"before"}, box.sorted())

		old := n.Mixes[1].Address
		n.Stop(1)
		n.Mixes[1].Address = "elsewhere:4000"
		n.Start(1)
		at := n.Listen(old)
		defer at.Close()
		go func() {
			if conn, err := at.Accept(); err == nil {
				conn.Close()
				t.Error("the old address was dialled")
			}
		}()
		for range 3 {
			send(t, alice, wrap(t, n, "inbox", "after", 0, 1))
		}
		synctest.Wait()
		require.Equal(t, []string{"after", "after", "after", "before"}, box.sorted())
	})
}

// TestRestartedNodeIsReached: who sends to a mix that starts again at the same address finds its new link by itself.
func TestRestartedNodeIsReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := unmixed(t)
		alice := n.Link("alice", nil, 0)
		send(t, alice, wrap(t, n, "inbox", "before", 0, 1))
		synctest.Wait()
		n.Stop(1)
		n.Start(1)
		for i := range 3 {
			send(t, alice, wrap(t, n, "inbox", fmt.Sprint("later ", i), 0, 1))
			sleep(time.Second)
		}
		got := box.sorted()
		require.Contains(t, got, "later 1")
		require.Contains(t, got, "later 2")
	})
}

// TestNodeWorksWithoutItsDirectory until what it knows expires, and again when the directory is back.
func TestNodeWorksWithoutItsDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := unmixed(t)
		view := n.Mixes[0].View()
		n.StopDirectory()
		pass := func(message string) bool {
			box.clear()
			send(t, n.Link("alice", nil, 0), wrap(t, n, "inbox", message, 0, 1))
			synctest.Wait()
			return slices.Equal([]string{message}, box.sorted())
		}
		time.Sleep(time.Until(view.Expires) - time.Second)
		require.True(t, pass("the view is good"))
		time.Sleep(2 * time.Second)
		require.False(t, pass("the view has expired"), "a view is used that is worth nothing any more")
		require.Equal(t, map[node.Drop]uint64{node.DropNextHop: 1}, n.Mixes[0].Counts().Dropped)

		n.StartDirectory()
		n.Settle()
		require.True(t, pass("the view is new"))
	})
}

// TestDirectoryThatForgotIsToldAgain: a directory keeps its list in memory, and after a restart nobody is found until the
// nodes have registered anew. They see in the next view that they are not in it.
func TestDirectoryThatForgotIsToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Mixes: 4})
		n.StopDirectory()
		n.ForgetNodes()
		n.StartDirectory()
		require.Empty(t, fetch(t, n).Nodes)
		time.Sleep(3 * nodetest.Refresh)
		require.Len(t, fetch(t, n).Nodes, 4)
	})
}

// TestMixThatLeftIsNotDialled: once a mix is listed no more, nobody tries to reach it, whether or not there are packets
// for others.
func TestMixThatLeftIsNotDialled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		dialled := 0
		n := nodetest.Start(t, nodetest.Config{Mixes: 2, Node: func(_ int, cfg *node.Config) {
			cfg.Mix.Size = 1
			dial := cfg.Dial
			cfg.Dial = func(ctx context.Context, address string) (net.Conn, error) {
				mu.Lock()
				dialled++
				mu.Unlock()
				return dial(ctx, address)
			}
		}})
		n.Stop(1)
		send(t, n.Link("alice", nil, 0), wrap(t, n, "echo", "", 0, 1))
		time.Sleep(time.Hour + time.Minute)
		require.Len(t, n.Mixes[0].View().Nodes, 1)
		mu.Lock()
		dialled = 0
		mu.Unlock()
		time.Sleep(time.Hour)
		mu.Lock()
		defer mu.Unlock()
		require.Zero(t, dialled)
		require.Equal(t, map[node.Drop]uint64{node.DropPeer: 1}, n.Mixes[0].Counts().Dropped)
	})
}

// TestRunningOnesHearOfNewMixesInTime: a mix is usable by others one Refresh after it has registered.
func TestRunningOnesHearOfNewMixesInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := unmixed(t)
		node := stranger(t, n, nil)
		ctx, stop := context.WithCancel(t.Context())
		ended := run(ctx, node)
		sleep(nodetest.Refresh)
		for _, m := range n.Mixes {
			d, listed := m.View().Node(node.ID())
			require.True(t, listed)
			require.True(t, strings.HasPrefix(d.Address, "stranger:"))
		}
		stop()
		require.NoError(t, <-ended)
	})
}
