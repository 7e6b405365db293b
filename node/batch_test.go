package node_test

import (
	"crypto/ed25519"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/sphinx"
)

const (
	batchSize = 4
	deadline  = 10 * time.Second
)

// batching starts mixes whose batches are of batchSize senders, or deadline old.
func batching(t *testing.T) (*nodetest.Network, *inbox) {
	box := &inbox{}
	return nodetest.Start(t, nodetest.Config{Mixes: 6, Node: withInbox(box, func(cfg *node.Config) {
		cfg.Mix.Size, cfg.Mix.Interval = batchSize, deadline
	})}), box
}

func TestTooFewSendersWaitForTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := batching(t)
		start := time.Now()
		var want []string
		for i := range batchSize - 1 {
			message := fmt.Sprint("message ", i)
			want = append(want, message)
			send(t, n.Link(fmt.Sprint("host", i), nil, 0), wrap(t, n, "inbox", message, 0))
			time.Sleep(time.Second)
		}
		sleep(time.Until(start.Add(deadline)) - 1)
		require.True(t, box.empty(), "before the deadline of the first")

		sleep(time.Nanosecond)
		require.Equal(t, want, box.sorted())
		require.Equal(t, start.Add(deadline), box.arrived(t))
		require.EqualValues(t, 1, n.Mixes[0].Counts().Batches)
	})
}

func TestEnoughSendersLeaveAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := batching(t)
		var want []string
		for i := range batchSize {
			sleep(time.Second)
			require.True(t, box.empty(), "with %d senders", i)
			message := fmt.Sprint("message ", i)
			want = append(want, message)
			send(t, n.Link(fmt.Sprint("host", i), nil, 0), wrap(t, n, "inbox", message, 0))
		}
		full := time.Now()
		synctest.Wait()
		require.Equal(t, want, box.sorted())
		require.Equal(t, full, box.arrived(t))
	})
}

// TestEveryBatchWaitsAnew: what a batch left behind, its deadline or its senders, is nothing to the next.
func TestEveryBatchWaitsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := batching(t)
		links := make([]*link.Conn, batchSize)
		for i := range links {
			links[i] = n.Link(fmt.Sprint("host", i), nil, 0)
		}
		for round := range 3 {
			box.clear()
			for i, c := range links[1:] {
				send(t, c, wrap(t, n, "inbox", fmt.Sprint(round, i), 0))
			}
			sleep(deadline - 1)
			require.True(t, box.empty())
			last := time.Now()
			send(t, links[0], wrap(t, n, "inbox", fmt.Sprint(round, "last"), 0))
			synctest.Wait()
			require.Len(t, box.sorted(), batchSize)
			require.Equal(t, last, box.arrived(t))
		}
	})
}

// senders are who hands packets in to mix 0, and how many senders they count as.
var senders = []struct {
	name  string
	count int
	links func(t *testing.T, n *nodetest.Network) []*link.Conn
}{
	{"one host with many links", 1, func(_ *testing.T, n *nodetest.Network) (links []*link.Conn) {
		for range 2 * batchSize {
			links = append(links, n.Link("alice", nil, 0))
		}
		return links
	}},
	{"one link with many packets", 1, func(_ *testing.T, n *nodetest.Network) (links []*link.Conn) {
		alice := n.Link("alice", nil, 0)
		for range 2 * batchSize {
			links = append(links, alice)
		}
		return links
	}},
	{"one host with keys that it made up", 1, func(t *testing.T, n *nodetest.Network) (links []*link.Conn) {
		for range 2 * batchSize {
			_, key, err := ed25519.GenerateKey(nil)
			require.NoError(t, err)
			links = append(links, n.Link("alice", key, 0))
		}
		return links
	}},
	{"listed mixes on one host, and a client there", 2, func(_ *testing.T, n *nodetest.Network) (links []*link.Conn) {
		for i := range 3 {
			links = append(links, n.Link("alice", n.Mixes[1+i].Identity, 0), n.Link("alice", n.Mixes[1+i].Identity, 0))
		}
		return append(links, n.Link("alice", nil, 0))
	}},
	{"hosts in one IPv6 network", 1, func(_ *testing.T, n *nodetest.Network) (links []*link.Conn) {
		for i := range 2 * batchSize {
			links = append(links, n.Link(fmt.Sprintf("[2001:db8::%x]:9", 1+i), nil, 0))
		}
		return links
	}},
	{"ports of one IPv4 address", 1, func(_ *testing.T, n *nodetest.Network) (links []*link.Conn) {
		for i := range 2 * batchSize {
			links = append(links, n.Link(fmt.Sprintf("192.0.2.1:%d", 1+i), nil, 0))
		}
		return links
	}},
}

