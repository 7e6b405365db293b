package link

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// How long Serve waits after a failure to accept that may pass, such as a lack
// of file descriptors: doubled at each failure in a row, from shortest to longest.
const (
	shortestWait = 5 * time.Millisecond
	longestWait  = time.Second
)

// warnEvery is how often the log is told that connections cannot be accepted, at most: where descriptors are few, every
// second one may fail.
const warnEvery = time.Minute

// Serve accepts connections from ln until ctx ends, makes each into a link, and
// calls handle for it in a goroutine of its own. The Conn is closed when handle
// returns; when ctx ends, so does the context that handle got, and all Conns are
// closed. Serve closes ln and returns when every handler has returned: nil if ctx
// ended, else what was wrong with cfg or with ln.
func Serve(ctx context.Context, ln net.Listener, cfg Config, handle func(ctx context.Context, c *Conn)) error {
	s, err := newServer(cfg, handle)
	if err != nil {
		ln.Close()
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		<-ctx.Done()
		ln.Close()
		s.closeAll()
	})
	err = s.accept(ctx, ln, &running)
	cancel()
	running.Wait()
	return err
}

type server struct {
	cfg    Config
	tls    *tls.Config
	handle func(context.Context, *Conn)

	mu          sync.Mutex          // guards what follows, and guest.linked
	closed      bool                // nobody is admitted any more
	guests      map[*guest]struct{} // everybody whose connection is open
	strangers   int                 // how many of them are through their handshake and not known
	perHost     map[string]int      // and how many of these share a host
	known       map[string][]*guest // those that are known, by their key, oldest first
	handshaking []*guest            // those that are not, oldest first
}

// A guest is a connection that the server has admitted.
type guest struct {
	stream *stream
	host   string
	linked bool   // counted in server.strangers and server.perHost
	key    string // under which it is in server.known; empty for a stranger
}

func newServer(cfg Config, handle func(context.Context, *Conn)) (*server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	conf, err := serverTLS(cfg)
	if err != nil {
		return nil, err
	}
	return &server{
		cfg:     cfg,
		tls:     conf,
		handle:  handle,
		guests:  make(map[*guest]struct{}),
		perHost: make(map[string]int),
		known:   make(map[string][]*guest),
	}, nil
}

// accept starts a goroutine in running for each connection until ctx ends (nil)
// or ln is beyond recovery (why).
func (s *server) accept(ctx context.Context, ln net.Listener, running *sync.WaitGroup) error {
	var wait time.Duration
	var warned time.Time
	for {
		conn, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case err == nil:
			wait = 0
		case !temporary(err):
			return fmt.Errorf("link: accept: %w", err)
		default:
			if time.Since(warned) >= warnEvery {
				s.cfg.Log.Warn("some connections cannot be accepted", "error", withoutAddress(err))
				warned = time.Now()
			}
			wait = min(max(2*wait, shortestWait), longestWait)
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
			continue
		}
		g, refusal := s.admit(conn)
		if g == nil {
			conn.Close()
			s.cfg.Log.Debug("connection refused", "reason", refusal)
			continue
		}
		running.Go(func() { s.welcome(ctx, g) })
	}
}

// welcome sees one connection through from its handshake to its end.
func (s *server) welcome(ctx context.Context, g *guest) {
	defer s.leave(g)
	conn, err := handshake(ctx, g.stream, s.cfg, s.tls, tls.Server, func(ed25519.PublicKey) error { return nil })
	if err != nil {
		s.cfg.Log.Debug("handshake failed", "error", err)
		return
	}
	if refusal := s.settle(g, conn.Peer()); refusal != "" {
		s.cfg.Log.Debug("connection refused", "reason", refusal)
		return
	}
	s.handle(ctx, conn)
}

// maxKnownConns is how many links one known key may have. A further one takes the place of the oldest, which may be one
// that has died without a word.
const maxKnownConns = 2

// What admit and settle say of those whom they refuse.
const (
	refusedClosing = "closing"
	refusedTotal   = "too many connections"
	refusedAddress = "too many connections from one address"
)

// admit lets conn into its handshake, or returns the reason not to.
func (s *server) admit(conn net.Conn) (g *guest, refusal string) {
	g = &guest{stream: newStream(conn, s.cfg), host: host(conn.RemoteAddr())}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, refusedClosing
	}
	s.handshaking = append(s.handshaking, g)
	if len(s.handshaking) > s.cfg.MaxHandshakes {
		i := s.oldestOfMost()
		s.handshaking[i].stream.Close()
		s.handshaking = slices.Delete(s.handshaking, i, i+1)
	}
	s.guests[g] = struct{}{}
	return g, ""
}

// oldestOfMost returns the index of the oldest handshake of the host that has most of them. The caller holds s.mu.
func (s *server) oldestOfMost() int {
	count, most := make(map[string]int), 0
	for _, g := range s.handshaking {
		count[g.host]++
		most = max(most, count[g.host])
	}
	return slices.IndexFunc(s.handshaking, func(g *guest) bool { return count[g.host] == most })
}

// settle counts g, whose handshake with the holder of peer is over, among the links, or returns the reason not to.
func (s *server) settle(g *guest, peer ed25519.PublicKey) (refusal string) {
	known := peer != nil && s.cfg.Known != nil && s.cfg.Known(peer)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endHandshake(g)
	switch {
	case s.closed:
		return refusedClosing
	case known:
		g.key = string(peer)
		s.known[g.key] = append(s.known[g.key], g)
		if links := s.known[g.key]; len(links) > maxKnownConns {
			links[0].stream.Close()
			s.known[g.key] = slices.Delete(links, 0, 1)
		}
		return ""
	case s.strangers >= s.cfg.MaxConns:
		return refusedTotal
	case s.perHost[g.host] >= s.cfg.MaxConnsPerAddress:
		return refusedAddress
	}
	s.strangers++
	s.perHost[g.host]++
	g.linked = true
	return ""
}

// leave closes g's connection and forgets g.
func (s *server) leave(g *guest) {
	g.stream.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endHandshake(g)
	delete(s.guests, g)
	switch {
	case g.linked:
		s.strangers--
		if s.perHost[g.host]--; s.perHost[g.host] == 0 {
			delete(s.perHost, g.host)
		}
	case g.key != "":
		s.known[g.key] = slices.DeleteFunc(s.known[g.key], func(other *guest) bool { return other == g })
		if len(s.known[g.key]) == 0 {
			delete(s.known, g.key)
		}
	}
}

// endHandshake takes g off the list of those in their handshake, if it is still
// on it. The caller holds s.mu.
func (s *server) endHandshake(g *guest) {
	if i := slices.Index(s.handshaking, g); i >= 0 {
		s.handshaking = slices.Delete(s.handshaking, i, i+1)
	}
}

// closeAll closes all connections and lets nobody in after that.
func (s *server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for g := range s.guests {
		g.stream.Close()
	}
}

// temporary tells whether a failure to accept may pass, by the same sign that
// net/http goes by.
func temporary(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && t.Temporary()
}
