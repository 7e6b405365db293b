package node_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
					_ = c.WriteFrame(link.Packet, nodetest.FirstEpoch, packet)
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

// TestFullReplaySetRefuses: with a key whose set is full nothing more is opened, what it has opened is not lost, and with
// the next epoch's key all goes on. An operator sees it.
func TestFullReplaySetRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const room = 10
		box := &inbox{}
		n := nodetest.Start(t, nodetest.Config{
			Mixes:   2,
			Network: directory.Network{Epoch: time.Hour},
			Node: withInbox(box, func(cfg *node.Config) {
				cfg.Mix.Size, cfg.Mix.Interval, cfg.MaxTags = batchSize, deadline, room
			}),
		})
		alice := n.Link("alice", nil, 0)
		now := byte(n.EpochAt(time.Now()))
		var want []string
		for i := range room {
			want = append(want, fmt.Sprint("message ", i))
			sendIn(t, alice, now, wrap(t, n, "inbox", want[i], 0))
			synctest.Wait()
		}
		require.False(t, n.Mixes[0].Stats().Epochs[0].Failed)
		sendIn(t, alice, now, wrap(t, n, "inbox", "too many", 0))
		sleep(deadline)
		require.Equal(t, want, box.sorted())
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropReplayStore: 1})
		require.True(t, n.Mixes[0].Stats().Epochs[0].Failed)
		require.Equal(t, room, n.Mixes[0].Stats().Epochs[0].Tags)

		next := n.EpochAt(time.Now()) + 1
		d, _ := fetch(t, n).Node(n.Mixes[0].ID())
		key, listed := d.Key(next)
		require.True(t, listed)
		packet, err := n.Params.Wrap(nil, nil, []sphinx.Hop{{Address: n.Mixes[0].Hop().Address, Key: key}}, []byte("inbox"), []byte("next epoch"))
		require.NoError(t, err)
		sendIn(t, alice, byte(next), packet)
		sleep(deadline)
		require.Equal(t, append(want, "next epoch"), box.sorted())
	})
}

// TestNothingLeavesWhoseTagIsNotStored: a disk that fails costs the packets that could come again, and no others.
func TestNothingLeavesWhoseTagIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := &inbox{}
		n := nodetest.Start(t, nodetest.Config{Mixes: 1, Node: withInbox(box, func(cfg *node.Config) {
			cfg.Mix.Size, cfg.Mix.Interval = batchSize, deadline
		})})
		alice := n.Link("alice", nil, 0)
		send(t, alice, wrap(t, n, "inbox", "stored", 0))
		sleep(deadline)
		n.Mixes[0].FailCommits(errors.New("disk full"))
		send(t, alice, wrap(t, n, "inbox", "not stored", 0))
		sleep(deadline)
		send(t, alice, wrap(t, n, "inbox", "nor this", 0))
		sleep(deadline)
		require.Equal(t, []string{"stored"}, box.sorted())
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropReplayStore: 2})
		require.True(t, n.Mixes[0].Stats().Epochs[0].Failed)
	})
}

// TestKeptKeysKeepTheirReplays: a node with a folder opens what was made for it before a restart, once.
func TestKeptKeysKeepTheirReplays(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	synctest.Test(t, func(t *testing.T) {
		box := &inbox{}
		n := nodetest.Start(t, nodetest.Config{Mixes: 1, Node: withInbox(box, func(cfg *node.Config) {
			cfg.Mix.Size, cfg.KeyDir = 1, filepath.Join(dir, "keys")
		})})
		before, after := wrap(t, n, "inbox", "before", 0), wrap(t, n, "inbox", "after", 0)
		send(t, n.Link("alice", nil, 0), before)
		synctest.Wait()
		n.Stop(0)
		n.StartKept(0)
		send(t, n.Link("alice", nil, 0), before, after)
		synctest.Wait()
		require.Equal(t, []string{"after", "before"}, box.sorted())
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropReplay: 1})
	})
}
