package exit

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"sphinxmix.example/client/stream"
)

// copySize is the size of the buffer in bytes through which one direction of a stream goes.
const copySize = 8 << 10

// drainTime is how long a client may go on sending to a host that takes no more, so that what the host has said before
// still reaches the client, which a reset would overtake.
const drainTime = time.Minute

// accept connects the streams that a client opens, until its session ends.
func (t *TCP) accept(ctx context.Context, s *session) {
	for {
		conn, err := s.stream.Accept(ctx)
		if err != nil {
			return
		}
		if !t.enter(s) {
			t.counts.refuse(stream.Overloaded)
			conn.Reset(stream.Overloaded)
			continue
		}
		t.running.Go(func() {
			defer t.leave(s)
			t.connect(ctx, s, conn)
		})
	}
}

// connect connects one stream with its target, and carries it until it ends.
func (t *TCP) connect(ctx context.Context, s *session, conn *stream.Conn) {
	to, err := parseTarget(conn.Target())
	site := t.sites[to.name]
	code := stream.NotAllowed
	var host net.Conn
	if err == nil && site == nil {
		dialling, cancel := context.WithTimeout(ctx, t.cfg.DialTimeout)
		host, code = t.dialer.dial(dialling, to)
		cancel()
	}
	if host == nil && site == nil {
		t.counts.refuse(code)
		conn.Reset(code)
		return
	}
	t.counts.opened.Add(1)
	conn.Open()
	c := &carrier{Conn: conn, exit: t, session: s, host: host}
	c.idle = time.AfterFunc(t.cfg.IdleTimeout, c.abort)
	defer c.idle.Stop()
	if site != nil {
		site(ctx, c)
		_ = c.Close() // it may have closed it
		return
	}
	c.relay()
}

// carrier is a stream that is connected. What goes through it is counted and keeps it alive.
type carrier struct {
	*stream.Conn
	exit    *TCP
	session *session
	host    net.Conn // nil for a site
	idle    *time.Timer
}

func (c *carrier) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.exit.counts.fromClients.Add(uint64(n))
	c.carried(n)
	return n, err
}

func (c *carrier) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.exit.counts.toClients.Add(uint64(n))
	c.carried(n)
	return n, err
}

func (c *carrier) carried(n int) {
	if n > 0 {
		c.session.moved.Add(int64(n))
		c.idle.Reset(c.exit.cfg.IdleTimeout)
	}
}

// abort resets both sides.
func (c *carrier) abort() {
	c.Reset(stream.Aborted)
	if c.host != nil {
		reset(c.host)
	}
}

// relay copies both ways until both have ended. The end of one direction and a reset are handed on.
func (c *carrier) relay() {
	up := &toHost{host: c.host, turn: make(chan struct{}, 1)}
	var down sync.WaitGroup
	down.Go(func() {
		if _, err := io.CopyBuffer(c, reader{c.host}, make([]byte, copySize)); err != nil || up.wasReset() {
			c.abort()
			return
		}
		_ = c.CloseWrite() // fails only where the stream was reset
	})
	_, err := io.CopyBuffer(up, c, make([]byte, copySize))
	switch {
	case up.err != nil:
		// The host takes no more. Whether it has reset the connection or has just had enough, the other direction shows.
		_ = c.SetReadDeadline(time.Now().Add(drainTime))
		if _, err := io.Copy(io.Discard, c); err != nil {
			c.abort()
		}
	case err != nil:
		c.abort()
	default:
		if half, ok := c.host.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite() // fails only where the connection was reset, which the other direction finds
		}
	}
	down.Wait()
	_ = c.host.Close()
	_ = c.Close()
}

// toHost writes to a host. A reset by the host is reported to whoever calls the system first, be it to read or to write,
// and after that reading finds an end where there was none (Linux, tcp_recvmsg). So who reads such an end has to ask
// whether it is true, or clients would take what they got of an answer for the whole.
type toHost struct {
	host net.Conn
	turn chan struct{} // holds one while a write is under way
	err  error         // of the last write; who holds turn may look, and who writes
}

func (w *toHost) Write(p []byte) (int, error) {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	n, err := w.host.Write(p)
	w.err = err
	return n, err
}

// resetTime is how long a write may take to return that a reset has ended. One that waits for the host takes longer.
const resetTime = time.Second

// wasReset reports whether a write has found that the host has reset the connection before it ended its direction.
func (w *toHost) wasReset() bool {
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
		return errors.Is(w.err, syscall.ECONNRESET) // after the host's end it is EPIPE
	case <-time.After(resetTime):
		return false
	}
}

// reset closes a connection so that the host sees a reset (RFC 9293 §3.10.7.4) and not an end.
func reset(host net.Conn) {
	if tcp, ok := host.(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = host.Close()
}

// reader hides that what it holds can copy by itself, with buffers of its own size.
type reader struct{ io.Reader }
