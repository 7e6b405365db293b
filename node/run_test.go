package node_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/sphinx"
)

// stranger makes a node that is not one of the network's mixes, with the parameters of the network unless changed.
func stranger(t *testing.T, n *nodetest.Network, change func(*node.Config)) *node.Node {
	t.Helper()
	_, identity, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	cfg := node.Config{
		Identity:  identity,
		Network:   n.Network,
		Directory: n.Directory(),
		Listener:  n.Listen("stranger:4000"),
		Dial:      n.Dialer("stranger"),
	}
	if change != nil {
		change(&cfg)
	}
	made, err := node.New(cfg)
	require.NoError(t, err)
	return made
}

// run runs a node in the background and returns what its Run will.
func run(ctx context.Context, n *node.Node) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	return ended
}

// TestRunEndsWithItsContext, whatever the reason, without an error, and the mix key ends with it.
func TestRunEndsWithItsContext(t *testing.T) {
	for _, test := range []struct {
		name string
		ends func() (context.Context, context.CancelFunc)
	}{
		{"cancelled", func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(time.Minute, cancel)
			return ctx, cancel
		}},
		{"at its deadline", func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), time.Minute)
		}},
		{"with a cause", func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(context.Background())
			end := func() { cancel(errors.New("the operator wants to sleep")) }
			time.AfterFunc(time.Minute, end)
			return ctx, end
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := nodetest.Start(t, nodetest.Config{Mixes: 1})
				ctx, cancel := test.ends()
				defer cancel()
				start := time.Now()
				node := stranger(t, n, nil)
				require.NotEqual(t, make([]byte, 2*sphinx.KeySize), node.MixKeys())
				require.NoError(t, <-run(ctx, node))
				require.Equal(t, time.Minute, time.Since(start))
				require.Equal(t, make([]byte, 2*sphinx.KeySize), node.MixKeys(), "the keys are erased")
			})
		})
	}
}

func TestRunEndsWithItsListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Mixes: 1})
		var listener net.Listener
		node := stranger(t, n, func(cfg *node.Config) { listener = cfg.Listener })
		ended := run(t.Context(), node)
		time.Sleep(time.Minute)
		require.Empty(t, ended)
		listener.Close()
		require.ErrorIs(t, <-ended, net.ErrClosed)
	})
}

// TestStopWaitsForNobody: neither those who do not read, nor those who cannot be reached, nor a busy service keep a node
// from ending at once.
func TestStopWaitsForNobody(t *testing.T) {
	for _, test := range []struct {
		name string
		busy func(t *testing.T, n *nodetest.Network)
		tap  nodetest.Tap
	}{
		{name: "idle", busy: func(*testing.T, *nodetest.Network) {}},
		{
			name: "with a mix that does not read",
			busy: func(t *testing.T, n *nodetest.Network) {
				alice := n.Link("alice", nil, 0)
				for range 100 {
					send(t, alice, wrap(t, n, "inbox", "", 0, 1))
				}
			},
			tap: func(f nodetest.Frame) []nodetest.Frame {
				if f.From == "mix0" {
					time.Sleep(time.Hour)
				}
				return []nodetest.Frame{f}
			},
		},
		{name: "with a mix that is gone", busy: func(t *testing.T, n *nodetest.Network) {
			n.Stop(1)
			alice := n.Link("alice", nil, 0)
			for range 100 {
				send(t, alice, wrap(t, n, "inbox", "", 0, 1))
			}
		}},
		{name: "with a client that does not read", busy: func(t *testing.T, n *nodetest.Network) {
			_, id := subscribed(t, n, "alice", 0)
			mallory := n.Link("mallory", nil, 0)
			for range 100 {
				send(t, mallory, replyTo(t, n, id, 0))
			}
		}},
		{name: "with packets in the batch", busy: func(t *testing.T, n *nodetest.Network) {
			send(t, n.Link("alice", nil, 0), wrap(t, n, "inbox", "", 0))
		}},
		{name: "with packets for a busy service", busy: func(t *testing.T, n *nodetest.Network) {
			alice := n.Link("alice", nil, 0)
			for range 100 {
				send(t, alice, wrap(t, n, "blocked", "", 0))
			}
		}},
		{name: "with someone in the handshake", busy: func(t *testing.T, n *nodetest.Network) { dial(t, n) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				service := &blocked{release: make(chan struct{})}
				n := nodetest.Start(t, nodetest.Config{Mixes: 2, Tap: test.tap, Node: func(_ int, cfg *node.Config) {
					cfg.Handlers["blocked"] = service
				}})
				test.busy(t, n)
				sleep(2 * nodetest.BatchDeadline)
				start := time.Now()
				n.Stop(0)
				require.Zero(t, time.Since(start))
			})
		})
	}
}

// TestNothingIsServedAfterTheEnd: connections are closed, and packets in the batch go nowhere.
func TestNothingIsServedAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := batching(t)
		alice := n.Link("alice", nil, 0)
		send(t, alice, wrap(t, n, "inbox", "too late", 0), wrap(t, n, "inbox", "too late", 0, 1))
		synctest.Wait()
		n.Stop(0)
		_, _, err := alice.ReadFrame(frameOf(n))
		require.Equal(t, io.EOF, err)
		_, err = n.Dialer("alice")(t.Context(), n.Mixes[0].Address)
		require.Error(t, err)
		sleep(2 * deadline)
		require.True(t, box.empty())
	})
}

// TestOldPacketsDieWithTheKey: a node that starts again can open nothing of what was sent to it before.
func TestOldPacketsDieWithTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := unmixed(t)
		recorded := wrap(t, n, "inbox", "recorded", 0)
		send(t, n.Link("alice", nil, 0), recorded)
		synctest.Wait()
		require.Equal(t, []string{"recorded"}, box.sorted())

		old := n.Mixes[0].Hop()
		n.Stop(0)
		n.Start(0)
		require.NotEqual(t, old.Key, n.Mixes[0].Hop().Key)
		require.Equal(t, old.Address, n.Mixes[0].Hop().Address)
		send(t, n.Link("mallory", nil, 0), recorded)
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropMAC: 1})
		require.Equal(t, []string{"recorded"}, box.sorted())
	})
}

// TestPacketsThroughTheSameMixTwiceInARow are refused: no client makes them, and each would take several places in the
// mix's replay set for the price of one.
func TestPacketsThroughTheSameMixTwiceInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := unmixed(t)
		send(t, n.Link("alice", nil, 0), wrap(t, n, "inbox", "there and there", 0, 0, 1))
		synctest.Wait()
		require.True(t, box.empty())
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropNextHop: 1})
	})
}
