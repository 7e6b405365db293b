package node_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/sphinx"
)

// flood is a service that sends the same bytes many times. They count as the sender's of the message that it got.
type flood struct {
	to    sphinx.Address
	times int
	bytes []byte
	burst int // after each so many it lets the node do what there is to do, which takes no time; all in one go if zero
}

func (f *flood) Handle(_ context.Context, _ []byte, send func(sphinx.Address, []byte)) error {
	for i := range f.times {
		if f.burst > 0 && i%f.burst == 0 {
			time.Sleep(time.Nanosecond)
		}
		send(f.to, f.bytes)
	}
	return nil
}

// small are parameters for many packets.
var small = sphinx.Params{MaxHops: 2, PayloadSize: 256}

// smallBurst is far less than a sender's share of a batch, also of packets that are as large as they can be.
const smallBurst = 100

// flooding starts two mixes with an inbox and the service "flood", which sends to a mix that nobody has heard of.
func flooding(t *testing.T, params sphinx.Params, change func(*node.Config)) (*nodetest.Network, *inbox, *flood) {
	service := &flood{to: directory.Route{Node: directory.NodeID{1}}.Address(), bytes: make([]byte, params.PacketSize())}
	box := &inbox{}
	return nodetest.Start(t, nodetest.Config{Mixes: 2, Network: directory.Network{Params: params}, Node: withInbox(box, func(cfg *node.Config) {
		cfg.Handlers["flood"] = service
		change(cfg)
	})}), box, service
}

// TestFullPeerQueueDrops: what waits for a mix that cannot be reached is bounded. One packet is in the hand of the one
// who dials.
func TestFullPeerQueueDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _, service := flooding(t, small, immediate)
		n.Stop(1)
		service.to, service.times = n.Mixes[1].Hop().Address, 1+node.OutQueue+tooMany
		send(t, n.Link("alice", nil, 0), wrap(t, n, "flood", "", 0))
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropPeerQueue: tooMany})
	})
}

// TestPacketsForAMixThatIsGoneDoNotWaitForever, though it is listed for as long as its descriptor is good: they would
// take the place of others'.
func TestPacketsForAMixThatIsGoneDoNotWaitForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _, service := flooding(t, small, immediate)
		n.Stop(1)
		const packets = 100
		service.to, service.times = n.Mixes[1].Hop().Address, packets
		send(t, n.Link("alice", nil, 0), wrap(t, n, "flood", "", 0))
		sleep(time.Second)
		require.Empty(t, n.Mixes[0].Counts().Dropped, "it may come back")
		sleep(time.Minute)
		require.GreaterOrEqual(t, n.Mixes[0].Counts().Dropped[node.DropPeer], uint64(packets-1))
	})
}

// TestFloodHarmsOnlyWhoSendsIt: a sender has no more than its share of a batch, and others are not kept out.
func TestFloodHarmsOnlyWhoSendsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box, service := flooding(t, small, func(cfg *node.Config) { cfg.Mix.Size, cfg.Mix.Interval = batchSize, deadline })
		service.times = node.SenderShare + tooMany
		send(t, n.Link("mallory", nil, 0), wrap(t, n, "flood", "", 0))
		sleep(deadline) // until the service is called
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropSender: tooMany})
		send(t, n.Link("alice", nil, 0), wrap(t, n, "inbox", "honest", 0))
		sleep(deadline)
		require.Equal(t, []string{"honest"}, box.sorted())
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropSender: tooMany, node.DropNextHop: node.SenderShare})

		// The next batch is a new one.
		send(t, n.Link("mallory", nil, 0), wrap(t, n, "flood", "", 0))
		sleep(2 * deadline)
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropSender: 2 * tooMany, node.DropNextHop: 2 * node.SenderShare})
	})
}

// TestBusySenderWaitsAndLosesNothing: who sends more than its share is read from again when its packets have left, and
// meanwhile others are read from.
func TestBusySenderWaitsAndLosesNothing(t *testing.T) {
	if instrumented {
		t.Skip("too many packets; nothing here is concurrent that is not so in the other tests")
	}
	synctest.Test(t, func(t *testing.T) {
		n, box, _ := flooding(t, small, func(cfg *node.Config) { cfg.Mix.Size, cfg.Mix.Interval = batchSize, deadline })
		busy := n.Link("busy", nil, 0)
		packets := make([][]byte, node.SenderShare+tooMany)
		for i := range packets {
			packets[i] = wrap(t, n, "inbox", "busy", 0)
		}
		go func() {
			for _, p := range packets {
				_ = busy.WriteFrame(link.Packet, nodetest.FirstEpoch, p)
			}
			_ = busy.Flush()
		}()
		synctest.Wait()
		require.Equal(t, node.SenderShare, n.Mixes[0].Stats().Held)
		send(t, n.Link("alice", nil, 0), wrap(t, n, "inbox", "honest", 0))
		synctest.Wait()
		require.Equal(t, node.SenderShare+1, n.Mixes[0].Stats().Held)
		sleep(deadline)
		require.Len(t, box.sorted(), node.SenderShare+1)
		require.Contains(t, box.sorted(), "honest")
		sleep(deadline)
		require.Len(t, box.sorted(), node.SenderShare+1+tooMany)
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{})
	})
}

