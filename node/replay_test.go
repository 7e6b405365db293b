package node_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/node/replay"
)

// unmixed starts mixes with an inbox that hold nothing back.
func unmixed(t *testing.T) (*nodetest.Network, *inbox) {
	box := &inbox{}
	return nodetest.Start(t, nodetest.Config{Mixes: 2, Node: withInbox(box, immediate)}), box
}

func TestReplayIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := unmixed(t)
		packet := wrap(t, n, "inbox", "once", 0)
		alice, mallory := n.Link("alice", nil, 0), n.Link("mallory", nil, 0)
		send(t, alice, packet)
		synctest.Wait()
		send(t, alice, packet)
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropReplay: 1})

		// Neither another link, nor another payload, nor the next batch makes it new.
		send(t, mallory, packet)
		changed := slices.Clone(packet)
		changed[len(changed)-1] ^= 1
		send(t, mallory, changed)
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropReplay: 3})
		require.Equal(t, []string{"once"}, box.sorted())
	})
}

// TestReplaysAtOnceAreRefused sends copies in one go, over links whose packets are opened by all cores.
func TestReplaysAtOnceAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := unmixed(t)
		const copies, links = 50, 8
		packet := wrap(t, n, "inbox", "once", 0)
		for i := range links {
			c := n.Link(fmt.Sprint("host", i), nil, 0)
			go func() {
				for range copies {
					_ = c.WriteFrame(link.Packet, 0, packet)
				}
				_ = c.Flush()
			}()
		}
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropReplay: copies*links - 1})
		require.Equal(t, []string{"once"}, box.sorted())
	})
}

// TestReplayOnTheWayIsRefused: a relay that sends a packet on twice gets it no further than one mix.
func TestReplayOnTheWayIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := &inbox{}
		n := nodetest.Start(t, nodetest.Config{Mixes: 3, Node: withInbox(box, immediate), Tap: func(f nodetest.Frame) []nodetest.Frame {
			if f.From == "mix0" && f.To == "mix1" {
				return []nodetest.Frame{f, f, f}
			}
			return []nodetest.Frame{f}
		}})
		send(t, n.Link("alice", nil, 0), wrap(t, n, "inbox", "once", 0, 1, 2))
		requireDropped(t, n.Mixes[1], map[node.Drop]uint64{node.DropReplay: 2})
		require.Equal(t, []string{"once"}, box.sorted())
		require.EqualValues(t, 1, n.Mixes[2].Counts().Received)
	})
}

// TestSpoiledCopyDoesNotBurnTheOriginal: who merely saw a packet cannot have it refused by sending a bad copy first.
func TestSpoiledCopyDoesNotBurnTheOriginal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := unmixed(t)
		packet := wrap(t, n, "inbox", "the original", 0)
		mallory := n.Link("mallory", nil, 0)
		for _, at := range []int{0, 31, 32, n.Params.HeaderSize() - 17, n.Params.HeaderSize() - 16, n.Params.HeaderSize() - 1} { // α, β, γ
			spoiled := slices.Clone(packet)
			spoiled[at] ^= 0x80
			send(t, mallory, spoiled)
		}
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropMAC: 6})

		send(t, n.Link("alice", nil, 0), packet)
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropMAC: 6})
		require.Equal(t, []string{"the original"}, box.sorted())
	})
}

// TestFullReplaySetEndsTheNode: it opens nothing more, and says why it ends, so that clients do not go on choosing a mix
// that refuses everything.
func TestFullReplaySetEndsTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const room = 10
		box := &inbox{}
		var ended error
		n := nodetest.Start(t, nodetest.Config{
			Mixes: 2,
			Node: withInbox(box, func(cfg *node.Config) {
				cfg.BatchSize, cfg.MaxTags = 1, room
			}),
			Ended: func(i int, err error) {
				require.Zero(t, i)
				ended = err
			},
		})
		alice := n.Link("alice", nil, 0)
		var want []string
		for i := range room {
			want = append(want, fmt.Sprint("message ", i))
			send(t, alice, wrap(t, n, "inbox", want[i], 0))
			synctest.Wait()
		}
		require.Equal(t, want, box.sorted())
		require.NoError(t, ended)

		send(t, alice, wrap(t, n, "inbox", "too many", 0))
		synctest.Wait()
		require.ErrorIs(t, ended, replay.ErrFull)
		require.Equal(t, want, box.sorted())

		send(t, n.Link("bob", nil, 1), wrap(t, n, "inbox", "elsewhere", 1))
		synctest.Wait()
		require.Equal(t, append([]string{"elsewhere"}, want...), box.sorted(), "the other mix is not concerned")
	})
}