func TestSendersAreToldApartByWhatIsCostly(t *testing.T) {
	for _, test := range senders {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, box := batching(t)
				start := time.Now()
				for _, c := range test.links(t, n) {
					send(t, c, wrap(t, n, "inbox", "theirs", 0))
				}
				synctest.Wait()
				for i := test.count; i < batchSize; i++ {
					require.True(t, box.empty(), "they count as more than %d senders", i)
					send(t, n.Link(fmt.Sprint("other", i), nil, 0), wrap(t, n, "inbox", "other", 0))
					synctest.Wait()
				}
				require.False(t, box.empty(), "they count as fewer than %d senders", test.count)
				require.Equal(t, start, box.arrived(t))
			})
		})
	}
}

// TestNothingHappensBeforeTheBatchIsReleased: no service is called, no packet sent, no reply delivered.
func TestNothingHappensBeforeTheBatchIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := batching(t)
		client := n.Link("client", nil, 0)
		frame := make([]byte, n.Params.PacketSize())
		secret := link.MailboxSecret{1}
		copy(frame, secret[:])
		require.NoError(t, client.WriteFrame(link.Subscribe, 0, frame))
		send(t, client, wrap(t, n, "inbox", "to the service", 0), wrap(t, n, "inbox", "onwards", 0, 1))

		id := sphinx.MessageID{2}
		surb, key, err := n.Params.NewSURB(nil, []sphinx.Hop{n.Mixes[0].Hop()}, secret.ClientID(), id)
		require.NoError(t, err)
		_, reply, err := surb.Use(nil, []byte("to the client"))
		require.NoError(t, err)
		send(t, client, reply)

		delivered := make(chan time.Time, 1)
		go func() {
			kind, _, err := client.ReadFrame(frame)
			if err == nil && kind == link.Reply {
				delivered <- time.Now()
			}
		}()
		start := time.Now()
		sleep(deadline - 1)
		require.True(t, box.empty(), "the service was called")
		require.Empty(t, delivered, "the reply was delivered")
		require.Zero(t, n.Mixes[0].Counts().Sent)
		require.Zero(t, n.Mixes[1].Counts().Received)

		sleep(time.Nanosecond)
		require.Equal(t, []string{"to the service"}, box.sorted())
		require.Equal(t, start.Add(deadline), box.arrived(t))
		require.Len(t, delivered, 1)
		require.Equal(t, start.Add(deadline), <-delivered)
		require.Equal(t, id[:], frame[:sphinx.MessageIDSize])
		message, err := key.Open(frame[sphinx.MessageIDSize:][:n.Params.PayloadSize])
		require.NoError(t, err)
		require.Equal(t, "to the client", string(message))

		sleep(deadline)
		require.Equal(t, []string{"onwards", "to the service"}, box.sorted())
	})
}

// TestOrderWithinABatchIsRandom: two packets leave in the order of their arrival half of the time, and not by chance 0 or
// 40 times of 40 (2⁻³⁹).
func TestOrderWithinABatchIsRandom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := batching(t)
		alice := n.Link("alice", nil, 0)
		inOrder := 0
		const rounds = 40
		for range rounds {
			box.clear()
			send(t, alice, wrap(t, n, "inbox", "first", 0))
			synctest.Wait()
			send(t, alice, wrap(t, n, "inbox", "second", 0))
			sleep(deadline)
			require.Equal(t, []string{"first", "second"}, box.sorted())
			if box.messages[0] == "first" {
				inOrder++
			}
		}
		require.NotZero(t, inOrder)
		require.NotEqual(t, rounds, inOrder)
	})
}
