package bench

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/mix"
	"sphinxmix.example/sphinx"
)

// senders is how many links bring packets to the node, each from a host of its own; a batch leaves when it has packets
// of all of them.
const senders = 8

// volume is how many packets an op brings: enough that the first and the last batch do not count.
const volume = 20_000

// BenchmarkNode is a whole mix at work: packets come over TLS from 8 hosts, are opened, have their tags written to disk
// and synced, wait for a batch of 8 senders, and go over TLS to another mix, all on loopback. What plays the senders
// and that other mix runs on the same cores. Beside it stands UnwrapBatch on packets of that size and all cores, right
// before and right after. An op is 20,000 packets.
//
//	packets/s     through the node
//	of-unwrap     that, as a part of what UnwrapBatch alone does
//	allocs/packet in the whole process, crypto/tls and both other ends included
func BenchmarkNode(b *testing.B) {
	for _, disk := range []bool{false, true} {
		b.Run(fmt.Sprintf("payload=1024/keys=%s", map[bool]string{false: "memory", true: "disk"}[disk]), func(b *testing.B) {
			benchmarkNode(b, disk)
		})
	}
}

func benchmarkNode(b *testing.B, disk bool) {
	t := newMixBench(b, disk)
	count := volume * b.N
	packets := t.wrap(b, count)
	before := t.unwrapAlone(b)
	var memory, after runtime.MemStats
	runtime.ReadMemStats(&memory)
	b.ResetTimer()
	start := time.Now()
	t.send(b, packets)
	select {
	case <-t.arrived(count):
	case <-time.After(5 * time.Minute):
		b.Fatalf("%d of %d packets came out; the node dropped %v", t.count.Load(), count, t.node.Counts().Dropped)
	}
	took := time.Since(start)
	b.StopTimer()
	runtime.ReadMemStats(&after)
	rate := float64(count) / took.Seconds()
	b.ReportMetric(rate, "packets/s")
	b.ReportMetric(2*rate/(before+t.unwrapAlone(b)), "of-unwrap")
	b.ReportMetric(float64(after.Mallocs-memory.Mallocs)/float64(count), "allocs/packet")
	if dropped := t.node.Counts().Dropped; len(dropped) > 0 {
		b.Fatalf("the node dropped %v", dropped)
	}
}

// mixBench is a node, the mix that it sends to, and a directory that lists both.
type mixBench struct {
	network directory.Network
	node    *node.Node
	address string
	nodeKey ed25519.PublicKey
	path    []sphinx.Hop // the node, then the other mix
	epoch   byte
	count   atomic.Int64 // packets at the other mix
	wanted  atomic.Int64
	done    chan struct{}
}

func newMixBench(b *testing.B, disk bool) *mixBench {
	t := &mixBench{
		network: directory.Network{Params: sphinx.Params{MaxHops: 5, PayloadSize: 1024}, Epoch: directory.MaxEpoch},
		done:    make(chan struct{}),
	}
	public, private := newIdentity(b)
	server, err := directory.NewServer(directory.ServerConfig{Key: private, Network: t.network})
	check(b, err)
	host := httptest.NewServer(server)
	b.Cleanup(host.Close)
	known := func() *directory.Client { return &directory.Client{URLs: []string{host.URL}, Key: public} }

	sink := t.startSink(b, known())
	var identity ed25519.PrivateKey
	t.nodeKey, identity = newIdentity(b)
	listener := listen(b)
	t.address = listener.Addr().String()
	cfg := node.Config{
		Identity: identity, Network: t.network, Directory: known(), Listener: listener,
		Mix: mix.Config{Size: senders, Interval: 50 * time.Millisecond}, Refresh: 50 * time.Millisecond,
	}
	if disk {
		cfg.KeyDir = b.TempDir() + "/keys"
	}
	t.node, err = node.New(cfg)
	check(b, err)
	run(b, func(ctx context.Context) error { return t.node.Run(ctx) })
	for !t.ready(sink) {
		time.Sleep(10 * time.Millisecond)
	}
	return t
}

