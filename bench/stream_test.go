package bench

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	mixnet "sphinxmix.example/client"
	"sphinxmix.example/client/cell"
	"sphinxmix.example/client/exit"
	"sphinxmix.example/client/stream"
	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/mix"
	"sphinxmix.example/sphinx"
)

var (
	downMB = flag.Int("down", 20, "megabytes that BenchmarkStream downloads in each op")
	upMB   = flag.Int("up", 10, "megabytes that BenchmarkStream uploads in each op")
)

// BenchmarkStream is what a program gets of a network: one client, six mixes with loopback TLS between them that hold
// nothing back on purpose, paths of three, an exit, and a TCP server behind it, all on the same cores. An op is one
// stream that carries so many megabytes down, or up, whose SHA-256 is compared. Beside it stands the raw rate at which
// the same network carries packets that the same client makes, to a service that only counts them, right before and
// right after.
//
//	MB/s           through the stream
//	raw-packets/s  that raw rate
//	of-raw         the stream's rate, as a part of the raw one times the bytes that a cell has for data
//	up/cell        packets that went up, for each cell that the content fills
//	down/cell      packets that came back, for each
func BenchmarkStream(b *testing.B) {
	for _, payload := range []int{2048, 8192} {
		b.Run(fmt.Sprintf("payload=%d/way=down", payload), func(b *testing.B) { benchmarkStream(b, payload, *downMB<<20, false) })
		b.Run(fmt.Sprintf("payload=%d/way=up", payload), func(b *testing.B) { benchmarkStream(b, payload, *upMB<<20, true) })
	}
}

func benchmarkStream(b *testing.B, payload, size int, up bool) {
	t := newStreamBench(b, payload)
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(content)
	t.serve(content)
	before := t.raw(b)
	counts := t.counts()
	b.ResetTimer()
	start := time.Now()
	for range b.N {
		if up {
			t.upload(b, content)
		} else {
			t.download(b, content)
		}
	}
	took := time.Since(start)
	b.StopTimer()
	cells := float64(b.N*size) / float64(t.room)
	now := t.counts()
	b.ReportMetric(float64(now.Served-counts.Served)/cells, "up/cell")
	b.ReportMetric(float64(now.Delivered-counts.Delivered)/cells, "down/cell")
	rate := float64(b.N*size) / took.Seconds()
	raw := (before + t.raw(b)) / 2
	b.ReportMetric(rate/1e6, "MB/s")
	b.ReportMetric(raw, "raw-packets/s")
	b.ReportMetric(rate/(raw*float64(t.room)), "of-raw")
}

// streamBench is a network with a client, and a TCP server.
type streamBench struct {
	network directory.Network
	nodes   []*node.Node
	client  *mixnet.Client
	counted atomic.Int64
	server  net.Listener
	room    int // bytes of data in a cell that goes up
}

func newStreamBench(b *testing.B, payload int) *streamBench {
	t := &streamBench{network: directory.Network{Params: sphinx.Params{MaxHops: 5, PayloadSize: payload}, Epoch: directory.MaxEpoch}}
	t.room = t.network.MaxMessage(len(stream.Service)) - cell.HeaderSize
	public, private := newIdentity(b)
	server, err := directory.NewServer(directory.ServerConfig{Key: private, Network: t.network})
	check(b, err)
	host := httptest.NewServer(server)
	b.Cleanup(host.Close)
	known := func() *directory.Client { return &directory.Client{URLs: []string{host.URL}, Key: public} }
	for range 6 {
		t.nodes = append(t.nodes, t.startNode(b, known()))
	}
	for _, n := range t.nodes {
		for view := n.View(); view == nil || len(view.Nodes) < len(t.nodes); view = n.View() {
			time.Sleep(10 * time.Millisecond)
		}
	}
	t.client, err = mixnet.New(b.Context(), mixnet.Config{Directory: known()})
	check(b, err)
	b.Cleanup(t.client.Close)
	t.server = listen(b)
	b.Cleanup(func() { t.server.Close() })
	return t
}

