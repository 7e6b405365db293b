package exit_test

import (
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// connection is one end of a TCP connection in memory, with what net.TCPConn has and the exit uses.
type connection struct {
	in, out *flow
	linger  bool
}

// flow is one direction.
type flow struct {
	mu      sync.Mutex
	changed sync.Cond
	bytes   []byte
	ended   bool  // by its sender
	err     error // of a reset
	unread  bool  // its reader has gone
}

const flowSize = 64 << 10

func newFlow() *flow {
	f := new(flow)
	f.changed.L = &f.mu
	return f
}

func newConnection() (near, far *connection) {
	a, b := newFlow(), newFlow()
	return &connection{in: a, out: b}, &connection{in: b, out: a}
}

func (c *connection) Read(p []byte) (int, error) {
	f := c.in
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.bytes) == 0 && !f.ended && f.err == nil && !f.unread {
		f.changed.Wait()
	}
	switch {
	case f.unread:
		return 0, net.ErrClosed
	case f.err != nil:
		return 0, f.err
	case len(f.bytes) == 0:
		return 0, io.EOF
	}
	n := copy(p, f.bytes)
	f.bytes = f.bytes[n:]
	f.changed.Broadcast()
	return n, nil
}

func (c *connection) Write(p []byte) (written int, err error) {
	f := c.out
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(p) > 0 {
		for len(f.bytes) >= flowSize && !f.ended && f.err == nil && !f.unread {
			f.changed.Wait()
		}
		switch {
		case f.ended:
			return written, net.ErrClosed
		case f.err != nil:
			return written, f.err
		case f.unread:
			return written, syscall.EPIPE
		}
		n := min(len(p), flowSize-len(f.bytes))
		f.bytes = append(f.bytes, p[:n]...)
		p, written = p[n:], written+n
		f.changed.Broadcast()
	}
	return written, nil
}

func (f *flow) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	f.changed.Broadcast()
}

func (c *connection) CloseWrite() error {
	c.out.set(func() { c.out.ended = true })
	return nil
}

func (c *connection) SetLinger(seconds int) error {
	c.out.set(func() { c.linger = seconds == 0 })
	return nil
}

func (c *connection) Close() error {
	c.out.set(func() {
		c.out.ended = true
		if c.linger {
			c.out.err, c.out.bytes = syscall.ECONNRESET, nil
		}
	})
	c.in.set(func() { c.in.unread = true })
	return nil
}

func (c *connection) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *connection) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *connection) SetDeadline(time.Time) error      { return nil }
func (c *connection) SetReadDeadline(time.Time) error  { return nil }
func (c *connection) SetWriteDeadline(time.Time) error { return nil }

// echo sends back what comes, and its end.
func echo(conn net.Conn) {
	_, _ = io.Copy(conn, conn)
	_ = conn.Close()
}

// discard reads until the end, says "read" and closes.
func discard(conn net.Conn) {
	if _, err := io.Copy(io.Discard, conn); err == nil {
		_, _ = io.WriteString(conn, "read")
	}
	_ = conn.Close()
}

// endless sends for as long as anybody takes it.
func endless(conn net.Conn) {
	chunk := make([]byte, 4096)
	for {
		if _, err := conn.Write(chunk); err != nil {
			return
		}
	}
}

// deaf takes nothing and says nothing, until the connection is reset.
func deaf(conn net.Conn) {
	c := conn.(*connection)
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	for !c.in.ended && c.in.err == nil {
		c.in.changed.Wait()
	}
}

func TestConnectionsInMemoryAreLikeTCP(t *testing.T) {
	near, far := newConnection()
	_, err := near.Write([]byte("hello"))
	require.NoError(t, err)
	require.NoError(t, near.CloseWrite())
	got, err := io.ReadAll(far)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
	_, err = far.Write([]byte("still open"))
	require.NoError(t, err)
	require.NoError(t, far.SetLinger(0))
	require.NoError(t, far.Close())
	_, err = near.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
}
