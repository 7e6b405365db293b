package socks5_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/socks5"
)

// longEnough is how long tests over TCP wait for what has to come; no machine takes that long.
const longEnough = 2 * time.Minute

// memory is a listener whose connections are pipes.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func inMemory() *memory {
	m := &memory{conns: make(chan net.Conn), closed: make(chan struct{})}
	m.close = sync.OnceFunc(func() { close(m.closed) })
	return m
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case conn := <-m.conns:
		return conn, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error {
	m.close()
	return nil
}

func (m *memory) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "pipe"} }

// program connects to the proxy.
func (m *memory) program(t testing.TB) net.Conn {
	here, there := net.Pipe()
	t.Cleanup(func() { here.Close() })
	m.conns <- there
	return here
}

// onLoopback returns a listener of TCP, and how programs connect to it.
func onLoopback(t testing.TB) (net.Listener, func() *net.TCPConn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return ln, func() *net.TCPConn {
		conn, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		// A test that would hang fails instead.
		require.NoError(t, conn.SetDeadline(time.Now().Add(longEnough)))
		return conn.(*net.TCPConn)
	}
}

// serve runs s until the test is over, or stop is called, which returns when Serve has. Over TCP no handshake is late.
func serve(t testing.TB, s *socks5.Server, ln net.Listener) (stop func()) {
	if _, real := ln.(*net.TCPListener); real {
		s.HandshakeTimeout = longEnough
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return stop
}

// A call is one of Dial.
type call struct{ isolation, address string }

// dials is a Dial that fails with err, and knows what it was asked for.
type dials struct {
	err error

	mu    sync.Mutex
	calls []call
}

func (d *dials) dial(_ context.Context, isolation, address string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, call{isolation, address})
	return nil, d.err
}

// taken returns the calls since it was asked the last time.
func (d *dials) taken() []call {
	d.mu.Lock()
	defer d.mu.Unlock()
	calls := d.calls
	d.calls = nil
	return calls
}

var errNotDialled = errors.New("nothing is dialled here")

// say sends bytes and returns all that comes back until the proxy closes.
func say(t testing.TB, program net.Conn, sent []byte) []byte {
	var writing sync.WaitGroup
	writing.Go(func() { _, _ = program.Write(sent) }) // a pipe whose other end has closed takes no more
	got, err := io.ReadAll(program)
	require.NoError(t, err)
	program.Close()
	writing.Wait()
	return got
}

// expect reads what has to come next.
func expect(t testing.TB, conn net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(conn, got)
	require.NoError(t, err, "after %q", got[:n])
	require.Equal(t, want, string(got))
}

func write(t testing.TB, conn net.Conn, b string) {
	t.Helper()
	_, err := conn.Write([]byte(b))
	require.NoError(t, err)
}

// Parts of SOCKS5 conversations.
const (
	noLogin      = "\x05\x01\x00"
	noLoginTaken = "\x05\x00"
	loginWanted  = "\x05\x02"
	loginTaken   = "\x01\x00"
	granted      = "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	connected    = "HTTP/1.1 200 Connection established\r\n\r\n"
)

// refused is the reply of SOCKS5 with a code.
func refused(code byte) string { return string([]byte{5, code, 0, 1, 0, 0, 0, 0, 0, 0}) }

// login is a greeting with credentials, which are sent at once.
func login(user, password string) string {
	return string(slices.Concat([]byte{5, 2, 0, 2, 1, byte(len(user))}, []byte(user), []byte{byte(len(password))}, []byte(password)))
}

// toName is a request of SOCKS5 for a connection to a name.
func toName(name string, port uint16) string {
	return string(slices.Concat([]byte{5, 1, 0, 3, byte(len(name))}, []byte(name), []byte{byte(port >> 8), byte(port)}))
}

// toHTTP is a CONNECT, with credentials unless user is empty.
func toHTTP(target, user, password string) string {
	head := "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n"
	if user != "" {
		head += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)) + "\r\n"
	}
	return head + "\r\n"
}
