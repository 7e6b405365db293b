package node_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/sphinx"
)

// forwarder is a service that sends packets of its choice for each message.
type forwarder func(message []byte, send func(sphinx.Address, []byte))

func (f forwarder) Handle(_ context.Context, message []byte, send func(sphinx.Address, []byte)) error {
	f(message, send)
	return nil
}

// forwarding starts two mixes with an inbox and the service "forward", which hold nothing back.
func forwarding(t *testing.T, f forwarder) (*nodetest.Network, *inbox) {
	box := &inbox{}
	return nodetest.Start(t, nodetest.Config{Mixes: 2, Node: withInbox(box, func(cfg *node.Config) {
		cfg.Mix.Size = 1
		cfg.Handlers["forward"] = f
	})}), box
}

// TestServicesSendToOtherMixes, and through them to their own.
func TestServicesSendToOtherMixes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n *nodetest.Network
		n, box := forwarding(t, func(_ []byte, send func(sphinx.Address, []byte)) {
			send(n.Mixes[1].Hop().Address, wrap(t, n, "inbox", "there", 1))
			send(n.Mixes[1].Hop().Address, wrap(t, n, "inbox", "there and back", 1, 0))
		})
		send(t, n.Link("alice", nil, 0), wrap(t, n, "forward", "", 0))
		synctest.Wait()
		require.Equal(t, []string{"there", "there and back"}, box.sorted())
	})
}

// TestServicesSendNothingButPackets: what has another size does not leave the node, not even in the bytes of a packet
// that was here before.
func TestServicesSendNothingButPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n *nodetest.Network
		n, _ = forwarding(t, func(_ []byte, send func(sphinx.Address, []byte)) {
			packet := wrap(t, n, "inbox", "", 1)
			for _, size := range []int{0, 1, len(packet) - 1} {
				send(n.Mixes[1].Hop().Address, packet[:size])
			}
			send(n.Mixes[1].Hop().Address, append(packet, 0))
			send(n.Mixes[1].Hop().Address, nil)
		})
		send(t, n.Link("alice", nil, 0), wrap(t, n, "forward", "", 0))
		synctest.Wait()
		require.EqualValues(t, 1, n.Mixes[0].Counts().Served)
		require.Zero(t, n.Mixes[0].Counts().Sent)
		require.Zero(t, n.Mixes[1].Counts().Received)
	})
}

// TestServicesSendNowhereElse: an address that a message's sender made up is not dialled.
func TestServicesSendNowhereElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n *nodetest.Network
		n, _ = forwarding(t, func(_ []byte, send func(sphinx.Address, []byte)) {
			packet := wrap(t, n, "inbox", "", 1)
			send(sphinx.Address{}, packet)
			send(directory.Route{Node: directory.NodeID{1}}.Address(), packet)
		})
		send(t, n.Link("alice", nil, 0), wrap(t, n, "forward", "", 0))
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropNextHop: 2})
	})
}

// TestRepliesWaitForABatchToo: what a service sends is mixed with what others do.
func TestRepliesWaitForABatchToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := batching(t)
		surb, _, err := n.Params.NewSURB(nil, []sphinx.Hop{n.Mixes[1].Hop()}, []byte("alice"), sphinx.MessageID{})
		require.NoError(t, err)
		encoded, err := surb.AppendBinary(nil)
		require.NoError(t, err)
		message := append([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0}, encoded...) // an empty cell with a SURB
		send(t, n.Link("alice", nil, 0), wrap(t, n, "echo", string(message), 0))
		sleep(deadline)
		require.EqualValues(t, 1, n.Mixes[0].Counts().Served)
		sleep(deadline - 1)
		require.Zero(t, n.Mixes[0].Counts().Sent)
		sleep(1)
		require.EqualValues(t, 1, n.Mixes[0].Counts().Sent)
		require.True(t, box.empty())
	})
}
