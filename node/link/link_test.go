package link_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/link"
)

const frameSize = 1248

// identity is the key that goes with a name.
func identity(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(name string) ed25519.PublicKey {
	return identity(name).Public().(ed25519.PublicKey)
}

// config is that of the party called name, of an anonymous one if name is "".
func config(name string) link.Config {
	cfg := link.Config{FrameSize: frameSize}
	if name != "" {
		cfg.Key = identity(name)
	}
	return cfg
}

// body is the content of the n-th frame.
func body(n int) []byte {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(n))
	b := make([]byte, frameSize)
	_, _ = rand.NewChaCha8(seed).Read(b)
	return b
}

// A network is what the tests dial through: memory in virtual time, or loopback.
type network struct {
	net.Listener
	dial    func(t testing.TB, from string) net.Conn // from is an IPv4 address of 127.0.0.0/8
	virtual bool                                     // time is
}

// settle lets everything happen that happens without time passing, where that
// can be told.
func (n network) settle() {
	if n.virtual {
		synctest.Wait()
	}
}

// overBoth runs one test over both kinds of network.
func overBoth(t *testing.T, test func(t *testing.T, n network)) {
	t.Run("network=memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, memory()) })
	})
	t.Run("network=tcp", func(t *testing.T) { test(t, loopback(t)) })
}

func loopback(t testing.TB) network {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	return network{Listener: ln, dial: func(t testing.TB, from string) net.Conn {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		conn, err := dialer.DialContext(t.Context(), "tcp", ln.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		return conn
	}}
}

func memory() network {
	ln := &pipes{waiting: make(chan net.Conn), closed: make(chan struct{})}
	return network{Listener: ln, virtual: true, dial: func(t testing.TB, from string) net.Conn {
		return ln.dial(t, from+":1")
	}}
}

// pipes is a listener for connections in memory.
type pipes struct {
	waiting chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

type address string

func (address) Network() string  { return "memory" }
func (a address) String() string { return string(a) }

// A pipe is an end of a net.Pipe that says where the other end is.
type pipe struct {
	net.Conn
	remote address
}

func (p pipe) RemoteAddr() net.Addr { return p.remote }

func (p *pipes) dial(t testing.TB, from string) net.Conn {
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close() })
	select {
	case p.waiting <- pipe{far, address(from)}:
	case <-p.closed:
		require.Fail(t, "nobody listens")
	}
	return near
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.waiting:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Addr() net.Addr { return address("pipes") }

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// serve runs Serve until the test ends or stop is called, which returns when
// Serve has and asserts that nothing was amiss.
func serve(t testing.TB, ln net.Listener, cfg link.Config, handle func(context.Context, *link.Conn)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	var done sync.WaitGroup
	done.Go(func() { err = link.Serve(ctx, ln, cfg, handle) })
	stop = func() {
		cancel()
		done.Wait()
		require.NoError(t, err)
	}
	t.Cleanup(stop)
	return stop
}

// accepted runs Serve with a handler that passes its Conn on and keeps it until
// its context ends.
func accepted(t testing.TB, ln net.Listener, cfg link.Config) <-chan *link.Conn {
	conns := make(chan *link.Conn, 64)
	serve(t, ln, cfg, func(ctx context.Context, c *link.Conn) {
		conns <- c
		<-ctx.Done()
	})
	return conns
}

// accept takes one connection and says nothing on it.
func accept(t testing.TB, ln net.Listener) {
	var done sync.WaitGroup
	done.Go(func() {
		conn, err := ln.Accept()
		if err == nil {
			t.Cleanup(func() { conn.Close() })
		}
	})
	t.Cleanup(done.Wait)
}

// dial makes a link to the server called "mix".
func dial(t testing.TB, conn net.Conn, cfg link.Config) *link.Conn {
	c, err := link.Dial(t.Context(), conn, public("mix"), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// pair makes a link between a dialer with near and a server with far.
func pair(t testing.TB, n network, near, far link.Config) (dialed, served *link.Conn) {
	conns := accepted(t, n, far)
	dialed = dial(t, n.dial(t, "127.0.0.1"), near)
	return dialed, <-conns
}

// requireFrame reads a frame and compares all of it.
func requireFrame(t testing.TB, c *link.Conn, kind link.Kind, arg byte, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	gotKind, gotArg, err := c.ReadFrame(got)
	require.NoError(t, err)
	require.Equal(t, kind, gotKind)
	require.Equal(t, arg, gotArg)
	require.Equal(t, want, got)
}

// requireSend writes a frame and flushes it.
func requireSend(t testing.TB, c *link.Conn, kind link.Kind, arg byte, body []byte) {
	t.Helper()
	require.NoError(t, c.WriteFrame(kind, arg, body))
	require.NoError(t, c.Flush())
}
