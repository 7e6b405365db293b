package node_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/nodetest"
)

// hostile are peers that do their worst to mix 0. Each returns how to make it leave; those that return nil, a node has to
// rid itself of.
var hostile = []struct {
	name   string
	attack func(t *testing.T, n *nodetest.Network) (leave func())
}{
	{"garbage for packets", func(t *testing.T, n *nodetest.Network) func() {
		c := n.Link("mallory", nil, 0)
		random := rand.NewChaCha8([32]byte{1})
		for range 300 {
			_, _ = random.Read(frameOf(n))
			send(t, c, frameOf(n))
		}
		return func() { c.Close() }
	}},

	{"every kind of frame", func(t *testing.T, n *nodetest.Network) func() {
		for kind := range 256 {
			c := n.Link("mallory", nil, 0)
			require.NoError(t, c.WriteFrame(link.Kind(kind), 0, frameOf(n)))
			_ = c.Flush()
			c.Close()
		}
		return func() {}
	}},

	{"every epoch", func(t *testing.T, n *nodetest.Network) func() {
		c := n.Link("mallory", nil, 0)
		for epoch := range 256 {
			require.NoError(t, c.WriteFrame(link.Packet, byte(epoch), frameOf(n)))
		}
		require.NoError(t, c.Flush())
		return func() { c.Close() }
	}},

	{"half a frame, and gone", func(t *testing.T, n *nodetest.Network) func() {
		for size := range 40 {
			short := &shortened{Conn: dial(t, n), left: -1}
			c := linkOver(t, n, short)
			short.left = 32 * size
			require.NoError(t, c.WriteFrame(link.Packet, nodetest.FirstEpoch, frameOf(n)))
			require.Error(t, c.Flush())
			c.Close()
		}
		return func() {}
	}},

	{"half a frame, and silence", func(t *testing.T, n *nodetest.Network) func() {
		for range 40 {
			short := &shortened{Conn: dial(t, n), left: -1, hangs: true}
			c := linkOver(t, n, short)
			short.left = 600
			require.NoError(t, c.WriteFrame(link.Packet, nodetest.FirstEpoch, frameOf(n)))
			require.Error(t, c.Flush())
		}
		return nil
	}},

	{"no TLS", func(t *testing.T, n *nodetest.Network) func() {
		for range 40 {
			conn := dial(t, n)
			_, _ = conn.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
			conn.Close()
		}
		return func() {}
	}},

	{"silence before the handshake", func(t *testing.T, n *nodetest.Network) func() {
		for range 60 {
			dial(t, n)
		}
		return nil
	}},

	{"silence after the handshake", func(t *testing.T, n *nodetest.Network) func() {
		for range 60 {
			linkOver(t, n, dial(t, n))
		}
		return nil
	}},

	{"a mailbox that is never emptied", func(t *testing.T, n *nodetest.Network) func() {
		_, id := subscribed(t, n, "mallory", 0)
		c := n.Link("mallory", nil, 0)
		for range 300 {
			send(t, c, replyTo(t, n, id, 0))
		}
		c.Close()
		return nil
	}},

	{"200 links from one host", func(t *testing.T, n *nodetest.Network) func() {
		conns := make([]net.Conn, 200)
		for i := range conns {
			conns[i] = dial(t, n)
		}
		return func() { closeAll(conns) }
	}},

	{"200 links from 200 hosts, with mailboxes", func(t *testing.T, n *nodetest.Network) func() {
		var links []*link.Conn
		for i := range 200 {
			c, _ := subscribed(t, n, fmt.Sprint("mallory", i), 0)
			links = append(links, c)
		}
		return func() {
			for _, c := range links {
				c.Close()
			}
		}
	}},
}

