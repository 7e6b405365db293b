package node_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/sphinx"
)

// blocked is a service that waits until it is told to go on, or to end.
type blocked struct {
	inbox
	release chan struct{}
}

func (b *blocked) Handle(ctx context.Context, message []byte, send func(sphinx.Address, []byte)) error {
	select {
	case <-b.release:
	case <-ctx.Done():
		return ctx.Err()
	}
	return b.inbox.Handle(ctx, message, send)
}

// blockable starts two small mixes that hold nothing back, with the service "blocked".
func blockable(t *testing.T) (*nodetest.Network, *blocked) {
	service := &blocked{release: make(chan struct{})}
	return nodetest.Start(t, nodetest.Config{
		Mixes:   2,
		Network: directory.Network{Params: sphinx.Params{MaxHops: 2, PayloadSize: 256}},
		Node: func(_ int, cfg *node.Config) {
			cfg.Mix.Size = 1
			cfg.Handlers["blocked"] = service
		},
	}), service
}

const tooMany = 10

// TestFullServiceQueueDrops: a service that does not come along costs only its own packets.
func TestFullServiceQueueDrops(t *testing.T) {
	if instrumented {
		t.Skip("too many packets; nothing here is concurrent that is not so in TestFullClientQueueDrops")
	}
	synctest.Test(t, func(t *testing.T) {
		n, service := blockable(t)
		alice := n.Link("alice", nil, 0)
		var packets [][]byte
		for range 1 + node.OutQueue + tooMany {
			packets = append(packets, wrap(t, n, "blocked", "a message", 0))
		}
		send(t, alice, packets...)
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropServiceQueue: tooMany})

		send(t, alice, wrap(t, n, "nobody", "", 0, 1))
		requireDropped(t, n.Mixes[1], map[node.Drop]uint64{node.DropNoService: 1})

		close(service.release)
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropServiceQueue: tooMany})
		require.EqualValues(t, 1+node.OutQueue, n.Mixes[0].Counts().Served)
		require.Len(t, service.sorted(), 1+node.OutQueue)
	})
}

// TestFullClientQueueDrops: a client that does not take its replies loses them, and holds up nobody else's.
func TestFullClientQueueDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := blockable(t)
		alice, aliceID := subscribed(t, n, "alice", 0)
		bob, bobID := subscribed(t, n, "bob", 0)
		mallory := n.Link("mallory", nil, 0)
		send(t, mallory, replyTo(t, n, aliceID, 0))
		synctest.Wait() // it is on its way to alice
		for range node.ClientQueue + tooMany {
			send(t, mallory, replyTo(t, n, aliceID, 0))
		}
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropClientQueue: tooMany})

		send(t, mallory, replyTo(t, n, bobID, 0))
		requireReplies(t, n, bob, 1)
		requireReplies(t, n, alice, 1+node.ClientQueue)
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropClientQueue: tooMany})
	})
}

// subscribed links a host to a mix and opens a mailbox there. It returns the name of the client.
func subscribed(t *testing.T, n *nodetest.Network, host string, i int) (*link.Conn, []byte) {
	t.Helper()
	c := n.Link(host, nil, i)
	var secret link.MailboxSecret
	copy(secret[:], host)
	frame := make([]byte, n.Params.PacketSize())
	copy(frame, secret[:])
	require.NoError(t, c.WriteFrame(link.Subscribe, 0, frame))
	require.NoError(t, c.Flush())
	synctest.Wait()
	return c, secret.ClientID()
}

// requireReplies reads that many replies of replyTo.
func requireReplies(t *testing.T, n *nodetest.Network, c *link.Conn, count int) {
	t.Helper()
	frame := make([]byte, n.Params.PacketSize())
	for range count {
		kind, _, err := c.ReadFrame(frame)
		require.NoError(t, err)
		require.Equal(t, link.Reply, kind)
		require.Equal(t, sphinx.MessageID{1}, sphinx.MessageID(frame[:sphinx.MessageIDSize]))
		require.Equal(t, make([]byte, n.Params.HeaderSize()-sphinx.MessageIDSize), frame[sphinx.MessageIDSize+n.Params.PayloadSize:])
	}
}
