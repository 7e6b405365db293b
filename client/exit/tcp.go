package exit

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"time"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/client/stream"
	"sphinxmix.example/sphinx"
)

// Config is what a TCP service needs. A zero field means its documented default.
type Config struct {
	Params sphinx.Params // of the network; required

	Policy   Policy // where it connects to
	Resolver string // the IP address and port of the DNS server that is asked; the system's servers if empty

	// Sites are host names that the exit serves itself, whatever the port, each by a function that gets the stream as conn,
	// which has CloseWrite and is closed when the function returns. ctx ends with the session, as conn does. The policy has no
	// say in them.
	Sites map[string]func(ctx context.Context, conn net.Conn)

	MaxSessions          int   // 1024 if zero
	MaxStreams           int   // of all sessions; 4096 if zero. One session has at most as many as are left
	MaxStreamsPerSession int   // 256 if zero
	Memory               int64 // bytes that all sessions and streams may take; 256 MiB if zero

	DialTimeout time.Duration // for the name and the connection together; 20 s if zero
	IdleTimeout time.Duration // of a stream that carries nothing in either direction; 1 h if zero

	Log *slog.Logger // discards if nil
}

func (c Config) withDefaults() (Config, error) {
	for _, field := range []struct {
		name  string
		value int64
	}{
		{"MaxSessions", int64(c.MaxSessions)},
		{"MaxStreams", int64(c.MaxStreams)},
		{"MaxStreamsPerSession", int64(c.MaxStreamsPerSession)},
		{"Memory", c.Memory},
		{"DialTimeout", int64(c.DialTimeout)},
		{"IdleTimeout", int64(c.IdleTimeout)},
	} {
		if field.value < 0 {
			return c, fmt.Errorf("exit: Config.%s is negative", field.name)
		}
	}
	if err := c.Params.Validate(); err != nil {
		return c, err
	}
	if room := roomOf(c.Params); room < stream.MinRoom {
		return c, fmt.Errorf("exit: a payload of %d bytes leaves streams %d in each packet, must leave %d", c.Params.PayloadSize, room, stream.MinRoom)
	}
	c.MaxSessions = cmp.Or(c.MaxSessions, 1024)
	c.MaxStreams = cmp.Or(c.MaxStreams, 4096)
	c.MaxStreamsPerSession = cmp.Or(c.MaxStreamsPerSession, 256)
	c.Memory = cmp.Or(c.Memory, 256<<20)
	c.DialTimeout = cmp.Or(c.DialTimeout, 20*time.Second)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, time.Hour)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// roomOf returns how many bytes of data there are in a cell that goes through a SURB.
func roomOf(p sphinx.Params) int { return p.MaxReply() - cell.HeaderSize }

// TCP connects the streams of clients with hosts on the Internet. It is the handler of a node for [stream.Service]. Make it
// with NewTCP and Close it.
//
// What one client does costs others nothing but their share of the machine. There are limits on sessions, streams and
// memory, one session never gets more than half of what the others leave of the streams, and when memory is short the
// session goes that does least with what it holds. Names, addresses and content are neither logged nor counted.
type TCP struct {
	cfg       Config
	room      int // bytes of data in a cell
	dialer    *dialer
	sites     map[string]func(ctx context.Context, conn net.Conn)
	counts    counters
	turns     chan *reply // what a session makes packets with while it has it: as many as there are cores
	strangers chan *reply // one, for those who have no session: they need not wait for a turn, and take none

	closing context.Context // ends with Close
	close   context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	closed   bool                // guarded by mu, as all that follows
	sessions map[uint64]*session // by the id that their clients have drawn
	ended    tombstones          // of those that are no more
	streams  int                 // of all sessions, those being dialled too
	memory   int64               // that all sessions hold
	said     map[string]time.Time
}

var (
	errClosed = errors.New("exit: closed")
	errEnded  = errors.New("exit: the session has ended")
)

// NewTCP returns a TCP service that has no session yet.
func NewTCP(cfg Config) (*TCP, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	t := &TCP{
		cfg:       cfg,
		room:      roomOf(cfg.Params),
		sites:     make(map[string]func(ctx context.Context, conn net.Conn)),
		sessions:  make(map[uint64]*session),
		said:      make(map[string]time.Time),
		turns:     make(chan *reply, runtime.GOMAXPROCS(0)),
		strangers: make(chan *reply, 1),
	}
	for _, replies := range []chan *reply{t.turns, t.strangers} {
		for range cap(replies) {
			replies <- &reply{params: cfg.Params}
		}
	}
	if t.dialer, err = newDialer(cfg.Policy, cfg.Resolver); err != nil {
		return nil, err
	}
	for host, site := range cfg.Sites {
		name, ok := canonicalName(host)
		if !ok || site == nil {
			return nil, fmt.Errorf("exit: Config.Sites has %q, must have a domain name and what serves it", host)
		}
		t.sites[name] = site
	}
	t.closing, t.close = context.WithCancel(context.Background())
	return t, nil
}

