package nodetest_test

import (
	"context"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/sphinx"
)

// inbox is a service that passes messages on.
type inbox chan string

func (b inbox) Handle(_ context.Context, message []byte, _ func(sphinx.Address, []byte)) error {
	b <- string(message)
	return nil
}

func withInbox(b inbox) func(int, *node.Config) {
	return func(_ int, cfg *node.Config) { cfg.Handlers["inbox"] = b }
}

// send sends a message over a link to the inbox of mix 1, by way of mix 0.
func send(t *testing.T, n *nodetest.Network, c *link.Conn, message string) {
	t.Helper()
	packet, err := n.Params.Wrap(nil, nil, []sphinx.Hop{n.Mixes[0].Hop(), n.Mixes[1].Hop()}, []byte("inbox"), []byte(message))
	require.NoError(t, err)
	require.NoError(t, c.WriteFrame(link.Packet, nodetest.FirstEpoch, packet))
	require.NoError(t, c.Flush())
}

func TestNetworkCarriesMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{})
		start := time.Now()
		reply, err := n.Client("alice").Request(t.Context(), client.Message{To: "echo", Body: []byte("hello")})
		require.NoError(t, err)
		require.Equal(t, "hello", string(reply))
		require.Equal(t, 7*nodetest.BatchDeadline, time.Since(start), "a packet waits for others at each of six hops, and the reply where it is made")
	})
}

// TestTapSeesEveryFrame, in both directions, with the names of its ends.
func TestTapSeesEveryFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var seen []nodetest.Frame
		n := nodetest.Start(t, nodetest.Config{Tap: func(f nodetest.Frame) []nodetest.Frame {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, f)
			return []nodetest.Frame{f}
		}})
		_, err := n.Client("alice").Request(t.Context(), client.Message{To: "echo", Body: []byte("hello")})
		require.NoError(t, err)
		mu.Lock()
		defer mu.Unlock()
		require.Len(t, seen, 8, "a mailbox, six packets, a reply")
		for i, f := range seen {
			require.Len(t, f.Body, n.Params.PacketSize())
			want := link.Packet
			switch i {
			case 0:
				want = link.Subscribe
			case 7:
				want = link.Reply
			}
			require.Equal(t, want, f.Kind)
			if i > 1 {
				require.Equal(t, seen[i-1].To, f.From)
			}
		}
		require.Equal(t, "alice", seen[1].From)
		require.Equal(t, "alice", seen[7].To)
	})
}

func TestTapDecidesWhatArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := make(inbox, 10)
		var other []byte // another packet, for mix 1
		n := nodetest.Start(t, nodetest.Config{Mixes: 2, Node: withInbox(box), Tap: func(f nodetest.Frame) []nodetest.Frame {
			switch {
			case f.From == "mallory":
				return nil
			case f.To == "mix1":
				more := f
				more.Body = other
				return []nodetest.Frame{more, f}
			}
			return []nodetest.Frame{f}
		}})
		var err error
		other, err = n.Params.Wrap(nil, nil, []sphinx.Hop{n.Mixes[1].Hop()}, []byte("inbox"), []byte("injected"))
		require.NoError(t, err)
		send(t, n, n.Link("mallory", nil, 0), "from mallory")
		send(t, n, n.Link("alice", nil, 0), "from alice")
		got := []string{<-box, <-box}
		slices.Sort(got)
		require.Equal(t, []string{"from alice", "injected"}, got)
		time.Sleep(time.Minute)
		require.Empty(t, box)
	})
}

func TestCutLinksAreMadeAnew(t *testing.T) {
	for name, tap := range map[string]nodetest.Tap{"bare": nil, "tapped": func(f nodetest.Frame) []nodetest.Frame { return []nodetest.Frame{f} }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				box := make(inbox, 10)
				n := nodetest.Start(t, nodetest.Config{Mixes: 2, Node: withInbox(box), Tap: tap})
				alice := n.Link("alice", nil, 0)
				send(t, n, alice, "before")
				require.Equal(t, "before", <-box)
				n.Cut("alice", n.Mixes[0].Address)
				_, _, err := alice.ReadFrame(make([]byte, n.Params.PacketSize()))
				require.Error(t, err)

				alice = n.Link("alice", nil, 0)
				send(t, n, alice, "again")
				require.Equal(t, "again", <-box)
			})
		})
	}
}

func TestMixesStopAndStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := make(inbox, 10)
		n := nodetest.Start(t, nodetest.Config{Mixes: 2, Node: withInbox(box)})
		id, key := n.Mixes[1].ID(), n.Mixes[1].Key.Public()
		n.Stop(1)
		_, err := n.Dialer("alice")(t.Context(), n.Mixes[1].Address)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		n.Start(1)
		require.Equal(t, id, n.Mixes[1].ID())
		require.NotEqual(t, key, n.Mixes[1].Key.Public())
		send(t, n, n.Link("alice", nil, 0), "hello")
		require.Equal(t, "hello", <-box)
		synctest.Wait() // counted after it was served
		require.EqualValues(t, 1, n.Counts().Served)
	})
}

func TestDirectoryStopsAndStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Mixes: 1})
		n.StopDirectory()
		_, err := n.Directory().Fetch(t.Context())
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		n.StartDirectory()
		view, err := n.Directory().Fetch(t.Context())
		require.NoError(t, err)
		require.Len(t, view.Nodes, 1)
	})
}
