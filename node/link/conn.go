package link

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// A Conn is one end of a link. One goroutine may read frames while another
// writes them; Peer, Host and Close may be called by any. Any error of ReadFrame,
// WriteFrame or Flush is final for that direction, except where the caller's
// buffer had the wrong length: all that is left to do is to Close.
type Conn struct {
	stream *stream
	peer   ed25519.PublicKey
	host   string

	readTimeout time.Duration
	reader      frameReader  // owned by the reading goroutine
	writer      *frameWriter // owned by the writing goroutine
}

// Dial makes conn, a stream that leads to a server, into a link with the holder
// of the key peer. It owns conn from then on and closes it if it fails. The error
// wraps [ErrIdentity] if the server shows another key, and ctx's error or
// [context.DeadlineExceeded] if the handshake takes too long; ctx has no effect
// after Dial has returned.
//
// A server that refuses the dialer does so after the dialer's part of the
// handshake is done (TLS 1.3 sends the client's certificate last), so that a
// refusal shows at the first read.
func Dial(ctx context.Context, conn net.Conn, peer ed25519.PublicKey, cfg Config) (*Conn, error) {
	cfg, err := cfg.withDefaults()
	if err == nil && len(peer) != ed25519.PublicKeySize {
		err = fmt.Errorf("link: peer key of %d bytes, want %d", len(peer), ed25519.PublicKeySize)
	}
	var conf *tls.Config
	if err == nil {
		conf, err = dialerTLS(cfg)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return handshake(ctx, newStream(conn, cfg), cfg, conf, tls.Client, func(key ed25519.PublicKey) error {
		if !peer.Equal(key) {
			return ErrIdentity
		}
		return nil
	})
}

// handshake secures s as the end that role makes it, tls.Client or tls.Server,
// with a peer that passes check. It closes s if it fails.
func handshake(ctx context.Context, s *stream, cfg Config, conf *tls.Config, role func(net.Conn, *tls.Config) *tls.Conn, check func(ed25519.PublicKey) error) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.HandshakeTimeout)
	defer cancel()
	var peer ed25519.PublicKey
	conf = conf.Clone()
	conf.VerifyConnection = func(state tls.ConnectionState) (err error) {
		if peer, err = peerKey(state); err == nil {
			err = check(peer)
		}
		s.refused = err != nil
		return err
	}
	secure := role(s, conf)
	if err := secure.HandshakeContext(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("link: handshake: %w", withoutAddress(err))
	}
	return &Conn{
		stream:      s,
		peer:        peer,
		host:        host(s.RemoteAddr()),
		readTimeout: cfg.ReadTimeout,
		reader:      frameReader{from: secure, size: cfg.FrameSize},
		writer:      newFrameWriter(secure, cfg.FrameSize),
	}, nil
}

// Peer returns the key that the peer has proven to hold, which must not be
// modified, or nil if it is anonymous.
func (c *Conn) Peer() ed25519.PublicKey { return c.peer }

// Host returns where the peer is, to tell anonymous peers apart: its address
// without the port for IPv4, the /64 that it is in for IPv6 (one host commands a
// whole /64), and the whole of an address that is neither.
func (c *Conn) Host() string { return c.host }

// ReadFrame waits for a frame that is not padding and reads its body into body,
// which must be of FrameSize bytes and holds nothing of use after an error. It
// allocates nothing itself; crypto/tls allocates 24 bytes each time that it goes
// to the network, which is at most twice per TLS record and mostly once. The
// error is [io.EOF] if the link ended between two frames, [io.ErrUnexpectedEOF]
// if it ended within one, [os.ErrDeadlineExceeded] if no whole frame came within
// ReadTimeout, and [net.ErrClosed] after Close.
func (c *Conn) ReadFrame(body []byte) (kind Kind, arg byte, err error) {
	for {
		c.stream.readBy = time.Now().Add(c.readTimeout)
		kind, arg, err := c.reader.read(body)
		if err != nil {
			return 0, 0, c.failure(err)
		}
		if kind != Padding {
			return kind, arg, nil
		}
	}
}

// WriteFrame writes a frame, body being of FrameSize bytes and free for reuse
// when it returns. Frames collect in a buffer until they fill a TLS record, so
// that one who drains a queue calls [Conn.Flush] when it is empty and not before.
// It allocates nothing. Errors may show only when frames are sent, be it here or
// in Flush: [os.ErrDeadlineExceeded] if the peer did not take them within
// WriteTimeout, and [net.ErrClosed] after Close.
func (c *Conn) WriteFrame(kind Kind, arg byte, body []byte) error {
	return c.failure(c.writer.write(kind, arg, body))
}

// Flush sends the frames that WriteFrame has collected. Its errors are those of
// WriteFrame.
func (c *Conn) Flush() error {
	return c.failure(c.writer.flush())
}

// Close ends the link at once and makes calls of ReadFrame, WriteFrame and Flush
// that are waiting return. It sends nothing, not even frames that wait for a
// Flush, and does not see to it that the peer has received what was flushed.
func (c *Conn) Close() error {
	return withoutAddress(c.stream.Close())
}

// failure turns an error of the layers below into one for the caller.
func (c *Conn) failure(err error) error {
	if err != nil && c.stream.closed.Load() {
		return net.ErrClosed
	}
	return withoutAddress(err)
}

// withoutAddress drops the addresses that package net adds to an error, as they
// would find their way into logs.
func withoutAddress(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Source != nil || op.Addr != nil) {
		return op.Err
	}
	return err
}

// A stream is the connection beneath TLS. Deadlines are set here and not above,
// because TLS reads only when it has nothing left of an earlier record, and
// writes on its own too: alerts, and answers to key updates.
type stream struct {
	net.Conn
	writeTimeout time.Duration
	readBy       time.Time // deadline of reads, none if zero; owned by the reading goroutine
	refused      bool      // the peer, in its handshake: owned by the goroutine of that
	closed       atomic.Bool
}

var errRefused = errors.New("peer refused")

func newStream(conn net.Conn, cfg Config) *stream {
	return &stream{Conn: conn, writeTimeout: cfg.WriteTimeout}
}

func (s *stream) Read(p []byte) (int, error) {
	// An end of a net.Pipe takes no deadline when the other is closed, which to a
	// reader is the end of the stream and not an error.
	_ = s.SetReadDeadline(s.readBy)
	return s.Conn.Read(p)
}

func (s *stream) Write(p []byte) (int, error) {
	if s.refused {
		// An alert might have to wait for a peer that has not yet written all of
		// its own part, and no longer matters.
		return 0, errRefused
	}
	if err := s.SetWriteDeadline(time.Now().Add(s.writeTimeout)); err != nil {
		return 0, err
	}
	return s.Conn.Write(p)
}

func (s *stream) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	return s.Conn.Close()
}

// host is what [Conn.Host] says of addr.
func host(addr net.Addr) string {
	text := addr.String()
	parsed, err := netip.ParseAddrPort(text)
	if err != nil {
		return text
	}
	ip := parsed.Addr().Unmap()
	if ip.Is4() {
		return ip.String()
	}
	return netip.PrefixFrom(ip.WithZone(""), 64).Masked().String()
}