// Close ends all sessions and their streams, which reset their connections, and returns when every goroutine has ended.
func (t *TCP) Close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.close()
	t.running.Wait()
}

// Handle takes one cell of a session. It sends nothing itself: the session's goroutine does, through the send of the cell
// that came last, until ctx ends or the session. An error says that the cell changed nothing, and why. Handle is safe for
// concurrent use.
func (t *TCP) Handle(ctx context.Context, message []byte, send func(first sphinx.Address, packet []byte)) error {
	c, err := cell.Parse(message, t.cfg.Params.SURBSize())
	if err != nil {
		return err
	}
	now := time.Now()
	s, err := t.session(ctx, &c, now, send)
	switch {
	case err == errFull:
		return t.refuse(&c, now, send)
	case err == errUnknown:
		t.disown(&c, send)
		return nil
	case err != nil || s == nil:
		return err
	}
	s.send.Store(&send)
	if err := s.stream.Receive(now, c); errors.Is(err, stream.ErrMalformed) {
		return err
	}
	t.account(s, now)
	return nil
}

// newStream returns the exit's end of a session.
func (t *TCP) newStream(id uint64, now time.Time) *stream.Session {
	var first [4]byte
	rand.Read(first[:])
	return stream.New(stream.Config{
		First:      binary.BigEndian.Uint32(first[:]) >> 1,
		Room:       t.room,
		SURBSize:   t.cfg.Params.SURBSize(),
		MaxStreams: t.cfg.MaxStreamsPerSession,
	}, id, now)
}

// refuse tells a client that there is no room for its session, by refusing the streams that this cell opens. A cell that
// opens none is as good as lost.
func (t *TCP) refuse(c *cell.Cell, now time.Time, send func(first sphinx.Address, packet []byte)) error {
	s := t.newStream(c.Stream, now)
	if err := s.Receive(now, *c); err != nil {
		return err
	}
	none, cancel := context.WithCancel(context.Background())
	cancel()
	refused := false
	for {
		conn, err := s.Accept(none)
		if err != nil {
			break
		}
		t.counts.refuse(stream.Overloaded)
		conn.Reset(stream.Overloaded)
	}
	reply := <-t.strangers
	defer func() { t.strangers <- reply }()
	for {
		next, ok := s.Next(now)
		if !ok {
			break
		}
		reply.send(next.SURB, cell.Cell{Stream: c.Stream, Sequence: next.Number, Data: next.Data}, send)
		refused = true
	}
	if refused { // the rest of the client's first cells must not begin what it believes to have been refused
		t.mu.Lock()
		defer t.mu.Unlock()
		t.ended.add(c.Stream, byRefusal, now)
	}
	return nil
}

// disown tells a client that its session is not known here, if its cell has a SURB.
func (t *TCP) disown(c *cell.Cell, send func(first sphinx.Address, packet []byte)) {
	if len(c.SURBs) > 0 {
		reply := <-t.strangers
		defer func() { t.strangers <- reply }()
		reply.send(c.SURBs[0], cell.Cell{Stream: c.Stream, Data: stream.Goodbye()}, send)
	}
}

// reply makes packets of cells. Its buffers are used again and again.
type reply struct {
	params          sphinx.Params
	message, packet []byte
}

// send sends a cell through a SURB. One that cannot be used, which only its maker can be to blame for, is as good as lost.
func (r *reply) send(surb []byte, c cell.Cell, send func(first sphinx.Address, packet []byte)) {
	parsed, err := r.params.ParseSURB(surb)
	if err != nil {
		return
	}
	r.message = c.Append(r.message[:0])
	first, packet, err := parsed.Use(r.packet[:0], r.message)
	if err != nil {
		return
	}
	r.packet = packet
	send(first, packet)
}

// sayEvery is how often the log says the same at most.
const sayEvery = 10 * time.Minute

// say logs that a limit was reached. It is called with mu held.
func (t *TCP) say(what string, now time.Time) {
	if last, before := t.said[what]; before && now.Sub(last) < sayEvery {
		return
	}
	t.said[what] = now
	t.cfg.Log.Warn("exit: " + what)
}
