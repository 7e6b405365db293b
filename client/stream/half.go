package stream

import (
	"slices"
	"time"
)

// How many bytes a stream may send before they are read: at first, and at most; what all streams of a session may have
// beyond the first is lent from one sum.
const (
	firstCredit = 128 << 10
	mostCredit  = 8 << 20
	mostLent    = 16 << 20
)

// How many bytes each stream may hold to be sent, however many others have, and all streams together at most.
const (
	leastHeld = 16 << 10
	mostHeld  = 8 << 20
)

// outgoing is the half of a stream that sends.
type outgoing struct {
	buf   buffer // what was written and not yet acknowledged
	todo  ranges // of that, what is to be sent
	acked ranges // of that, what was acknowledged
	limit uint64 // the other end takes bytes below

	ended    bool // nothing more will be written
	endTodo  bool // to be sent
	endAcked bool
}

// sendable reports whether there is anything to send now.
func (o *outgoing) sendable() bool {
	if len(o.todo) > 0 {
		return o.todo[0].from < o.limit
	}
	return o.endTodo
}

// next takes out what to send next: up to so many bytes, and whether the stream ends with them.
func (o *outgoing) next(most int) (from, to uint64, end, ok bool) {
	if !o.sendable() {
		return 0, 0, false, false
	}
	from, to = o.buf.to, o.buf.to
	if len(o.todo) > 0 {
		from = o.todo[0].from
		to = min(o.todo[0].to, o.limit, from+uint64(most))
		o.todo.remove(from, to)
	}
	if end = o.endTodo && to == o.buf.to; end {
		o.endTodo = false
	}
	return from, to, end, true
}

// incoming is the half of a stream that receives.
type incoming struct {
	buf buffer // what has come and was not read
	got ranges // which of that
	end uint64 // where the stream ends, if ended

	ended     bool
	size      uint64 // how far the other end may send beyond what was read
	granted   uint64 // as the other end was told, or is going to be
	crediting bool   // it is going to be
	judged    uint64 // where the size was last found to be right
	judgedAt  time.Time
}

// ready is how many bytes can be read.
func (in *incoming) ready() int { return int(in.got.until(in.buf.from) - in.buf.from) }

// finished reports whether everything has come.
func (in *incoming) finished() bool { return in.ended && in.got.until(in.buf.from) >= in.end }

// delivered takes note that bytes have arrived. It is called with the session's mu held, as all that follows.
func (c *Conn) delivered(from, to uint64, end bool, now time.Time) {
	o := &c.out
	before := o.buf.from
	o.todo.remove(from, to)
	o.acked.add(from, to)
	o.buf.drop(o.acked.until(o.buf.from))
	o.acked.remove(0, o.buf.from)
	if o.buf.from > before {
		c.session.release(int(o.buf.from - before))
		c.linger(now)
	}
	if end {
		o.endAcked, o.endTodo = true, false
	}
	c.finish()
}

// undelivered has bytes sent again that were lost.
func (c *Conn) undelivered(from, to uint64, end bool) {
	o := &c.out
	o.todo.add(max(from, o.buf.from), to)
	for _, s := range o.acked {
		o.todo.remove(s.from, s.to)
	}
	o.endTodo = o.endTodo || end && !o.endAcked
	c.session.queue(c)
}

// credited takes note of how far the other end takes bytes.
func (c *Conn) credited(limit uint64, now time.Time) {
	if limit <= c.out.limit {
		return
	}
	c.out.limit = limit
	c.linger(now)
	notify(c.writable)
}

// linger lets a stream that was closed take more time, as it gets on.
func (c *Conn) linger(now time.Time) {
	if !c.closed || c.removed {
		return
	}
	if c.lingers.IsZero() {
		c.session.lingering++
	}
	c.lingers = now.Add(max(lingering, 8*c.session.trips.timeout()))
}

