package exit_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/client/exit"
	"sphinxmix.example/client/stream"
	"sphinxmix.example/sphinx"
)

// streaming are parameters whose packets have room for streams.
var streaming = sphinx.Params{MaxHops: 5, PayloadSize: 2048}

// weather is what a network does to packets, by chance.
type weather struct {
	loss, double float64 // of cells that clients send, a part is doubled: mixes refuse any other packet that comes twice
	mean         time.Duration
}

// network is a TCP service and the clients of it, with a mix network between them that is one mix and weather. Hosts are in
// memory where a test gives them.
type network struct {
	t       *testing.T
	tcp     *exit.TCP
	weather weather
	hosts   map[netip.AddrPort]func(conn net.Conn) // not changed once there are clients
	ctx     context.Context                        // of the node
	hop     sphinx.Hop

	mu        sync.Mutex
	rand      *rand.Rand
	unwrapper *sphinx.Unwrapper
	clients   map[string]*client // by what their SURBs lead to
}

var (
	echoHost    = netip.MustParseAddrPort("198.41.0.4:7")
	discardHost = netip.MustParseAddrPort("198.41.0.4:9")
	endlessHost = netip.MustParseAddrPort("198.41.0.4:19")
	deafHost    = netip.MustParseAddrPort("198.41.0.4:99")
	silentHost  = netip.MustParseAddrPort("198.41.0.5:80") // does not answer
	closedHost  = netip.MustParseAddrPort("198.41.0.4:81")
	goneHost    = netip.MustParseAddrPort("198.41.0.6:80")
	farHost     = netip.MustParseAddrPort("[2001:500:2::c]:80")
)

// newNetwork returns one with the usual hosts, for a test in virtual time.
func newNetwork(t *testing.T, w weather, cfg exit.Config) *network {
	n := newBareNetwork(t, w, cfg)
	n.hosts = map[netip.AddrPort]func(net.Conn){
		echoHost:    echo,
		discardHost: discard,
		endlessHost: endless,
		deafHost:    deaf,
	}
	d := exit.DialerOf(n.tcp)
	d.SetOwn(func(netip.Addr) (bool, error) { return false, nil })
	d.SetLookup(func(_ context.Context, name string) ([]netip.Addr, error) {
		switch name {
		case "host.example":
			return []netip.Addr{echoHost.Addr()}, nil
		case "private.example":
			return addresses("10.0.0.1"), nil
		}
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	})
	d.SetConnect(func(ctx context.Context, address netip.AddrPort) (net.Conn, error) {
		switch address {
		case silentHost:
			<-ctx.Done()
			return nil, ctx.Err()
		case goneHost:
			return nil, syscall.EHOSTUNREACH
		case farHost:
			return nil, syscall.ENETUNREACH
		}
		serve := n.hosts[address]
		if serve == nil {
			return nil, syscall.ECONNREFUSED
		}
		near, far := newConnection()
		go serve(far)
		return near, nil
	})
	return n
}

// newBareNetwork returns one whose hosts are real.
func newBareNetwork(t *testing.T, w weather, cfg exit.Config) *network {
	t.Helper()
	cfg.Params = streaming
	tcp, err := exit.NewTCP(cfg)
	require.NoError(t, err)
	key, err := sphinx.GenerateKey(nil)
	require.NoError(t, err)
	unwrapper, err := sphinx.NewUnwrapper(streaming, key, make(sphinx.TagSet))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	n := &network{
		t: t, tcp: tcp, weather: w, ctx: ctx,
		hop:       sphinx.Hop{Address: sphinx.Address{0xff, 1}, Key: key.Public()},
		rand:      rand.New(rand.NewPCG(1, 2)),
		unwrapper: unwrapper,
		clients:   make(map[string]*client),
	}
	t.Cleanup(func() {
		for _, c := range n.all() {
			c.stop()
		}
		tcp.Close()
		cancel()
		stats := tcp.Stats()
		assert.Zero(t, stats.Sessions)
		assert.Zero(t, stats.Streams)
		assert.Zero(t, stats.Memory)
	})
	return n
}

func (n *network) all() (all []*client) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.clients {
		all = append(all, c)
	}
	return all
}

// after calls f when the weather lets a packet through, if it does, and says whether that is to happen twice.
func (n *network) after(f func()) (twice bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.rand.Float64() < n.weather.loss {
		return false
	}
	delay := time.Millisecond
	if n.weather.mean > 0 {
		for range 4 {
			delay += time.Duration(n.rand.ExpFloat64() * float64(n.weather.mean))
		}
	}
	time.AfterFunc(delay, f)
	return n.rand.Float64() < n.weather.double
}