func (t *streamBench) startNode(b *testing.B, known *directory.Client) *node.Node {
	_, identity, err := ed25519.GenerateKey(nil)
	check(b, err)
	tcp, err := exit.NewTCP(exit.Config{
		Params: t.network.Params,
		Policy: exit.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}},
	})
	check(b, err)
	n, err := node.New(node.Config{
		Identity: identity, Network: t.network, Directory: known, Listener: listen(b),
		Handlers: map[string]node.Handler{stream.Service: tcp, "count": counter{&t.counted}},
		Mix:      mix.Config{Size: 1, Interval: time.Millisecond}, Refresh: 50 * time.Millisecond,
		MaxLinksPerAddress: 1024,
	})
	check(b, err)
	run(b, func(ctx context.Context) error {
		defer tcp.Close()
		return n.Run(ctx)
	})
	return n
}

// counts adds up what the mixes have counted.
func (t *streamBench) counts() (sum node.Counts) {
	sum.Dropped = make(map[node.Drop]uint64)
	for _, n := range t.nodes {
		sum.Add(n.Counts())
	}
	return sum
}

// counter is a service that counts messages.
type counter struct{ count *atomic.Int64 }

func (c counter) Handle(context.Context, []byte, func(sphinx.Address, []byte)) error {
	c.count.Add(1)
	return nil
}

// raw returns how many packets per second go from the client to an exit.
func (t *streamBench) raw(b *testing.B) float64 {
	const count = 10_000
	start, first := time.Now(), t.counted.Load()
	work := make(chan struct{}, count)
	for range count {
		work <- struct{}{}
	}
	close(work)
	for range 4 * runtime.GOMAXPROCS(0) {
		go func() {
			body := make([]byte, t.network.MaxMessage(len("count"))-cell.HeaderSize)
			for range work {
				if err := t.client.Send(b.Context(), mixnet.Message{To: "count", Body: body}); err != nil {
					b.Error(err)
					return
				}
			}
		}()
	}
	for t.counted.Load() < first+count {
		if time.Since(start) > 5*time.Minute {
			b.Fatalf("%d of %d packets came", t.counted.Load()-first, count)
		}
		time.Sleep(time.Millisecond)
	}
	return count / time.Since(start).Seconds()
}

// serve sends content to whoever sends one byte first, then the SHA-256 of what comes after it, until its end.
func (t *streamBench) serve(content []byte) {
	go func() {
		for {
			conn, err := t.server.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				var what [1]byte
				if _, err := io.ReadFull(conn, what[:]); err != nil {
					return
				}
				if what[0] == 'd' {
					_, _ = conn.Write(content)
					return
				}
				sum := sha256.New()
				if _, err := io.Copy(sum, conn); err == nil {
					_, _ = conn.Write(sum.Sum(nil))
				}
			}()
		}
	}()
}

func (t *streamBench) dial(b *testing.B) net.Conn {
	conn, err := t.client.Dial(b.Context(), "", t.server.Addr().String())
	check(b, err)
	return conn
}

func (t *streamBench) download(b *testing.B, content []byte) {
	conn := t.dial(b)
	defer conn.Close()
	_, err := conn.Write([]byte("d"))
	check(b, err)
	sum := sha256.New()
	_, err = io.Copy(sum, conn)
	check(b, err)
	requireSum(b, content, sum.Sum(nil))
}

func (t *streamBench) upload(b *testing.B, content []byte) {
	conn := t.dial(b)
	defer conn.Close()
	_, err := conn.Write(append([]byte("u"), content...))
	check(b, err)
	check(b, conn.(interface{ CloseWrite() error }).CloseWrite())
	sum, err := io.ReadAll(conn)
	check(b, err)
	requireSum(b, content, sum)
}

func requireSum(b *testing.B, content, sum []byte) {
	if want := sha256.Sum256(content); hex.EncodeToString(want[:]) != hex.EncodeToString(sum) {
		b.Fatalf("SHA-256 is %x, must be %x", sum, want)
	}
}