// arrived takes bytes. It returns false where the other end may not have sent them.
func (c *Conn) arrived(f *frame, now time.Time) bool {
	in := &c.in
	if in.judgedAt.IsZero() {
		in.judgedAt = now
	}
	from, to := f.offset, f.offset+uint64(len(f.bytes))
	if to < from || to > in.granted || in.ended && to > in.end {
		return false
	}
	if f.kind == frameEnd {
		if in.ended && to != in.end || to < in.buf.to {
			return false
		}
		in.ended, in.end = true, to
	}
	if c.closed {
		if to > in.buf.from && len(f.bytes) > 0 {
			c.session.reset(c, Aborted) // nobody reads them
		} else {
			c.finish()
		}
		return true
	}
	if from < in.buf.from {
		f.bytes = f.bytes[min(in.buf.from-from, uint64(len(f.bytes))):]
		from = in.buf.from
	}
	if len(f.bytes) > 0 {
		in.buf.put(from, f.bytes)
		in.got.add(from, to)
	}
	if in.ready() > 0 || in.finished() {
		notify(c.readable)
	}
	c.finish()
	return true
}

// read takes bytes out, and grants the other end more.
func (c *Conn) read(p []byte, now time.Time) int {
	in := &c.in
	n := min(len(p), in.ready())
	in.buf.get(in.buf.from, p[:n])
	in.buf.drop(in.buf.from + uint64(n))
	in.got.remove(0, in.buf.from)
	if in.buf.from == in.buf.to {
		in.got = in.got[:0]
	}
	if in.ended {
		c.finish()
		return n
	}
	if c.removed || in.granted-in.buf.from > in.size-in.size/4 {
		return n
	}
	s := c.session
	c.judge(now)
	in.granted = in.buf.from + in.size
	s.credit(c)
	s.signal()
	return n
}

// judge doubles what the other end may send, where half of it is read within three round trips: it could go faster. What is
// slowest or was lost keeps all that came after it waiting, so one round trip would not do.
func (c *Conn) judge(now time.Time) {
	in, s := &c.in, c.session
	if in.buf.from-in.judged < in.size/2 {
		return
	}
	if now.Sub(in.judgedAt) < 3*s.trips.round() && in.size < mostCredit && s.lent+int(in.size) <= mostLent {
		s.lent += int(in.size)
		in.size *= 2
	}
	in.judged, in.judgedAt = in.buf.from, now
}

// room is how many bytes a stream may take to send them later. They are none that the other end does not take yet, or a
// stream that nobody reads would fill what is for all of them.
func (s *Session) room(c *Conn) int {
	room := max(min(4*s.pace.window*s.cfg.Room, mostHeld)-s.held, leastHeld-c.out.buf.length(), 0)
	return int(min(uint64(room), c.out.limit-c.out.buf.to))
}

// release takes note of bytes that need not be held any more, and lets those write who wait for room.
func (s *Session) release(n int) {
	s.held -= n
	if n == 0 || len(s.blocked) == 0 {
		return
	}
	for _, c := range s.blocked {
		notify(c.writable)
	}
	s.blocked = s.blocked[:0]
}

// finish removes a stream of which nothing more is to be sent, received or read.
func (c *Conn) finish() {
	if c.out.endAcked && c.out.buf.length() == 0 && c.in.finished() && (c.closed || c.in.buf.from >= c.in.end) {
		c.session.remove(c)
	}
}

// remove forgets a stream.
func (s *Session) remove(c *Conn) {
	if c.removed {
		return
	}
	c.removed = true
	delete(s.streams, c.id)
	s.lent -= int(c.in.size - firstCredit)
	s.release(c.out.buf.length())
	c.out = outgoing{ended: true, endAcked: c.out.endAcked}
	if !c.lingers.IsZero() {
		s.lingering--
	}
	for _, list := range []*[]*Conn{&s.blocked, &s.ready, &s.accepted} {
		*list = slices.DeleteFunc(*list, func(other *Conn) bool { return other == c })
	}
	s.signal()
}

// end removes a stream because of an error, which its calls return from then on.
func (s *Session) end(c *Conn, err error) {
	s.remove(c)
	c.fail(err)
}

// reset ends a stream and has the other end told why.
func (s *Session) reset(c *Conn, code Code) {
	if c.removed {
		return
	}
	s.control = append(s.control, control{kind: frameReset, stream: c.id, code: code})
	s.end(c, code.Err())
}
