package bench

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"

	"sphinxmix.example/lioness"
	"sphinxmix.example/sphinx"
)

var (
	hopCounts    = []int{3, 5, 10}
	payloadSizes = []int{256, 1024, 2048, 32768}
	batchSizes   = []int{8, 64}

	destination = []byte("destination.example")
	client      = []byte("client")
)

// unseen is a Replay that calls every tag new and remembers none, so that one packet can be opened any number of times
// and what is measured is the format alone. A node's replay set comes on top.
type unseen struct{}

func (unseen) Fresh(_ []sphinx.Tag, fresh []bool) error {
	for i := range fresh {
		fresh[i] = true
	}
	return nil
}

// network is a path of as many hops as its parameters allow, with their keys, and a message that fills the payload.
type network struct {
	sphinx.Params
	path    []sphinx.Hop
	hops    []*sphinx.Unwrapper
	message []byte
}

func newNetwork(tb testing.TB, hops, payloadSize int) *network {
	tb.Helper()
	n := &network{Params: sphinx.Params{MaxHops: hops, PayloadSize: payloadSize}}
	for i := range hops {
		key, err := sphinx.GenerateKey(nil)
		if err != nil {
			tb.Fatal(err)
		}
		hop, err := sphinx.NewUnwrapper(n.Params, key, unseen{})
		if err != nil {
			tb.Fatal(err)
		}
		n.path = append(n.path, sphinx.Hop{Address: sphinx.Address{0xff, byte(i)}, Key: key.Public()})
		n.hops = append(n.hops, hop)
	}
	n.message = make([]byte, n.MaxMessage(len(destination)))
	rand.Read(n.message)
	return n
}

// wrap appends a new packet to dst.
func (n *network) wrap(tb testing.TB, dst []byte) []byte {
	packet, err := n.Wrap(dst, nil, n.path, destination, n.message)
	if err != nil {
		tb.Fatal(err)
	}
	return packet
}

// through sends packet, changed in place, through the hops from the given one to the last, and returns what that one
// learns.
func (n *network) through(tb testing.TB, from int, packet []byte) sphinx.Layer {
	tb.Helper()
	for i := from; ; i++ {
		layer, err := n.hops[i].Unwrap(packet)
		if err != nil {
			tb.Fatalf("hop %d: %v", i, err)
		}
		if i == len(n.hops)-1 {
			return layer
		}
		if layer.Route != sphinx.Relay || layer.Next != n.path[i+1].Address {
			tb.Fatalf("hop %d sends the packet to %v by route %d", i, layer.Next, layer.Route)
		}
	}
}

// arrives fails tb unless packet, on its way at the given hop, carries the message to its destination.
func (n *network) arrives(tb testing.TB, from int, packet []byte) {
	tb.Helper()
	layer := n.through(tb, from, packet)
	if layer.Route != sphinx.Exit || !bytes.Equal(layer.Destination, destination) || !bytes.Equal(layer.Message, n.message) {
		tb.Fatal("the message that arrives is not the one that was sent")
	}
}

// reply fails tb unless a reply comes back through surb, and returns its payload as the client gets it.
func (n *network) reply(tb testing.TB, surb *sphinx.SURB, message []byte) []byte {
	tb.Helper()
	first, packet, err := surb.Use(nil, message)
	if err != nil {
		tb.Fatal(err)
	}
	if first != n.path[0].Address {
		tb.Fatalf("the SURB sends its reply to %v first", first)
	}
	layer := n.through(tb, 0, packet)
	if layer.Route != sphinx.Reply || !bytes.Equal(layer.Client, client) {
		tb.Fatal("the reply does not reach its client")
	}
	return layer.Payload
}

// opens fails tb unless key takes message out of payload.
func opens(tb testing.TB, key *sphinx.ReplyKey, payload, message []byte) {
	tb.Helper()
	if got, err := key.Open(payload); err != nil || !bytes.Equal(got, message) {
		tb.Fatalf("the reply that arrives is not the one that was sent: %v", err)
	}
}

// forSizes runs benchmark for every path length and payload size.
func forSizes(b *testing.B, benchmark func(b *testing.B, n *network)) {
	for _, r := range hopCounts {
		for _, size := range payloadSizes {
			b.Run(fmt.Sprintf("r=%d/P=%d", r, size), func(b *testing.B) {
				benchmark(b, newNetwork(b, r, size))
			})
		}
	}
}

// BenchmarkUnwrap is one hop that relays one packet: two X25519, the key schedule, the MAC, β and δ. The packet is
// restored in every iteration, which counts: the copy of a packet takes a few 0.0001 U.
func BenchmarkUnwrap(b *testing.B) {
	forSizes(b, func(b *testing.B, n *network) {
		packet := n.wrap(b, nil)
		work := make([]byte, len(packet))
		b.SetBytes(int64(len(packet)))
		inUnits(b, 1, n.unwrap(b, packet, work))
		n.arrives(b, 1, work)
	})
}

