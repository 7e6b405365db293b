package node_test

import (
	"context"
	"crypto/ecdh"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/chacha20"

	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/sphinx"
)

// serviceFunc is a node.Handler.
type serviceFunc func(message []byte) error

func (f serviceFunc) Handle(_ context.Context, message []byte, _ func(sphinx.Address, []byte)) error {
	return f(message)
}

// drops are what makes a mix drop packets, and what it counts then. Left out are those that fill one of its queues or a
// share, for which see TestFull… and TestFloodHarmsOnlyWhoSendsIt; DropSize, since a link carries frames of one size, that
// of a packet; and DropReplayStore, for which see
// TestFullReplaySetRefuses.
var drops = []struct {
	name    string
	provoke func(t *testing.T, n *nodetest.Network, alice *link.Conn)
	want    map[node.Drop]uint64
}{
	{"a frame that only mixes send", func(t *testing.T, n *nodetest.Network, alice *link.Conn) {
		require.NoError(t, alice.WriteFrame(link.Reply, 0, make([]byte, n.Params.PacketSize())))
		require.NoError(t, alice.Flush())
	}, map[node.Drop]uint64{node.DropFrame: 1}},

	{"a frame of no known kind", func(t *testing.T, n *nodetest.Network, alice *link.Conn) {
		require.NoError(t, alice.WriteFrame(255, 0, make([]byte, n.Params.PacketSize())))
		require.NoError(t, alice.Flush())
	}, map[node.Drop]uint64{node.DropFrame: 1}},

	{"a second mailbox on one link", func(t *testing.T, n *nodetest.Network, alice *link.Conn) {
		require.NoError(t, alice.WriteFrame(link.Subscribe, 0, make([]byte, n.Params.PacketSize())))
		require.NoError(t, alice.WriteFrame(link.Subscribe, 0, make([]byte, n.Params.PacketSize())))
		require.NoError(t, alice.Flush())
	}, map[node.Drop]uint64{node.DropFrame: 1}},

	{"a mailbox for a mix", func(t *testing.T, n *nodetest.Network, _ *link.Conn) {
		mix := n.Link("mix1", n.Mixes[1].Identity, 0)
		require.NoError(t, mix.WriteFrame(link.Subscribe, 0, make([]byte, n.Params.PacketSize())))
		require.NoError(t, mix.Flush())
	}, map[node.Drop]uint64{node.DropFrame: 1}},

	{"another epoch", func(t *testing.T, n *nodetest.Network, alice *link.Conn) {
		for epoch := range 256 {
			require.NoError(t, alice.WriteFrame(link.Packet, byte(epoch), wrap(t, n, "inbox", "", 0)))
		}
		require.NoError(t, alice.Flush())
	}, map[node.Drop]uint64{node.DropEpoch: 254, node.DropMAC: 1}},

	{"α of low order", func(t *testing.T, n *nodetest.Network, alice *link.Conn) {
		packet := wrap(t, n, "inbox", "", 0)
		clear(packet[:32])
		send(t, alice, packet)
		packet[0] = 1
		send(t, alice, packet)
	}, map[node.Drop]uint64{node.DropGroup: 2}},

	{"a changed header", func(t *testing.T, n *nodetest.Network, alice *link.Conn) {
		packet := wrap(t, n, "inbox", "", 0)
		packet[40] ^= 1
		send(t, alice, packet)
	}, map[node.Drop]uint64{node.DropMAC: 1}},

	{"a packet for another mix", func(t *testing.T, n *nodetest.Network, alice *link.Conn) {
		send(t, alice, wrap(t, n, "inbox", "", 1))
	}, map[node.Drop]uint64{node.DropMAC: 1}},

	{"a replay", func(t *testing.T, n *nodetest.Network, alice *link.Conn) {
		packet := wrap(t, n, "inbox", "", 0)
		send(t, alice, packet, packet)
	}, map[node.Drop]uint64{node.DropReplay: 1}},

	{"a reserved routing block", func(t *testing.T, n *nodetest.Network, alice *link.Conn) {
		packet := wrap(t, n, "inbox", "", 0)
		rewriteRouting(t, n, n.Mixes[0], packet, 0x80)
		send(t, alice, packet)
	}, map[node.Drop]uint64{node.DropRouting: 1}},

	{"a changed payload", func(t *testing.T, n *nodetest.Network, alice *link.Conn) {
		packet := wrap(t, n, "inbox", "", 0)
		packet[len(packet)-1] ^= 1
		send(t, alice, packet)
	}, map[node.Drop]uint64{node.DropPayload: 1}},

	{"to a mix that is not listed, or to itself", func(t *testing.T, n *nodetest.Network, alice *link.Conn) {
		for _, next := range []sphinx.Address{
			directory.Route{Node: directory.NodeID{1, 2, 3}}.Address(),
			directory.Route{Node: n.Mixes[0].ID(), Epoch: nodetest.FirstEpoch}.Address(),
		} {
			packet, err := n.Params.Wrap(nil, nil, []sphinx.Hop{n.Mixes[0].Hop(), {Address: next, Key: n.Mixes[1].Key.Public()}}, []byte("inbox"), nil)
			require.NoError(t, err)
			send(t, alice, packet)
		}
	}, map[node.Drop]uint64{node.DropNextHop: 2}},

	{"to a mix that goes away", func(t *testing.T, n *nodetest.Network, alice *link.Conn) {
		send(t, alice, wrap(t, n, "inbox", "", 0, 1))
		synctest.Wait()
		n.Stop(1)
		for range 3 {
			send(t, alice, wrap(t, n, "inbox", "", 0, 1))
			synctest.Wait()
		}
		time.Sleep(time.Hour + 2*nodetest.Refresh) // until its descriptor has expired
		send(t, n.Link("alice", nil, 0), wrap(t, n, "inbox", "", 0, 1))
	}, map[node.Drop]uint64{node.DropPeer: 3, node.DropNextHop: 1}},

	{"a service that is not there", func(t *testing.T, n *nodetest.Network, alice *link.Conn) {
		send(t, alice, wrap(t, n, "outbox", "", 0), wrap(t, n, "Inbox", "", 0))
	}, map[node.Drop]uint64{node.DropNoService: 2}},

	{"a service that cannot use it", func(t *testing.T, n *nodetest.Network, alice *link.Conn) {
		send(t, alice, wrap(t, n, "refusing", "", 0), wrap(t, n, "echo", "not a cell", 0))
	}, map[node.Drop]uint64{node.DropService: 2}},

	{"a reply to a stranger", func(t *testing.T, n *nodetest.Network, alice *link.Conn) {
		send(t, alice, replyTo(t, n, []byte("nobody"), 0))
	}, map[node.Drop]uint64{node.DropNoClient: 1}},
}

