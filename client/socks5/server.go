// Package socks5 is a proxy for the programs of one machine. It knows nothing of mixing: who has connections to give,
// gives them through [Server.Dial].
//
// One port speaks SOCKS5 (RFC 1928) and the CONNECT method of HTTP (RFC 9110, section 9.3.6); a connection's first byte
// tells which. Of SOCKS5 there is CONNECT, to IPv4 and IPv6 addresses and to names; BIND and UDP ASSOCIATE are refused.
// Names are handed on as they came: nothing is ever resolved here, so nothing can leak to the machine's resolver. Nobody
// is told that a connection is there before it is.
//
// User name and password (RFC 1929, or Proxy-Authorization: Basic) admit everybody. They keep apart what belongs to
// different pairs: see [Server.Dial]. A program that offers both is asked for them. Programs that send credentials of
// HTTP only when they are challenged are never challenged, so they are not kept apart; SOCKS5 does that better.
//
// A connection lasts until both ends have closed it, or one has and the other is silent for ten minutes. What ends in any
// other way is reset at both ends, so that nobody takes a part for the whole.
//
// Whoever reaches the port can use it. Listen on loopback.
package socks5

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Server is a proxy. Dial is required; a zero in any other field means its default. Nothing is to be changed while Serve
// runs. A Server may serve several listeners.
type Server struct {
	// Dial connects to address, "host:port", for a program. host is an IPv4 address, an IPv6 address in brackets, or a name
	// as the program gave it: 1 to 255 letters, digits, dots, hyphens and underscores. port is 1 to 65535.
	//
	// isolation is empty for a program without credentials, and else 64 hexadecimal digits, which two pairs of user and
	// password share only if they are equal: connections of different isolation must not be linkable to each other.
	//
	// ctx ends when Serve is to end or the program has gone; Dial has to return then. There is no other limit to its time
	// than the program's patience, unless Dial has one.
	//
	// Its error decides what the program is told: one that wraps syscall.ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT
	// (or context.DeadlineExceeded) or EACCES (somebody's policy forbids it) has an answer of its own, all others share one.
	// Over HTTP their text is shown to the program.
	//
	// If the Conn has CloseWrite, so that one direction can end before the other, it is used; if it has SetLinger, like
	// net.TCPConn, SetLinger(0) comes before the Close of a connection that did not end well.
	Dial func(ctx context.Context, isolation, address string) (net.Conn, error)

	// MaxConns is how many programs' connections may be open at once, for each Serve; those above it are closed when they
	// come, so that no program waits without knowing for what. Each takes up to 32 KiB of buffers. 1024 if zero.
	MaxConns int

	// HandshakeTimeout is how long a program may take to say what it wants, and how long to take the answer. 10 s if zero.
	HandshakeTimeout time.Duration

	// Log is told when connections cannot be accepted; never an address or who wants what. Nil discards it.
	Log *slog.Logger
}

// How long Serve waits after a failure to accept that may pass, such as a lack of file descriptors: doubled at each
// failure in a row, from shortest to longest.
const (
	shortestWait = 5 * time.Millisecond
	longestWait  = time.Second
)

// warnEvery is how often the log is told that connections cannot be accepted, at most: where descriptors are few, every
// second one may fail.
const warnEvery = time.Minute

// Serve accepts connections from listener until ctx ends, and sees each through to its end. When ctx ends it cuts those
// that are open; it closes listener, and returns when every connection has ended: nil if ctx ended, else what was wrong
// with s or with listener.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	defer listener.Close()
	p, err := newProxy(s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		<-ctx.Done()
		listener.Close()
	})
	err = p.accept(ctx, listener, &running)
	cancel()
	running.Wait()
	return err
}

// A proxy is one run of Serve.
type proxy struct {
	Server // with its defaults

	mu   sync.Mutex // guards what follows
	open int        // connections of programs
	full bool       // some were turned away, and there has been little room since
}

func newProxy(s *Server) (*proxy, error) {
	p := &proxy{Server: *s}
	switch {
	case p.Dial == nil:
		return nil, errors.New("socks5: Server.Dial is missing")
	case p.MaxConns < 0:
		return nil, fmt.Errorf("socks5: Server.MaxConns is %d", p.MaxConns)
	case p.HandshakeTimeout < 0:
		return nil, fmt.Errorf("socks5: Server.HandshakeTimeout is %v", p.HandshakeTimeout)
	}
	if p.MaxConns == 0 {
		p.MaxConns = 1024
	}
	if p.HandshakeTimeout == 0 {
		p.HandshakeTimeout = 10 * time.Second
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	return p, nil
}

// accept starts a goroutine in running for each connection until ctx ends (nil) or listener is beyond recovery (why).
func (p *proxy) accept(ctx context.Context, listener net.Listener, running *sync.WaitGroup) error {
	var wait time.Duration
	var warned time.Time
	for {
		conn, err := listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case err == nil:
			wait = 0
		case !temporary(err):
			return fmt.Errorf("socks5: accept: %w", err)
		default:
			if time.Since(warned) >= warnEvery {
				p.Log.Warn("some of the programs' connections cannot be accepted", "error", withoutAddress(err))
				warned = time.Now()
			}
			wait = min(max(2*wait, shortestWait), longestWait)
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
			continue
		}
		if !p.enter() {
			conn.Close()
			continue
		}
		running.Go(func() {
			defer p.leave()
			p.serve(ctx, conn)
		})
	}
}

// enter counts a connection, if there is room for it.
func (p *proxy) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open < p.MaxConns {
		p.open++
		return true
	}
	if !p.full {
		p.full = true
		p.Log.Warn("programs have too many connections: further ones are closed", "limit", p.MaxConns)
	}
	return false
}

func (p *proxy) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open--
	// Well before the limit, or the log would be told of every connection at the limit.
	if p.full && p.open <= p.MaxConns/2 {
		p.full = false
		p.Log.Info("there is room for programs' connections again", "limit", p.MaxConns)
	}
}

// readers are the buffers of connections, in both directions.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, bufferSize) }}

// bufferSize is how many bytes may be between the two ends of a connection, in each direction. It has room for what a
// program may send in a handshake.
const bufferSize = 16 << 10

func readerOf(conn net.Conn) *bufio.Reader {
	r := readers.Get().(*bufio.Reader)
	r.Reset(conn)
	return r
}

func release(r *bufio.Reader) {
	r.Reset(nil) // the pool keeps no connection alive
	readers.Put(r)
}

// serve sees one program's connection through from its first byte to its end.
func (p *proxy) serve(ctx context.Context, program net.Conn) {
	defer program.Close()
	stop := context.AfterFunc(ctx, func() { reset(program) })
	defer stop()
	from := readerOf(program)
	defer release(from)

	_ = program.SetDeadline(time.Now().Add(p.HandshakeTimeout))
	wanted, answer := handshake(from, program)
	if wanted == nil {
		p.dismiss(program, answer)
		return
	}
	_ = program.SetDeadline(time.Time{})
	far, err := p.dial(ctx, program, from, wanted)
	if err != nil {
		p.dismiss(program, wanted.refused(err))
		return
	}
	_ = program.SetWriteDeadline(time.Now().Add(p.HandshakeTimeout))
	if _, err := program.Write(wanted.granted); err != nil {
		reset(far)
		return
	}
	_ = program.SetWriteDeadline(time.Time{})
	join(ctx, program, far, from)
}

// temporary tells whether a failure to accept may pass, by the same sign that net/http goes by.
func temporary(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && t.Temporary()
}

// withoutAddress returns what went wrong, without where.
func withoutAddress(err error) error {
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		return operation.Err
	}
	return err
}
