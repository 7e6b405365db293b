package system_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/sphinx"
)

// TestCrashesLetNoPacketThroughTwice: a node is ended by SIGKILL again and again, at random moments while packets flow.
// The test is everybody around it. Whatever came out before a crash does not come out again after it, when it is sent
// again; whatever had not come out comes out once at most; and what is new always comes out.
func TestCrashesLetNoPacketThroughTwice(t *testing.T) {
	crashes, load := 30, 240
	n := start(t, plan{nodes: 1, node: func(int) settings {
		return settings{"keys.keep": "true", "mix.size": "3", "mix.interval": `"10ms"`}
	}})
	v := &victim{t: t, mix: n.nodes[0], neighbour: n.startNeighbour()}
	v.connect()
	var replays, again, came uint64
	for range crashes {
		fresh := v.make(load)
		moment := v.neighbour.reached(rand.IntN(load))
		v.send(fresh) // as far as the links carry it
		select {
		case <-moment:
		case <-time.After(patience):
			require.Fail(t, "packets that are new do not come out")
		}
		<-time.After(rand.N(5 * time.Millisecond)) // chance, in what the node is doing just now
		v.crash()

		released, held := v.sort(v.sent)
		if len(released) > 2*load { // all that came out since the last crash, and some of what came before
			old := released[:len(released)-load]
			rand.Shuffle(len(old), func(i, j int) { old[i], old[j] = old[j], old[i] })
			released = released[len(old)-load:]
		}
		r, a, c := v.judge(released, held, v.make(30))
		replays, again, came = replays+r, again+a, came+c
	}
	// And all of it once more.
	v.crash()
	released, held := v.sort(v.sent)
	r, a, c := v.judge(released, held, v.make(30))
	require.Zero(t, c, "what came out neither at first nor when it was sent again never does")
	t.Logf("%d crashes; of %d packets, %d came out and %d were lost in a crash after their tags were stored; "+
		"%d replays of what came out, none of which did again; %d times that what had not come out was sent again, of which %d did",
		crashes+1, len(v.sent), len(released)+30, len(held), replays+r, again+a, came)
}

// victim is a node that is made to crash, and all that was ever sent to it.
type victim struct {
	t         *testing.T
	mix       *mix
	neighbour *neighbour
	links     []*link.Conn
	sent      []*premade
}

// premade is a packet through the victim to the neighbour.
type premade struct {
	message string
	epoch   byte
	bytes   []byte
}

// make makes new packets.
func (v *victim) make(count int) []*premade {
	v.t.Helper()
	view := v.mix.network.view()
	listed, ok := view.Node(v.mix.id)
	require.True(v.t, ok)
	epoch := view.EpochAt(time.Now())
	key, ok := listed.Key(epoch)
	require.True(v.t, ok)
	path := []sphinx.Hop{
		{Address: directory.Route{Node: v.mix.id, Epoch: byte(epoch)}.Address(), Key: key},
		{
			Address: directory.Route{
				Node:  directory.NodeIDOf(v.neighbour.identity.Public().(ed25519.PublicKey)),
				Epoch: byte(v.neighbour.epoch),
			}.Address(),
			Key: v.neighbour.key.Public(),
		},
	}
	made := make([]*premade, count)
	for i := range made {
		p := &premade{message: fmt.Sprintf("packet %d", len(v.sent)), epoch: byte(epoch)}
		var err error
		p.bytes, err = view.Wrap(nil, nil, path, []byte("neighbour"), []byte(p.message))
		require.NoError(v.t, err)
		made[i] = p
		v.sent = append(v.sent, p)
	}
	return made
}

// connect makes the links over which the victim gets packets: from the neighbour, and from two strangers.
func (v *victim) connect() {
	v.t.Helper()
	for _, c := range v.links {
		c.Close()
	}
	v.links = nil
	for i, key := range []ed25519.PrivateKey{v.neighbour.identity, nil, nil} {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(v.mix.network.sender(i))}}
		conn, err := dialer.DialContext(v.t.Context(), "tcp", v.mix.address)
		require.NoError(v.t, err)
		cfg := link.Config{Key: key, FrameSize: v.neighbour.params.PacketSize()}
		c, err := link.Dial(context.Background(), conn, v.mix.identity, cfg)
		require.NoError(v.t, err)
		v.links = append(v.links, c)
		v.t.Cleanup(func() { c.Close() })
	}
}

// send sends packets over all links and returns at once. Each is on its way before the next.
func (v *victim) send(packets []*premade) {
	shares := make([][]*premade, len(v.links))
	for i, p := range packets {
		shares[i%len(shares)] = append(shares[i%len(shares)], p)
	}
	for i, c := range v.links {
		go func() {
			for _, p := range shares[i] {
				if c.WriteFrame(link.Packet, p.epoch, p.bytes) != nil || c.Flush() != nil {
					return // it has crashed
				}
			}
		}()
	}
}

// crash crashes the victim, waits until all has come that it released, and starts it anew.
func (v *victim) crash() {
	v.t.Helper()
	v.mix.kill()
	await(v.t, "the neighbour has read what it was sent", v.neighbour.quiet)
	v.mix.start()
	await(v.t, "the node serves again", func() bool { return v.mix.serves(2) })
	v.connect()
}

// sort tells the packets that have come out from the others, each in the order in which they were sent.
func (v *victim) sort(packets []*premade) (released, held []*premade) {
	for _, p := range packets {
		if v.neighbour.times(p.message) > 0 {
			released = append(released, p)
		} else {
			held = append(held, p)
		}
	}
	return released, held
}

// judge sends a victim that has just started packets that it had released, others that it had taken or not, and new
// ones, and fails the test unless it does with them what it should. It returns how many of the first two there were, and
// how many of the second came out.
func (v *victim) judge(released, held, fresh []*premade) (replays, again, came uint64) {
	v.t.Helper()
	before := v.neighbour.seen()
	var all []*premade
	for _, some := range [][]*premade{released, held, fresh} {
		all = append(all, some...)
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	v.send(all)
	var c node.Counts
	await(v.t, fmt.Sprintf("the node has judged all of %d packets", len(all)), func() bool {
		c = v.mix.mustStats().Counts
		return c.Sent+dropped(c) == uint64(len(all))
	})
	await(v.t, "what was released comes", func() bool { return v.neighbour.seen() == before+int(c.Sent) })

	_, lost := v.sort(fresh)
	require.Empty(v.t, lost, "packets that are new do not come out")
	for _, p := range v.sent {
		require.LessOrEqual(v.t, v.neighbour.times(p.message), 1, "%s came out twice", p.message)
	}
	_, still := v.sort(held)
	replays, again, came = uint64(len(released)), uint64(len(held)), uint64(len(held)-len(still))
	require.Equal(v.t, replays+again-came, c.Dropped[node.DropReplay])
	require.Equal(v.t, dropped(c), c.Dropped[node.DropReplay], "for no other reason: %v", c.Dropped)
	require.Equal(v.t, uint64(len(fresh))+came, c.Sent)
	require.Zero(v.t, v.neighbour.alien)
	return replays, again, came
}
