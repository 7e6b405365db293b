package node_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/cell"
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

// TestServicesSendLater, by any goroutine, when the message that made them do so has long been answered and its sender is
// gone; and after the node's end they do no harm.
func TestServicesSendLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n *nodetest.Network
		var sends []func(sphinx.Address, []byte)
		n, box := forwarding(t, func(_ []byte, send func(sphinx.Address, []byte)) { sends = append(sends, send) })
		alice := n.Link("alice", nil, 0)
		send(t, alice, wrap(t, n, "forward", "", 0), wrap(t, n, "forward", "", 0))
		synctest.Wait()
		alice.Close()
		for range 10 { // which take the first ones' places
			bob := n.Link("bob", nil, 0)
			send(t, bob, wrap(t, n, "inbox", "", 0))
			synctest.Wait()
			bob.Close()
		}
		box.clear()
		var sending sync.WaitGroup
		for i := range 8 {
			sending.Go(func() {
				packet := wrap(t, n, "inbox", "later", 1)
				for range 20 {
					sends[i%2](n.Mixes[1].Hop().Address, packet)
					packet = append(packet[:0], wrap(t, n, "inbox", "later", 1)...) // in the same place
				}
			})
		}
		sending.Wait()
		synctest.Wait()
		require.Equal(t, slices.Repeat([]string{"later"}, 160), box.sorted())
		require.Empty(t, n.Counts().Dropped)

		n.Stop(0)
		for range 2 * node.OpenedQueue {
			sends[0](n.Mixes[1].Hop().Address, make([]byte, n.PacketSize()))
		}
		require.Len(t, box.sorted(), 160)
	})
}

// TestWhatServicesSendLaterCountsAsTheSenders: a sender who comes back with new links has no new share of the batch for
// what it has made a service send.
func TestWhatServicesSendLaterCountsAsTheSenders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sends []func(sphinx.Address, []byte)
		n, _, _ := flooding(t, small, func(cfg *node.Config) {
			cfg.Mix.Size, cfg.Mix.Interval = batchSize, deadline
			cfg.Handlers["forward"] = forwarder(func(_ []byte, send func(sphinx.Address, []byte)) { sends = append(sends, send) })
		})
		for range 3 {
			mallory := n.Link("mallory", nil, 0)
			send(t, mallory, wrap(t, n, "forward", "", 0))
			sleep(deadline)
			mallory.Close()
			send(t, n.Link("bob", nil, 0), wrap(t, n, "inbox", "", 0))
			sleep(deadline)
		}
		packet, nowhere := make([]byte, n.PacketSize()), directory.Route{Node: directory.NodeID{1}}.Address()
		for i := range node.SenderShare + tooMany {
			sends[i%3](nowhere, packet)
		}
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropSender: tooMany})
		require.Equal(t, node.SenderShare, n.Mixes[0].Stats().Held)
	})
}

// TestServicesWaitWhileTheNodeIsBusy, and what they send is not dropped for that.
func TestServicesWaitWhileTheNodeIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sender func(sphinx.Address, []byte)
		commits := make(chan struct{})
		n, _, _ := flooding(t, small, func(cfg *node.Config) {
			immediate(cfg)
			cfg.Handlers["forward"] = forwarder(func(_ []byte, send func(sphinx.Address, []byte)) { sender = send })
		})
		send(t, n.Link("alice", nil, 0), wrap(t, n, "forward", "", 0))
		synctest.Wait()
		n.Mixes[0].HoldCommits(commits)
		send(t, n.Link("alice", nil, 0), wrap(t, n, "inbox", "", 0)) // which is committed, at length
		synctest.Wait()
		packet, nowhere := make([]byte, n.PacketSize()), directory.Route{Node: directory.NodeID{1}}.Address()
		const packets = node.OpenedQueue + 100
		var sent atomic.Int64
		go func() {
			for range packets {
				sender(nowhere, packet)
				sent.Add(1)
			}
		}()
		synctest.Wait()
		require.EqualValues(t, node.OpenedQueue, sent.Load())
		close(commits)
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropNextHop: packets})
	})
}

// TestSlowServiceHoldsUpNoOther.
func TestSlowServiceHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, service := blockable(t)
		alice := n.Link("alice", nil, 0)
		send(t, alice, wrap(t, n, "blocked", "first", 0), wrap(t, n, "blocked", "second", 0))
		synctest.Wait()
		_, id := subscribed(t, n, "bob", 1)
		surb, _, err := n.Params.NewSURB(nil, []sphinx.Hop{n.Mixes[1].Hop()}, id, sphinx.MessageID{})
		require.NoError(t, err)
		encoded, err := surb.AppendBinary(nil)
		require.NoError(t, err)
		request := cell.Cell{Last: true, SURBs: [][]byte{encoded}}
		send(t, alice, wrap(t, n, "echo", string(request.Append(nil)), 0))
		synctest.Wait()
		require.EqualValues(t, 1, n.Mixes[0].Counts().Served)
		require.True(t, service.empty())
		close(service.release)
		synctest.Wait()
		require.Equal(t, []string{"first", "second"}, service.sorted())
	})
}
