package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"sphinxmix.example/client/cell"
)

// Config is what the two ends of a session know beforehand.
type Config struct {
	Client   bool // else the exit
	Room     int  // bytes of SURBs and data in a cell that this end sends; at least MinRoom
	SURBSize int  // in bytes

	// First is the number of this end's first cell: 0 at a client. An exit draws it below 1<<31 for each session. As clients
	// acknowledge it in all cells after their first, cells that were held back until the session was over and forgotten do
	// nothing in another one of the same id, which the first of them would begin.
	First uint32
	// Timeout is how long a round trip takes at most, as far as a client knows beforehand; the exit takes the client's word.
	Timeout time.Duration
	// Patience is how long a client with streams waits for any word of the exit before it gives the session up; 2 min if 0.
	Patience time.Duration
	// MaxStreams is how many streams there may be at a time; 256 if 0.
	MaxStreams int
}

// MinRoom is the least that Config.Room may be, beside one SURB at a client: an OPEN with the longest target fits.
const MinRoom = headSize + ackSize + generationSize + helloSize + openSize + MaxTarget

// Errors of sessions and their streams.
var (
	ErrClosed   = errors.New("stream: session closed")
	ErrProtocol = errors.New("stream: the other end broke the protocol")
	ErrFull     = errors.New("stream: session has as many streams as it may")
	ErrUnknown  = fmt.Errorf("stream: the exit does not know this session any more: %w", syscall.ECONNRESET)
	errNumbers  = fmt.Errorf("stream: the session has used up its numbers: %w", syscall.ECONNRESET)
	errPatience = fmt.Errorf("stream: the exit does not answer: %w", syscall.ETIMEDOUT)
)

// Session is one end of a session. It is safe for concurrent use.
type Session struct {
	id  uint64
	cfg Config

	wake     chan struct{} // holds one when Next may have something to send
	done     chan struct{} // closed with the session
	incoming chan struct{} // holds one when accepted is not empty

	// All that follows is guarded by mu.
	mu     sync.Mutex
	err    error // why it has ended
	closes bool  // the other end is still to be told that it has

	// Of sending.
	next    uint32   // number of the next cell
	sent    []record // the last cells before it, in their order
	front   int      // of those, none before this one waits for its acknowledgement
	flight  int      // those that wait for their acknowledgement
	loaded  int      // those of them with frames; the window is for these
	trips   trips
	pace    pace
	control []control // frames to send, other than data
	ready   []*Conn   // those that have data to send
	blocked []*Conn   // whose writers wait for room
	held    int       // bytes in all streams that are not acknowledged

	lingering int  // streams that were closed and have more to send
	greeted   bool // a client has heard from the exit

	// Of receiving.
	seen    ranges // numbers of cells that came, from floor on
	floor   uint64 // numbers below are of no interest
	unacked int    // cells that came since the last acknowledgement, and want one
	ackBy   time.Time
	heard   time.Time // when the last cell came
	lent    int       // bytes that streams may have beyond their first credit
	frames  []frame   // of the cell that is read; only for its memory

	streams  map[uint32]*Conn
	ids      ranges  // of all streams that ever were
	accepted []*Conn // by an exit, and not yet taken

	// Of SURBs.
	stock      [][]byte  // an exit's
	generation uint32    // of the stock, or what a client sends
	supply     supply    // what follows is a client's
	reported   int       // the exit's stock as it last said
	reporter   uint32    // the number of the cell that said so
	flying     int       // SURBs in cells that wait for their acknowledgement
	probes     int       // that were sent since a cell with frames came
	probeAt    time.Time // the next
}

// New returns a session of that id.
func New(cfg Config, id uint64, now time.Time) *Session {
	if cfg.Patience == 0 {
		cfg.Patience = 2 * time.Minute
	}
	if cfg.MaxStreams == 0 {
		cfg.MaxStreams = 256
	}
	return &Session{
		id: id, cfg: cfg,
		wake:     make(chan struct{}, 1),
		done:     make(chan struct{}),
		incoming: make(chan struct{}, 1),
		next:     cfg.First,
		trips:    trips{first: cfg.Timeout},
		pace:     newPace(),
		heard:    now,
		streams:  make(map[uint32]*Conn),
		supply:   supply{since: now},
		greeted:  !cfg.Client,
		probeAt:  now.Add(cfg.Timeout),
	}
}

