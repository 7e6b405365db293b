package exit

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/client/stream"
	"sphinxmix.example/sphinx"
)

// silence is how long a session lives that nothing is heard of. A client with streams is heard every minute, and one
// without them for a minute has no use for its session.
const silence = 5 * time.Minute

// What a session and a stream take of the exit's memory beside what they hold, in bytes: tables, stacks, copying buffers.
const (
	sessionCost = 32 << 10
	streamCost  = 16<<10 + 2*copySize
)

// session is one client's relation to this exit.
type session struct {
	stream *stream.Session
	cancel context.CancelFunc                                        // of its streams
	send   atomic.Pointer[func(first sphinx.Address, packet []byte)] // of the cell that came last
	moved  atomic.Int64                                              // bytes that its streams have carried

	// What follows is guarded by the mu of its TCP.
	over    bool
	heard   time.Time // when the last cell came
	streams int       // those being dialled too
	held    int64     // bytes of memory

	rate   float64   // bytes a second that its streams carried between the last two marks
	marked time.Time // when the last mark was made, or the session
	mark   int64     // moved, then
}

// ending is why a session ended.
type ending uint8

const (
	endedByClient ending = iota // it said so
	endedBroken                 // the client broke the protocol
	endedIdle                   // without a stream
	endedSilent                 // the client has vanished
	endedForPlace               // idle, when another one needed its place
	endedForMemory
	endedByClose // of the exit
	endings      // how many there are
)

var (
	errFull    = errors.New("exit: no room for another session")
	errUnknown = errors.New("exit: unknown session")
)

// session returns the session that a cell belongs to. If the cell begins one, the session has taken it already, and what
// is returned is nil.
func (t *TCP) session(ctx context.Context, c *cell.Cell, now time.Time, send func(first sphinx.Address, packet []byte)) (*session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, errClosed
	}
	if s := t.sessions[c.Stream]; s != nil {
		s.heard = now
		return s, nil
	}
	hello := stream.IsHello(c.Data)
	if parted, ended := t.ended.find(c.Stream, now); ended {
		if parted == byClient || parted == byRefusal && hello {
			return nil, nil // an answer would be of no use, or overtake the refusal
		}
		return nil, errUnknown
	}
	if !hello {
		return nil, errUnknown
	}
	s := &session{stream: t.newStream(c.Stream, now), heard: now, marked: now}
	if err := s.stream.Receive(now, *c); err != nil {
		return nil, err
	}
	if !t.makePlace(now) {
		return nil, errFull
	}
	s.send.Store(&send)
	t.sessions[c.Stream] = s
	ctx, s.cancel = context.WithCancel(ctx)
	stop := context.AfterFunc(t.closing, s.cancel)
	t.running.Go(func() {
		defer stop()
		t.serve(ctx, s)
	})
	t.running.Go(func() { t.accept(ctx, s) })
	return nil, nil
}

// makePlace reports whether there is room for another session, for which one without streams ends if need be, the one
// that has been quiet for longest. Its client loses nothing but the time of one round trip when it comes back. So whoever
// begins many sessions pushes out such as these; those with streams stay, and keep newcomers out rather than be cut off by
// them. It is called with mu held.
func (t *TCP) makePlace(now time.Time) bool {
	if len(t.sessions) < t.cfg.MaxSessions {
		return true
	}
	var quietest *session
	for _, s := range t.sessions {
		if s.streams == 0 && (quietest == nil || s.heard.Before(quietest.heard)) {
			quietest = s
		}
	}
	if quietest == nil {
		t.say("as many sessions as there may be, all with streams: new ones are refused", now)
		return false
	}
	t.remove(quietest, endedForPlace, now)
	return true
}

