package stream

import "time"

// record is one cell that was sent.
type record struct {
	at     time.Time
	state  state
	round  uint32
	surbs  int // of the generation that counts
	frames []sent
}

type state byte

const (
	settled state = iota // acknowledged, or nobody is to acknowledge it
	waiting
	lost
)

// sent is a frame as it is needed to send it again.
type sent struct {
	control
	from, to uint64 // of data
}

// control is a frame that is made when it goes.
type control struct {
	kind   byte
	code   Code
	stream uint32
}

// expire finds the cells that are lost, whose frames go again.
func (s *Session) expire(now time.Time) {
	limit := now.Add(-s.trips.timeout())
	silent := false
	for ; s.front < len(s.sent) && !s.sent[s.front].at.After(limit); s.front++ {
		r := &s.sent[s.front]
		if r.state != waiting {
			continue
		}
		r.state = lost
		s.landed(r)
		s.pace.lost(r.round)
		silent = silent || !s.heard.After(r.at)
		for _, f := range r.frames {
			s.again(&f)
		}
	}
	if silent {
		s.trips.backoff = min(s.trips.backoff+1, mostBackoff)
		s.probeAt = now // the exit may have no SURB left to answer with
	}
	s.forget(now)
}

// landed takes note that a cell is no longer under way.
func (s *Session) landed(r *record) {
	s.flight--
	s.flying -= r.surbs
	if len(r.frames) > 0 {
		s.loaded--
	}
}

// forget drops the records that no acknowledgement can change any more.
func (s *Session) forget(now time.Time) {
	old := now.Add(-2 * s.trips.timeout())
	n := 0
	for n < len(s.sent) && (s.sent[n].state == settled || s.sent[n].state == lost && s.sent[n].at.Before(old)) {
		n++
	}
	clear(s.sent[:n])
	s.sent, s.front = s.sent[n:], max(s.front-n, 0)
}

// again has a frame sent again that was lost.
func (s *Session) again(f *sent) {
	c := s.streams[f.stream]
	switch f.kind {
	case frameReset:
	case frameCredit:
		if c != nil {
			s.credit(c)
		}
		return
	case frameData, frameEnd:
		if c != nil {
			c.undelivered(f.from, f.to, f.kind == frameEnd)
		}
		return
	default:
		if c == nil || f.kind == frameOpen && c.isOpen {
			return
		}
	}
	s.control = append(s.control, f.control)
}

// drop gives up waiting for the oldest cell.
func (s *Session) drop() {
	r := &s.sent[0]
	if r.state == waiting {
		s.landed(r)
		s.pace.lost(r.round)
		for _, f := range r.frames {
			s.again(&f)
		}
	}
	s.sent[0] = record{}
	s.sent, s.front = s.sent[1:], max(s.front-1, 0)
}

// settle takes note that a cell has arrived.
func (s *Session) settle(r *record, now time.Time, prompt bool) {
	if r.state == settled {
		return
	}
	if prompt {
		s.trips.measure(now.Sub(r.at), s.flight)
		s.pace.timed(r.round, now.Sub(r.at))
	}
	if r.state == waiting {
		s.landed(r)
	} else {
		s.pace.found(r.round)
	}
	s.pace.returned(r.round)
	r.state, r.surbs = settled, 0
	for _, f := range r.frames {
		if f.kind != frameData && f.kind != frameEnd {
			continue
		}
		if c := s.streams[f.stream]; c != nil {
			c.delivered(f.from, f.to, f.kind == frameEnd, now)
		}
	}
	r.frames = nil
}
