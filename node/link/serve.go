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
	links       map[bool]int        // how many of them are through their handshake, by whether they are known
	perParty    map[string]int      // and how many of these share a host, or a known key
	handshaking []*guest            // those that are not, oldest first
}

// A guest is a connection that the server has admitted.
type guest struct {
	stream *stream
	host   string
	linked bool // counted in server.links and server.perParty, as follows
	known  bool
	party  string
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
		cfg:      cfg,
		tls:      conf,
		handle:   handle,
		guests:   make(map[*guest]struct{}),
		links:    make(map[bool]int),
		perParty: make(map[string]int),
	}, nil
}

// accept starts a goroutine in running for each connection until ctx ends (nil)
// or ln is beyond recovery (why).
func (s *server) accept(ctx context.Context, ln net.Listener, running *sync.WaitGroup) error {
	var wait time.Duration
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
			wait = min(max(2*wait, shortestWait), longestWait)
			s.cfg.Log.Warn("cannot accept connections for now", "error", withoutAddress(err), "wait", wait)
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
	g.party = "host " + g.host
	if g.known = peer != nil && s.cfg.Known != nil && s.cfg.Known(peer); g.known {
		g.party = "key " + string(peer)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endHandshake(g)
	switch {
	case s.closed:
		return refusedClosing
	case s.links[g.known] >= s.cfg.MaxConns:
		return refusedTotal
	case s.perParty[g.party] >= s.cfg.MaxConnsPerAddress:
		return refusedAddress
	}
	s.links[g.known]++
	s.perParty[g.party]++
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
	if !g.linked {
		return
	}
	s.links[g.known]--
	if s.perParty[g.party]--; s.perParty[g.party] == 0 {
		delete(s.perParty, g.party)
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