// TestHostilePeersHarmNobody: while they are there an honest client is served without delay, and nothing is left once
// they are gone, or have been given up: 11 minutes are more than any deadline of a link.
func TestHostilePeersHarmNobody(t *testing.T) {
	const patience = 11*time.Minute + 30*time.Second
	for _, test := range hostile {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				box := &inbox{}
				n := nodetest.Start(t, nodetest.Config{Mixes: 2, Node: withInbox(box, func(cfg *node.Config) {
					cfg.Mix.Size, cfg.Refresh = 1, time.Minute
				})})
				requireServed(t, n, box)
				sleep(patience)
				running, memory := goroutines(), heap()

				start := time.Now()
				leave := test.attack(t, n)
				requireServed(t, n, box)
				require.Equal(t, start, time.Now(), "the honest client waited")
				if leave == nil {
					time.Sleep(patience)
				} else {
					leave()
					requireServed(t, n, box)
				}
				synctest.Wait()
				if leave != nil {
					time.Sleep(2 * time.Minute) // until the honest link between the mixes, idle, is given up too
					synctest.Wait()
				}
				require.Equal(t, running, goroutines())
				require.Less(t, heap(), memory+1<<20, "in bytes; before there were %d", memory)
				requireServed(t, n, box)
			})
		})
	}
}

// TestFrameOutOfPlaceEndsTheLink: who does not keep to the protocol is not heard out.
func TestFrameOutOfPlaceEndsTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := unmixed(t)
		mallory := n.Link("mallory", nil, 0)
		require.NoError(t, mallory.WriteFrame(link.Reply, 0, frameOf(n)))
		require.NoError(t, mallory.WriteFrame(link.Packet, nodetest.FirstEpoch, wrap(t, n, "inbox", "and this", 0)))
		require.NoError(t, mallory.Flush())
		_, _, err := mallory.ReadFrame(frameOf(n))
		require.Equal(t, io.EOF, err)
		synctest.Wait()
		require.True(t, box.empty())
	})
}

// TestClientThatDoesNotReadIsGivenUp after the time that a write may take, and its mailbox when it does not come back.
func TestClientThatDoesNotReadIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := unmixed(t)
		_, id := subscribed(t, n, "alice", 0)
		mallory := n.Link("mallory", nil, 0)
		send(t, mallory, replyTo(t, n, id, 0))
		sleep(31*time.Second + link.Retention)
		require.Zero(t, n.Mixes[0].Mailboxes())
		before := n.Mixes[0].Counts().Dropped[node.DropNoClient]
		send(t, mallory, replyTo(t, n, id, 0))
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropNoClient: before + 1})
	})
}

// requireServed sends a packet through both mixes.
func requireServed(t *testing.T, n *nodetest.Network, box *inbox) {
	t.Helper()
	box.clear()
	c := n.Link("honest", nil, 0)
	send(t, c, wrap(t, n, "inbox", "honest", 0, 1), wrap(t, n, "inbox", "work", 0))
	synctest.Wait()
	require.Equal(t, []string{"honest", "work"}, box.sorted())
	c.Close()
	synctest.Wait()
}

// goroutines returns how many goroutines of this test there are.
func goroutines() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return bytes.Count(stacks, []byte("synctest bubble"))
}

// heap returns how many bytes are in use once what nobody uses is given up, caches included.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func frameOf(n *nodetest.Network) []byte { return make([]byte, n.Params.PacketSize()) }

func dial(t *testing.T, n *nodetest.Network) net.Conn {
	t.Helper()
	conn, err := n.Dialer("mallory")(t.Context(), n.Mixes[0].Address)
	require.NoError(t, err)
	return conn
}

func closeAll(conns []net.Conn) {
	for _, conn := range conns {
		conn.Close()
	}
}

// linkOver makes a link to mix 0 over a connection.
func linkOver(t *testing.T, n *nodetest.Network, conn net.Conn) *link.Conn {
	t.Helper()
	c, err := link.Dial(context.Background(), conn, n.Mixes[0].Identity.Public().(ed25519.PublicKey), link.Config{FrameSize: n.Params.PacketSize()})
	require.NoError(t, err)
	return c
}

// shortened is a connection of which, from some moment on, only the next bytes get through.
type shortened struct {
	net.Conn
	left  int  // all if negative
	hangs bool // it stays open after that
}

func (s *shortened) Write(b []byte) (int, error) {
	if s.left < 0 {
		return s.Conn.Write(b)
	}
	n, err := s.Conn.Write(b[:min(s.left, len(b))])
	s.left -= n
	if err == nil && s.left == 0 {
		err = net.ErrClosed
		if !s.hangs {
			s.Conn.Close()
		}
	}
	return n, err
}