// serve sends what a session has to send, until it ends.
func (t *TCP) serve(ctx context.Context, s *session) {
	defer s.cancel()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		for ctx.Err() == nil && t.sendNext(s) {
		}
		now := time.Now()
		t.account(s, now)
		until, over := t.outlived(ctx, s, now)
		if over {
			return
		}
		if due := s.stream.Deadline(); !due.IsZero() && due.Before(until) {
			until = due
		}
		timer.Reset(max(until.Sub(now), time.Millisecond)) // never as fast as the machine can, whatever the client does
		select {
		case <-s.stream.Wake():
		case <-s.stream.Done():
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// sendNext sends one cell, if the session has one to send. As many sessions do so at a time as there are cores: they make
// packets, which is work, and those who relay the packets of others here are no more than that.
func (t *TCP) sendNext(s *session) bool {
	reply := <-t.turns
	defer func() { t.turns <- reply }()
	next, ok := s.stream.Next(time.Now())
	if ok {
		reply.send(next.SURB, cell.Cell{Stream: s.stream.ID(), Sequence: next.Number, Data: next.Data}, *s.send.Load())
	}
	return ok
}

// outlived removes a session whose time is over, or says until when it lives if nothing is heard of it.
func (t *TCP) outlived(ctx context.Context, s *session, now time.Time) (until time.Time, over bool) {
	err := s.stream.Err()
	t.mu.Lock()
	defer t.mu.Unlock()
	why := endedIdle
	if s.streams > 0 {
		why = endedSilent
	}
	until = s.heard.Add(silence)
	switch {
	case errors.Is(err, stream.ErrUnknown):
		why = endedByClient
	case err != nil:
		why = endedBroken
	case ctx.Err() != nil:
		why = endedByClose
	case now.Before(until):
		return until, false
	}
	t.remove(s, why, now)
	return time.Time{}, true
}

// remove ends a session, unless it has ended. It is called with mu held.
func (t *TCP) remove(s *session, why ending, now time.Time) {
	if s.over {
		return
	}
	s.over = true
	delete(t.sessions, s.stream.ID())
	how := byExit
	if why == endedByClient {
		how = byClient
	}
	t.ended.add(s.stream.ID(), how, now)
	t.memory -= s.held
	t.counts.ended[why].Add(1)
	s.stream.Fail(errEnded)
	s.cancel()
}

// account takes note of the memory that a session holds, and ends sessions where all of them hold too much.
func (t *TCP) account(s *session, now time.Time) {
	held := int64(s.stream.Held())
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.over {
		return
	}
	held += sessionCost + int64(s.streams)*streamCost
	t.memory += held - s.held
	s.held = held
	s.carries(now)
	for t.memory > t.cfg.Memory {
		t.say("sessions need more memory than there may be: those end that do least with it", now)
		t.remove(t.slowest(now), endedForMemory, now)
	}
}

// slowest returns the session whose memory would take longest to be used once, at the rate at which its streams carry
// bytes: first those that fill their buffers and let nothing move, and not one that carries much. It is called with mu
// held, and there is a session.
func (t *TCP) slowest(now time.Time) (slowest *session) {
	const slow = 16 << 10 // bytes a second that nobody is blamed for not reaching
	longest := math.Inf(-1)
	for _, s := range t.sessions {
		if turn := float64(s.held) / (s.carries(now) + slow); turn > longest {
			slowest, longest = s, turn
		}
	}
	return slowest
}

// markEvery is how long the rate of a session is measured for.
const markEvery = 5 * time.Second

// carries returns how many bytes a second the session's streams carry of late: those of the last measurement, or of the
// one under way where that has more already, or who becomes faster would be judged by how slow it was. None where it is
// younger than a measurement, so that newcomers go first. It is called with mu held.
func (s *session) carries(now time.Time) float64 {
	moved := s.moved.Load()
	if passed := now.Sub(s.marked); passed >= markEvery {
		s.rate = float64(moved-s.mark) / passed.Seconds()
		s.marked, s.mark = now, moved
	}
	if s.mark == 0 { // it is as young, or was idle for as long
		return 0
	}
	return max(s.rate, float64(moved-s.mark)/markEvery.Seconds())
}

// enter reports whether a session may have another stream, which it then has. One session gets no more than there are left
// for all, so that one that takes all that it can get leaves half, and a second one a quarter.
func (t *TCP) enter(s *session) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.streams >= t.cfg.MaxStreamsPerSession {
		return false
	}
	if s.streams >= t.cfg.MaxStreams-t.streams {
		t.say("nearly as many streams as there may be: sessions with many get no more", time.Now())
		return false
	}
	s.streams++
	t.streams++
	return true
}

func (t *TCP) leave(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.streams--
	t.streams--
}

// How many sessions that have ended are remembered, and for how long: late cells must not begin them anew.
const (
	maxTombstones = 1 << 14
	tombstoneLife = 2 * time.Minute
)

// parting is what the client of a session that has ended knows of that.
type parting uint8

const (
	byExit    parting = iota // nothing yet
	byRefusal                // that it never began: the answer is under way
	byClient                 // all
)

// tombstones are the sessions that have ended of late.
type tombstones struct {
	partings map[uint64]parting // by id
	order    []tombstone
}

type tombstone struct {
	id    uint64
	until time.Time
}

func (g *tombstones) add(id uint64, how parting, now time.Time) {
	g.forget(now)
	if len(g.order) == maxTombstones {
		g.drop()
	}
	if g.partings == nil {
		g.partings = make(map[uint64]parting)
	}
	g.partings[id] = how
	g.order = append(g.order, tombstone{id, now.Add(tombstoneLife)})
}

func (g *tombstones) find(id uint64, now time.Time) (how parting, ended bool) {
	g.forget(now)
	how, ended = g.partings[id]
	return how, ended
}

func (g *tombstones) forget(now time.Time) {
	for len(g.order) > 0 && !now.Before(g.order[0].until) {
		g.drop()
	}
}

func (g *tombstones) drop() {
	delete(g.partings, g.order[0].id)
	g.order = g.order[1:]
}
