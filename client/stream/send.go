package stream

import (
	"math"
	"slices"
	"time"
)

// Cell is what a session has to send: a cell of this number and these data, with so many fresh SURBs from a client, or
// through this SURB from an exit.
type Cell struct {
	Number uint32
	Data   []byte   // the caller's
	SURBs  int      // to be put in, of those that are good now; 0 from an exit
	SURB   []byte   // nil from a client
	Opens  []string // targets of the streams that the cell opens, for whoever wants to follow one
}

// reserve is how many SURBs an exit keeps for what must not wait for more of them.
const reserve = 2

// Next returns what is to be sent at the time now, and whether there is anything. Call it until there is nothing, then
// again after Wake or when Deadline has come.
func (s *Session) Next(now time.Time) (Cell, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.pass(now)
	}
	if s.next == math.MaxUint32 {
		s.fail(errNumbers)
	}
	if s.err != nil {
		return s.last()
	}
	if !s.cfg.Client && len(s.stock) == 0 {
		return Cell{}, false
	}
	roomy := s.loaded < s.pace.window
	for len(s.ready) > 0 && !s.ready[0].out.sendable() {
		s.ready[0].queued = false
		s.ready = s.ready[1:]
	}
	if !roomy && len(s.ready) > 0 {
		s.pace.open.limited = true
	}
	data := len(s.ready) > 0 && roomy && (s.cfg.Client || len(s.stock) > reserve)
	surbs := s.need(now)
	probe := s.probing() && !now.Before(s.probeAt)
	if probe {
		surbs = max(surbs, leastStock/4)
	}
	ack := s.unacked >= ackCells || s.unacked > 0 && !now.Before(s.ackBy)
	if !data && surbs == 0 && !ack && (len(s.control) == 0 || s.loaded >= 2*mostWindow) {
		return Cell{}, false
	}
	return s.fill(now, surbs, data), true
}

// last is the cell that tells the other end that the session has ended, once.
func (s *Session) last() (Cell, bool) {
	if !s.closes || !s.cfg.Client {
		return Cell{}, false
	}
	s.closes = false
	return Cell{Number: s.next, Data: Goodbye()}, true
}

// pass does what time brings: cells are lost, streams linger for too long, a silent exit is given up.
func (s *Session) pass(now time.Time) {
	s.expire(now)
	if s.lingering > 0 {
		for _, c := range s.streams {
			if !c.lingers.IsZero() && !now.Before(c.lingers) {
				s.reset(c, Aborted)
			}
		}
	}
	if s.cfg.Client && len(s.streams) > 0 && now.Sub(s.heard) >= s.cfg.Patience {
		s.fail(errPatience)
	}
}

// credit has the other end told how far it may send.
func (s *Session) credit(c *Conn) {
	if !c.in.crediting {
		c.in.crediting = true
		s.control = append(s.control, control{kind: frameCredit, stream: c.id})
	}
}

// need returns how many SURBs a client has to send, 0 where there is no hurry.
func (s *Session) need(now time.Time) int {
	if !s.cfg.Client || len(s.streams) == 0 {
		return 0
	}
	target, have := s.supply.target(now, s.trips.round()), s.reported+s.flying
	need := min(target-have, s.supply.left(target))
	if need <= 0 || have >= target/2 && need < s.mostSURBs(s.cfg.Room-headSize-ackSize-generationSize) {
		return 0
	}
	return need
}

// probing reports whether a client waits for an exit, that may have no SURB.
func (s *Session) probing() bool { return s.cfg.Client && len(s.streams) > 0 }

// longestProbe is the time between two probes at most.
const longestProbe = 30 * time.Second

// fill makes a cell of all that waits and fits, with at most so many SURBs.
func (s *Session) fill(now time.Time, surbs int, data bool) Cell {
	made := Cell{Number: s.next}
	r := record{at: now}
	h := head{least: s.least()}
	if !s.greeted {
		h.flags |= flagHello
		h.timeout = s.trips.first
	}
	if len(s.seen) > 0 {
		h.flags |= flagAck
		room := s.cfg.Room - headSize - ackSize - generationSize - helloSize
		h.ack = s.makeAck(min(room/2, room-max(openSize+MaxTarget, s.cfg.SURBSize)))
		s.unacked = 0
	}
	room := s.cfg.Room - h.size()
	var opens int
	if s.cfg.Client {
		opens = s.roomForOpens(room)
		surbs = min(surbs, s.mostSURBs(room-opens-generationSize))
	}
	if surbs > 0 {
		h.flags |= flagSURBs
		h.generation = s.generation
		room -= generationSize + surbs*s.cfg.SURBSize
		made.SURBs, r.surbs = surbs, surbs
		s.supply.sent += surbs
		s.probed(now)
	}
	b := h.append(make([]byte, 0, s.cfg.Room-surbs*s.cfg.SURBSize))
	b, room = s.fillControl(b, room, &r, &made)
	if data {
		b = s.fillData(b, room, &r)
	}
	made.Data = b
	if len(r.frames) > 0 || surbs > 0 {
		r.state, r.round = waiting, s.pace.sent()
		s.flight++
		s.flying += surbs
		if len(r.frames) > 0 {
			s.loaded++
		}
	}
	s.sent = append(s.sent, r)
	if len(s.sent) > numbers {
		s.drop()
	}
	s.next++
	if !s.cfg.Client {
		made.SURB, s.stock[0] = s.stock[0], nil
		s.stock = s.stock[1:]
	}
	return made
}