// ready reports whether the node lists itself and the other mix, and takes what is needed from the view.
func (t *mixBench) ready(sink sphinx.Hop) bool {
	view := t.node.View()
	if view == nil || len(view.Nodes) < 2 {
		return false
	}
	d, listed := view.Node(t.node.ID())
	if !listed {
		return false
	}
	epoch := t.network.EpochAt(time.Now())
	key, _ := d.Key(epoch)
	t.epoch = byte(epoch)
	t.path = []sphinx.Hop{{Address: directory.Route{Node: d.ID(), Epoch: t.epoch}.Address(), Key: key}, sink}
	return true
}

// startSink starts and registers the other mix, which counts what comes.
func (t *mixBench) startSink(b *testing.B, known *directory.Client) sphinx.Hop {
	public, identity := newIdentity(b)
	key, err := sphinx.GenerateKey(nil)
	check(b, err)
	listener := listen(b)
	run(b, func(ctx context.Context) error {
		cfg := link.Config{Key: identity, FrameSize: t.network.PacketSize()}
		return link.Serve(ctx, listener, cfg, func(_ context.Context, c *link.Conn) {
			body := make([]byte, t.network.PacketSize())
			for {
				if _, _, err := c.ReadFrame(body); err != nil {
					return
				}
				if t.count.Add(1) == t.wanted.Load() {
					close(t.done)
				}
			}
		})
	})
	epoch := t.network.EpochAt(time.Now())
	signed, err := directory.SignDescriptor(identity, directory.Descriptor{
		Address: listener.Addr().String(), Keys: []directory.EpochKey{{Epoch: epoch, Key: key.Public()}},
		Network: t.network.Hash(), Version: 1, Expires: time.Now().Add(time.Hour),
	})
	check(b, err)
	check(b, known.Register(b.Context(), signed))
	return sphinx.Hop{Address: directory.Route{Node: directory.NodeIDOf(public), Epoch: byte(epoch)}.Address(), Key: key.Public()}
}

func (t *mixBench) arrived(count int) <-chan struct{} {
	t.wanted.Store(int64(count))
	if t.count.Load() >= int64(count) {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	return t.done
}

// wrap makes packets through the node to the other mix, on all cores.
func (t *mixBench) wrap(b *testing.B, count int) [][]byte {
	packets := make([][]byte, count)
	var next atomic.Int64
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(count); i = next.Add(1) - 1 {
				var err error
				if packets[i], err = t.network.Wrap(nil, nil, t.path, destination, nil); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	return packets
}

// send brings packets to the node, each link its part.
func (t *mixBench) send(b *testing.B, packets [][]byte) {
	t.wanted.Store(int64(len(packets)))
	for i := range senders {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i))}}
		conn, err := dialer.Dial("tcp", t.address)
		check(b, err)
		c, err := link.Dial(b.Context(), conn, t.nodeKey, link.Config{FrameSize: t.network.PacketSize()})
		check(b, err)
		b.Cleanup(func() { c.Close() })
		go func() {
			for j := i; j < len(packets); j += senders {
				if c.WriteFrame(link.Packet, t.epoch, packets[j]) != nil {
					return
				}
			}
			_ = c.Flush()
		}()
	}
}

// unwrapAlone returns how many packets a second UnwrapBatch opens on all cores, in batches of 64.
func (t *mixBench) unwrapAlone(b *testing.B) float64 {
	workers, err := newWorkers(runtime.GOMAXPROCS(0))
	check(b, err)
	turn, err := together(workers, 100*time.Millisecond)
	check(b, err)
	return turn.rate
}

func newIdentity(b *testing.B) (ed25519.PublicKey, ed25519.PrivateKey) {
	public, private, err := ed25519.GenerateKey(nil)
	check(b, err)
	return public, private
}

func listen(b *testing.B) net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(b, err)
	return listener
}

// run starts part, and ends it with the benchmark.
func run(b *testing.B, part func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- part(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
}