// TestEveryDropHasItsReason, and harms neither what comes later on other links nor the mix.
func TestEveryDropHasItsReason(t *testing.T) {
	for _, test := range drops {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				box := &inbox{}
				n := nodetest.Start(t, nodetest.Config{Mixes: 2, Node: withInbox(box, func(cfg *node.Config) {
					cfg.Mix.Size = 1
					cfg.Handlers["refusing"] = serviceFunc(func([]byte) error { return errors.New("no") })
				})})
				test.provoke(t, n, n.Link("alice", nil, 0))
				requireDropped(t, n.Mixes[0], test.want)

				box.clear()
				send(t, n.Link("bob", nil, 0), wrap(t, n, "inbox", "honest", 0))
				requireDropped(t, n.Mixes[0], test.want)
				require.Equal(t, []string{"honest"}, box.sorted())
			})
		})
	}
}

// replyTo makes a packet for a client at the end of a path of mixes.
func replyTo(t *testing.T, n *nodetest.Network, client []byte, path ...int) []byte {
	t.Helper()
	hops := make([]sphinx.Hop, len(path))
	for i, mix := range path {
		hops[i] = n.Mixes[mix].Hop()
	}
	surb, _, err := n.Params.NewSURB(nil, hops, client, sphinx.MessageID{1})
	require.NoError(t, err)
	_, packet, err := surb.Use(nil, []byte("reply"))
	require.NoError(t, err)
	return packet
}

// rewriteRouting sets the first byte of the routing block that a mix will read in a packet, as a sender could who does
// not keep to the format: it derives the hop's keys (key schedule 1), changes β, and authenticates it.
func rewriteRouting(t *testing.T, n *nodetest.Network, m *nodetest.Mix, packet []byte, first byte) {
	t.Helper()
	private, err := ecdh.X25519().NewPrivateKey(m.Key.Bytes())
	require.NoError(t, err)
	alpha, err := ecdh.X25519().NewPublicKey(packet[:32])
	require.NoError(t, err)
	secret, err := private.ECDH(alpha)
	require.NoError(t, err)

	seed, err := blake2b.New256([]byte("sphinx-x25519-chacha20-blake2b-1"))
	require.NoError(t, err)
	public := m.Key.Public()
	seed.Write(packet[:32])
	seed.Write(public[:])
	seed.Write(secret)
	keys := keyStream(t, seed.Sum(nil), 64) // ρ key ‖ μ key

	beta := packet[32 : n.Params.HeaderSize()-16]
	beta[0] = first ^ keyStream(t, keys[:32], 1)[0]
	mac, err := blake2b.New(16, keys[32:])
	require.NoError(t, err)
	mac.Write(beta)
	mac.Sum(packet[:n.Params.HeaderSize()-16])
}

func keyStream(t *testing.T, key []byte, size int) []byte {
	t.Helper()
	cipher, err := chacha20.NewUnauthenticatedCipher(key, make([]byte, chacha20.NonceSize))
	require.NoError(t, err)
	stream := make([]byte, size)
	cipher.XORKeyStream(stream, stream)
	return stream
}