func (s *Session) probed(now time.Time) {
	s.probes++
	s.probeAt = now.Add(min(2*s.trips.timeout()<<min(s.probes, 10), longestProbe))
}

// least is the lowest number whose fate matters.
func (s *Session) least() uint32 { return s.next - uint32(len(s.sent)) }

// makeAck says which cells have come, in at most so many bytes of bits.
func (s *Session) makeAck(most int) ack {
	top := s.seen[len(s.seen)-1]
	a := ack{largest: uint32(top.to - 1), generation: s.generation, stock: uint16(len(s.stock))}
	if !s.cfg.Client {
		a.stock-- // the SURB that this cell goes with
	}
	a.run = uint16(top.to - 1 - top.from)
	// The rest, highest first: bit i is for the number top.from−1−i.
	if len(s.seen) < 2 {
		return a
	}
	a.bits = make([]byte, min(int(top.from-s.seen[0].from+7)/8, most))
	for _, span := range slices.Backward(s.seen[:len(s.seen)-1]) {
		for n := span.to; n > span.from; n-- {
			i := int(top.from - n)
			if i >= 8*len(a.bits) {
				return a
			}
			a.bits[i/8] |= 0x80 >> (i % 8)
		}
	}
	return a
}

// roomForOpens is how much of a cell the OPEN frames take that wait, as far as they fit.
func (s *Session) roomForOpens(room int) (size int) {
	for _, f := range s.control {
		if c := s.streams[f.stream]; f.kind == frameOpen && c != nil && size+openSize+len(c.target) <= room {
			size += openSize + len(c.target)
		}
	}
	return size
}

// fillControl appends the frames of s.control that fit.
func (s *Session) fillControl(b []byte, room int, r *record, made *Cell) ([]byte, int) {
	waiting := s.control[:0]
	for _, next := range s.control {
		f := frame{kind: next.kind, stream: next.stream, code: next.code}
		c := s.streams[next.stream]
		if c == nil && next.kind != frameReset {
			continue
		}
		size := frameSize
		switch next.kind {
		case frameOpen:
			f.bytes = []byte(c.target)
			size = openSize + len(f.bytes)
		case frameReset:
			size = resetSize
		case frameCredit:
			f.offset = c.in.granted
			size = creditSize
		}
		if size > room || len(r.frames) >= mostFrames {
			waiting = append(waiting, next)
			continue
		}
		if next.kind == frameOpen {
			made.Opens = append(made.Opens, c.target)
		}
		if next.kind == frameCredit {
			c.in.crediting = false
		}
		b = f.append(b)
		room -= size
		r.frames = append(r.frames, sent{control: next})
	}
	s.control = waiting
	return b, room
}

// mostFrames is how many frames go in one cell: they are kept until it is acknowledged.
const mostFrames = 64

// leastData is how many bytes of data are worth a frame, unless there are no more.
const leastData = 64

// fillData appends data of the streams that have some, one after the other.
func (s *Session) fillData(b []byte, room int, r *record) []byte {
	for len(s.ready) > 0 && room >= dataSize+leastData && len(r.frames) < mostFrames {
		c := s.ready[0]
		s.ready = s.ready[1:]
		c.queued = false
		from, to, end, ok := c.out.next(room - dataSize)
		if !ok {
			continue
		}
		kind := byte(frameData)
		if end {
			kind = frameEnd
		}
		at := len(b) + dataSize
		f := frame{kind: kind, stream: c.id, offset: from, bytes: b[at : at+int(to-from)]} // where append puts them
		c.out.buf.get(from, f.bytes)
		b = f.append(b)
		room -= dataSize + int(to-from)
		r.frames = append(r.frames, sent{control{kind: kind, stream: c.id}, from, to})
		s.queue(c)
	}
	return b
}

// queue lets a stream send if it has something.
func (s *Session) queue(c *Conn) {
	if !c.queued && c.out.sendable() {
		c.queued = true
		s.ready = append(s.ready, c)
	}
}

// Deadline returns when Next is to be called although nothing has happened; zero if never.
func (s *Session) Deadline() (next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return time.Time{}
	}
	by := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for ; s.front < len(s.sent) && s.sent[s.front].state != waiting; s.front++ {
	}
	if s.front < len(s.sent) {
		by(s.sent[s.front].at.Add(s.trips.timeout()))
	}
	if s.unacked > 0 && (s.cfg.Client || len(s.stock) > 0) {
		by(s.ackBy)
	}
	if s.probing() {
		by(s.probeAt)
		by(s.heard.Add(s.cfg.Patience))
		if s.supply.sent >= leastStock {
			by(s.supply.since.Add(s.supply.period(s.trips.round()))) // more may go from then on
		}
	}
	if s.lingering > 0 {
		for _, c := range s.streams {
			if !c.lingers.IsZero() {
				by(c.lingers)
			}
		}
	}
	return next
}