// unwrap returns the operation that opens packet at the first hop, in work.
func (n *network) unwrap(tb testing.TB, packet, work []byte) func() {
	return func() {
		copy(work, packet)
		if layer, err := n.hops[0].Unwrap(work); err != nil || layer.Route != sphinx.Relay {
			tb.Fatalf("route %d, error %v", layer.Route, err)
		}
	}
}

// BenchmarkUnwrapBatch is BenchmarkUnwrap for n different packets in one call. The copy counts here too.
func BenchmarkUnwrapBatch(b *testing.B) {
	forSizes(b, func(b *testing.B, n *network) {
		for _, size := range batchSizes {
			b.Run(fmt.Sprintf("n=%d", size), func(b *testing.B) {
				op, last := n.unwrapBatch(b, size)
				b.SetBytes(int64(size * n.PacketSize()))
				inUnits(b, size, op)
				n.arrives(b, 1, last)
			})
		}
	})
}

// unwrapBatch returns the operation that opens size packets at the first hop, and where the last of them then is.
func (n *network) unwrapBatch(tb testing.TB, size int) (op func(), last []byte) {
	var all []byte
	for range size {
		all = n.wrap(tb, all)
	}
	work := make([]byte, len(all))
	packets := make([][]byte, size)
	for i := range packets {
		packets[i] = work[i*n.PacketSize():][:n.PacketSize()]
	}
	layers, errs := make([]sphinx.Layer, size), make([]error, size)
	return func() {
		copy(work, all)
		n.hops[0].UnwrapBatch(packets, layers, errs)
		for i := range errs {
			if errs[i] != nil || layers[i].Route != sphinx.Relay {
				tb.Fatalf("packet %d: route %d, error %v", i, layers[i].Route, errs[i])
			}
		}
	}, packets[size-1]
}

// BenchmarkWrap is a sender that makes one packet for a path of r hops, with crypto/rand, into memory that it has.
func BenchmarkWrap(b *testing.B) {
	forSizes(b, func(b *testing.B, n *network) {
		packet := n.wrap(b, nil)
		b.SetBytes(int64(len(packet)))
		inUnits(b, 1, func() { packet = n.wrap(b, packet[:0]) })
		n.arrives(b, 0, packet)
	})
}

// BenchmarkSURB is a client that makes one SURB for a path of r hops, with crypto/rand. The payload has no part in it.
func BenchmarkSURB(b *testing.B) {
	for _, r := range hopCounts {
		b.Run(fmt.Sprintf("r=%d", r), func(b *testing.B) {
			n := newNetwork(b, r, 1024)
			b.SetBytes(int64(n.SURBSize()))
			var surb *sphinx.SURB
			var key *sphinx.ReplyKey
			inUnits(b, 1, func() { surb, key = n.newSURB(b) })
			message := []byte("a reply")
			opens(b, key, n.reply(b, surb, message), message)
		})
	}
}

func (n *network) newSURB(tb testing.TB) (*sphinx.SURB, *sphinx.ReplyKey) {
	surb, key, err := n.NewSURB(nil, n.path, client, sphinx.MessageID{1})
	if err != nil {
		tb.Fatal(err)
	}
	return surb, key
}

// BenchmarkReplyOpen is a client that opens the reply that came along a path of r hops. A success spends its key, and
// a new one takes far longer than what is to be measured. So all replies but the last are spoilt ones: they cost the
// same work up to the last comparison, and leave the key as it was. The last is opened in earnest, outside of the time.
func BenchmarkReplyOpen(b *testing.B) {
	forSizes(b, func(b *testing.B, n *network) {
		surb, key := n.newSURB(b)
		message := n.message[:min(len(n.message), n.MaxReply())]
		payload := n.reply(b, surb, message)
		spoilt := bytes.Clone(payload)
		spoilt[0] ^= 1
		b.SetBytes(int64(len(payload)))
		inUnits(b, 1, func() { // again and again over what it left: noise for noise
			if _, err := key.Open(spoilt); !errors.Is(err, sphinx.ErrPayload) {
				b.Fatalf("a spoilt reply gives the error %v", err)
			}
		})
		opens(b, key, payload, message)
	})
}

// BenchmarkLioness is the wide-block cipher alone, as a hop uses it: a new key, and one block of P bytes decrypted.
func BenchmarkLioness(b *testing.B) {
	for _, size := range payloadSizes {
		b.Run(fmt.Sprintf("P=%d", size), func(b *testing.B) {
			var key [lioness.KeySize]byte
			rand.Read(key[:])
			cipher := lioness.New(&key)
			block := make([]byte, size)
			b.SetBytes(int64(size))
			inUnits(b, 1, func() {
				cipher.SetKey(&key)
				if err := cipher.Decrypt(block); err != nil {
					b.Fatal(err)
				}
			})
			plain := bytes.Clone(block)
			if err := cipher.Encrypt(block); err != nil || bytes.Equal(block, plain) {
				b.Fatal("the cipher does nothing: ", err)
			}
			if err := cipher.Decrypt(block); err != nil || !bytes.Equal(block, plain) {
				b.Fatal("decryption does not undo encryption: ", err)
			}
		})
	}
}
