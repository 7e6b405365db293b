package system_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/sphinx"
)

// neighbour is a mix of the network that the test itself plays: the directory lists it, and it opens what nodes release
// to it. It takes every packet as often as it comes, and says how often that was.
type neighbour struct {
	t        *testing.T
	network  *network
	params   sphinx.Params
	identity ed25519.PrivateKey
	key      *sphinx.PrivateKey // of the epoch in which it began, which is the only one that it has in truth
	epoch    uint64
	opener   *sphinx.Unwrapper // guarded by mu

	mu    sync.Mutex
	came  map[string]int            // by message; guarded by mu
	total int                       // of them; guarded by mu
	alien int                       // packets that it could not open; guarded by mu
	open  int                       // connections to it; guarded by mu
	after map[int][]chan<- struct{} // to be closed at that total; guarded by mu
}

// everFresh takes every packet for a new one.
type everFresh struct{}

func (everFresh) Fresh(tags []sphinx.Tag, fresh []bool) error {
	for i := range tags {
		fresh[i] = true
	}
	return nil
}

// neighbourHost is where it listens, beside the nodes.
const neighbourHost = 5

// startNeighbour starts a neighbour and waits until the nodes know it. It ends with the test.
func (n *network) startNeighbour() *neighbour {
	n.t.Helper()
	view := n.view()
	b := &neighbour{
		t: n.t, network: n, params: view.Params, epoch: view.EpochAt(time.Now()),
		came: make(map[string]int), after: make(map[int][]chan<- struct{}),
	}
	var err error
	_, b.identity, err = ed25519.GenerateKey(nil)
	require.NoError(n.t, err)
	b.key, err = sphinx.GenerateKey(nil)
	require.NoError(n.t, err)
	b.opener, err = sphinx.NewUnwrapper(b.params, b.key, everFresh{})
	require.NoError(n.t, err)
	address := fmt.Sprintf("%s:%d", n.host(neighbourHost), n.port)
	listener, err := net.Listen("tcp", address)
	require.NoError(n.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		cfg := link.Config{Key: b.identity, FrameSize: b.params.PacketSize()}
		if err := link.Serve(ctx, &watchedListener{listener, b}, cfg, b.receive); err != nil {
			n.t.Error(err)
		}
	})
	n.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	signed, err := directory.SignDescriptor(b.identity, directory.Descriptor{
		Address: address,
		Keys:    []directory.EpochKey{{Epoch: b.epoch, Key: b.key.Public()}},
		Network: view.Hash(),
		Version: uint64(time.Now().UnixMilli()),
		Expires: time.Now().Add(time.Hour),
	})
	require.NoError(n.t, err)
	require.NoError(n.t, n.client().Register(n.t.Context(), signed))
	n.settle(len(n.nodes) + 1)
	return b
}

// receive opens what comes over one link.
func (b *neighbour) receive(_ context.Context, conn *link.Conn) {
	packet := make([]byte, b.params.PacketSize())
	for {
		kind, _, err := conn.ReadFrame(packet)
		if err != nil {
			return
		}
		b.take(kind, packet)
	}
}

func (b *neighbour) take(kind link.Kind, packet []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	layer, err := b.opener.Unwrap(packet)
	if kind != link.Packet || err != nil || layer.Route != sphinx.Exit {
		b.alien++
		return
	}
	b.came[string(layer.Message)]++
	b.total++
	for _, reached := range b.after[b.total] {
		close(reached)
	}
}

// reached returns a channel that is closed when that many more packets have come.
func (b *neighbour) reached(more int) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	reached := make(chan struct{})
	if more == 0 {
		close(reached)
	} else {
		b.after[b.total+more] = append(b.after[b.total+more], reached)
	}
	return reached
}

// times returns how often a message has come.
func (b *neighbour) times(message string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.came[message]
}

// seen returns how many packets have come in all.
func (b *neighbour) seen() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total
}

// quiet reports whether nobody is connected, so that nothing more can come.
func (b *neighbour) quiet() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open == 0
}

func (b *neighbour) count(connections int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open += connections
}

// watchedListener counts the connections of a neighbour from their first moment on.
type watchedListener struct {
	net.Listener
	of *neighbour
}

func (l *watchedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.of.count(1)
	return &watchedConn{Conn: conn, of: l.of}, nil
}

type watchedConn struct {
	net.Conn
	of   *neighbour
	once sync.Once
}

func (c *watchedConn) Close() error {
	c.once.Do(func() { c.of.count(-1) })
	return c.Conn.Close()
}