// TestFullMixKeepsOutWhoFillsIt: when it is full, who has more than its part of it is dropped, and nobody else is.
func TestFullMixKeepsOutWhoFillsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hosts = node.MaxHeld / node.SenderShare
		n, box, service := flooding(t, small, func(cfg *node.Config) { cfg.Mix.Size, cfg.Mix.Interval = 2*hosts, deadline })
		service.times = node.SenderShare
		for i := range hosts {
			send(t, n.Link(fmt.Sprint("host", i), nil, 0), wrap(t, n, "flood", "", 0))
		}
		sleep(deadline) // until the service is called
		require.Empty(t, n.Mixes[0].Counts().Dropped)
		require.Equal(t, node.MaxHeld, n.Mixes[0].Stats().Held)
		send(t, n.Link("host0", nil, 0), wrap(t, n, "inbox", "one too many", 0))
		send(t, n.Link("alice", nil, 0), wrap(t, n, "inbox", "honest", 0))
		synctest.Wait()
		require.Equal(t, node.MaxHeld+1, n.Mixes[0].Stats().Held)
		sleep(2 * deadline)
		require.Contains(t, box.sorted(), "honest")
		require.EqualValues(t, node.MaxHeld, n.Mixes[0].Counts().Dropped[node.DropNextHop])
	})
}

// TestNewLinkIsNoNewPartOfAFullMix: a mix that fills it and comes back with another link has no place for more.
func TestNewLinkIsNoNewPartOfAFullMix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box, service := flooding(t, small, func(cfg *node.Config) { cfg.Mix.Size, cfg.Mix.Interval = batchSize, deadline })
		service.times = node.MaxHeld
		mix := n.Link("mix1", n.Mixes[1].Identity, 0)
		send(t, mix, wrap(t, n, "flood", "", 0))
		sleep(deadline) // until the service is called
		require.Equal(t, node.MaxHeld, n.Mixes[0].Stats().Held)
		mix.Close()
		synctest.Wait()
		send(t, n.Link("mix1", n.Mixes[1].Identity, 0), wrap(t, n, "inbox", "one too many", 0))
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropSender: 1})
		sleep(deadline)
		require.True(t, box.empty())
	})
}

// TestMixesHaveNoShareToFreeze: one sender who fills up what an honest mix brings does not keep that mix from being read.
func TestMixesHaveNoShareToFreeze(t *testing.T) {
	if instrumented {
		t.Skip("too many packets; nothing here is concurrent that is not so in the other tests")
	}
	synctest.Test(t, func(t *testing.T) {
		n, box, _ := flooding(t, small, func(cfg *node.Config) { cfg.Mix.Size, cfg.Mix.Interval = batchSize, deadline })
		mix := n.Link("mix1", n.Mixes[1].Identity, 0)
		for range node.SenderShare + tooMany {
			require.NoError(t, mix.WriteFrame(link.Packet, nodetest.FirstEpoch, wrap(t, n, "inbox", "theirs", 0)))
		}
		send(t, mix, wrap(t, n, "inbox", "honest", 0))
		sleep(deadline)
		require.Len(t, box.sorted(), node.SenderShare+tooMany+1, "all of one batch")
	})
}

// TestQueuesOfTheDeadLeaveRoomForOthers: as many mixes as one likes may be gone; a packet to a service is not dropped for
// what waits for them.
func TestQueuesOfTheDeadLeaveRoomForOthers(t *testing.T) {
	if instrumented {
		t.Skip("much memory; nothing here is concurrent that is not so in TestFullPeerQueueDrops")
	}
	synctest.Test(t, func(t *testing.T) {
		large := sphinx.Params{MaxHops: 2, PayloadSize: sphinx.MaxPayloadSize}
		service := &flood{bytes: make([]byte, large.PacketSize()), times: node.MaxMemory / large.PacketSize(), burst: smallBurst}
		box := &inbox{}
		n := nodetest.Start(t, nodetest.Config{Mixes: 6, Network: directory.Network{Params: large}, Node: withInbox(box, func(cfg *node.Config) {
			cfg.Handlers["flood"] = service
			immediate(cfg)
		})})
		for i := range n.Mixes[1:] {
			n.Stop(1 + i)
			service.to = n.Mixes[1+i].Hop().Address
			send(t, n.Link("mallory", nil, 0), wrap(t, n, "flood", "", 0))
			sleep(time.Second)
		}
		require.NotZero(t, n.Mixes[0].Counts().Dropped[node.DropPeerQueue])
		require.Len(t, n.Mixes[0].Counts().Dropped, 1)
		send(t, n.Link("alice", nil, 0), wrap(t, n, "inbox", "honest", 0))
		synctest.Wait()
		require.Equal(t, []string{"honest"}, box.sorted())
	})
}

// TestMemoryIsBounded, however large the packets are that fill a queue.
func TestMemoryIsBounded(t *testing.T) {
	if instrumented {
		t.Skip("much memory; nothing here is concurrent that is not so in TestFullPeerQueueDrops")
	}
	synctest.Test(t, func(t *testing.T) {
		n, _, service := flooding(t, sphinx.Params{MaxHops: 2, PayloadSize: sphinx.MaxPayloadSize}, immediate)
		n.Stop(1)
		room := node.MaxMemory / n.Params.PacketSize() / 3 // half of what is left beside it
		require.Less(t, room, node.OutQueue)
		service.to, service.times, service.burst = n.Mixes[1].Hop().Address, room+1000, smallBurst
		send(t, n.Link("alice", nil, 0), wrap(t, n, "flood", "", 0))
		sleep(time.Second)
		lost := n.Mixes[0].Counts().Dropped[node.DropPeerQueue]
		require.InDelta(t, 1000, lost, 10, "beside those in the queue a few are in other places")
		require.Len(t, n.Mixes[0].Counts().Dropped, 1)
	})
}