// ID returns the session's id, which is known to its two ends alone.
func (s *Session) ID() uint64 { return s.id }

// Wake returns a channel that holds one whenever Next may have something new to send.
func (s *Session) Wake() <-chan struct{} { return s.wake }

// Done returns a channel that is closed when the session has ended. Next may still have a last cell then.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns why the session has ended; nil while it has not.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Streams returns how many streams there are.
func (s *Session) Streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams)
}

// Greeted reports whether a client has heard anything from its exit yet.
func (s *Session) Greeted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.greeted
}

// Heard returns when the last cell came.
func (s *Session) Heard() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard
}

// Held returns how many bytes the session holds for its streams, and in SURBs.
func (s *Session) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := len(s.stock) * s.cfg.SURBSize
	for _, c := range s.streams {
		held += c.out.buf.size() + c.in.buf.size()
	}
	return held
}

// Renew has a client send SURBs of a new generation. Those of older ones may be used until the first of the new arrives.
func (s *Session) Renew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
	s.reported, s.flying, s.supply.sent = 0, 0, 0
	for i := range s.sent {
		s.sent[i].surbs = 0
	}
	s.signal()
}

// Fail ends the session and all its streams, whose calls return err. The other end is told, with the last cell that Next
// returns.
func (s *Session) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closes = s.closes || s.err == nil
	s.fail(err)
}

// fail ends the session. It is called with mu held.
func (s *Session) fail(err error) {
	if s.err != nil {
		return
	}
	s.err = err
	for _, c := range s.streams {
		c.fail(err)
	}
	clear(s.streams)
	s.ready, s.blocked, s.control, s.sent, s.stock, s.accepted = nil, nil, nil, nil, nil, s.accepted[:0]
	close(s.done)
	s.signal()
}

func (s *Session) signal() { notify(s.wake) }

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Dial opens a stream to a target, of 1 to MaxTarget bytes, and returns it once the exit is connected. The error wraps
// one of [Code.Err], the session's, ErrFull or ctx's.
func (s *Session) Dial(ctx context.Context, target string) (*Conn, error) {
	if target == "" || len(target) > MaxTarget {
		return nil, fmt.Errorf("stream: a target of %d bytes, not 1 to %d", len(target), MaxTarget)
	}
	s.mu.Lock()
	if s.err != nil {
		defer s.mu.Unlock()
		return nil, s.err
	}
	if len(s.streams) >= s.cfg.MaxStreams || len(s.control) >= mostControl {
		s.mu.Unlock()
		return nil, ErrFull
	}
	c := s.add(uint32(s.ids.until(0)))
	c.target = target
	s.control = append(s.control, control{kind: frameOpen, stream: c.id})
	s.probes, s.probeAt = 0, time.Now().Add(2*s.trips.timeout())
	if len(s.streams) == 1 {
		s.heard = time.Now() // patience begins with the first stream
	}
	s.signal()
	s.mu.Unlock()
	select {
	case <-c.opened:
	case <-ctx.Done():
		c.Reset(Aborted)
		return nil, context.Cause(ctx)
	}
	if err := c.failure(); err != nil {
		return nil, err
	}
	return c, nil
}

// Accept waits for a stream of the client. It returns the session's error when that has ended, or ctx's.
func (s *Session) Accept(ctx context.Context) (*Conn, error) {
	for {
		s.mu.Lock()
		err := s.err
		if err == nil && len(s.accepted) > 0 {
			c := s.accepted[0]
			s.accepted = s.accepted[1:]
			s.mu.Unlock()
			return c, nil
		}
		s.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-s.incoming:
		case <-s.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// add makes a stream. It is called with mu held.
func (s *Session) add(id uint32) *Conn {
	c := newConn(s, id)
	s.streams[id] = c
	s.ids.add(uint64(id), uint64(id)+1)
	return c
}

// Goodbye returns the data of a cell that tells the other end of a session that there is none.
func Goodbye() []byte {
	h := head{flags: flagClose}
	return h.append(nil)
}

// mostSURBs is how many SURBs fit beside the rest of a cell.
func (s *Session) mostSURBs(room int) int { return min(room/s.cfg.SURBSize, cell.MaxSURBs) }