// slow changes the mean delay.
func (n *network) slow(mean time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.weather.mean = mean
}

// handle gives a message to the exit, as a mix does.
func (n *network) handle(message []byte) error { return n.tcp.Handle(n.ctx, message, n.back) }

// back takes a packet of the exit to the client whose SURB it came through.
func (n *network) back(first sphinx.Address, packet []byte) {
	assert.Equal(n.t, n.hop.Address, first)
	n.mu.Lock()
	layer, err := n.unwrapper.Unwrap(append([]byte(nil), packet...))
	if err != nil { // a SURB was used twice
		assert.NoError(n.t, err)
		n.mu.Unlock()
		return
	}
	to, id, payload := n.clients[string(layer.Client)], layer.MessageID, append([]byte(nil), layer.Payload...)
	n.mu.Unlock()
	if to != nil {
		n.after(func() { to.receive(id, payload) })
	}
}

// client is the other end of a session.
type client struct {
	n       *network
	id      uint64
	session *stream.Session
	running sync.WaitGroup
	cancel  context.CancelFunc

	mu      sync.Mutex
	surbs   uint64                                // that were made
	keys    map[sphinx.MessageID]*sphinx.ReplyKey // of those that were not used
	deaf    bool                                  // whatever comes is lost
	mute    bool                                  // and whatever it sends
	replies int
}

// newClient begins a session.
func (n *network) newClient(id uint64) *client {
	config := stream.Config{
		Client:   true,
		Room:     streaming.MaxMessage(len(stream.Service)) - cell.HeaderSize,
		SURBSize: streaming.SURBSize(),
		Timeout:  5 * time.Second,
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &client{
		n: n, id: id, cancel: cancel,
		session: stream.New(config, id, time.Now()),
		keys:    make(map[sphinx.MessageID]*sphinx.ReplyKey),
	}
	n.mu.Lock()
	n.clients[c.name()] = c
	n.mu.Unlock()
	c.running.Go(func() { c.run(ctx) })
	return c
}

func (c *client) name() string { return string(binary.BigEndian.AppendUint64(nil, c.id)) }

// vanish makes the client do and hear nothing any more, without a word.
func (c *client) vanish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf, c.mute = true, true
}

// starve has none of what the exit sends arrive.
func (c *client) starve() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = true
}

// stop ends the client.
func (c *client) stop() {
	c.cancel()
	c.running.Wait()
	c.session.Fail(stream.ErrClosed)
}

func (c *client) run(ctx context.Context) {
	for {
		for {
			next, ok := c.session.Next(time.Now())
			if !ok {
				break
			}
			message := c.cell(next)
			c.mu.Lock()
			mute := c.mute
			c.mu.Unlock()
			if mute {
				continue
			}
			hand := func() { _ = c.n.handle(append([]byte(nil), message...)) } // an exit may have closed
			if twice := c.n.after(hand); twice {
				c.n.after(hand)
			}
		}
		var due <-chan time.Time
		if at := c.session.Deadline(); !at.IsZero() {
			due = time.After(time.Until(at))
		}
		select {
		case <-c.session.Wake():
		case <-due:
		case <-ctx.Done():
			return
		}
	}
}

// cell makes the message of what the session sends.
func (c *client) cell(next stream.Cell) []byte {
	made := cell.Cell{Stream: c.id, Sequence: next.Number, Data: next.Data}
	for range next.SURBs {
		made.SURBs = append(made.SURBs, c.surb())
	}
	message := made.Append(nil)
	assert.LessOrEqual(c.n.t, len(message), streaming.MaxMessage(len(stream.Service)))
	return message
}

func (c *client) surb() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.surbs++
	var id sphinx.MessageID
	binary.BigEndian.PutUint64(id[:], c.surbs)
	surb, key, err := streaming.NewSURB(nil, []sphinx.Hop{c.n.hop}, []byte(c.name()), id)
	assert.NoError(c.n.t, err)
	c.keys[id] = key
	encoded, err := surb.AppendBinary(nil)
	assert.NoError(c.n.t, err)
	return encoded
}

// receive takes a payload that came through the SURB of that number.
func (c *client) receive(id sphinx.MessageID, payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replies++
	if c.deaf {
		return
	}
	message, err := c.keys[id].Open(payload)
	if !assert.NoError(c.n.t, err) {
		return
	}
	delete(c.keys, id)
	got, err := cell.Parse(message, 0)
	assert.NoError(c.n.t, err)
	assert.Equal(c.n.t, c.id, got.Stream)
	_ = c.session.Receive(time.Now(), got) // which may have ended
}

// answered returns how many packets the exit has sent the client.
func (c *client) answered() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replies
}
