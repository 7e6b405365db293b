package stream

import (
	"math"
	"slices"
	"time"

	"sphinxmix.example/client/cell"
)

// Limits on what the other end can make a session keep.
const (
	numbers  = 8192 // cells whose arrival is remembered, and acknowledged
	mostGaps = 4096 // in what has come of a stream
	mostIDs  = 1024 // spans of ids of streams

	mostControl = 1024 // frames that wait to be sent, while the other end may open streams
)

// Acknowledgements are collected for so long, or so many cells.
const (
	ackCells     = 16
	leastAckTime = 25 * time.Millisecond
	mostAckTime  = 100 * time.Millisecond
)

// Receive takes a cell of this session that came at the time now. An exit keeps the cell's SURBs, not its data. The error
// is ErrMalformed for a cell that changed nothing, as it is none of this protocol, or the session's where it has ended.
// A session whose other end breaks the protocol ends with ErrProtocol.
func (s *Session) Receive(now time.Time, c cell.Cell) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	h, err := s.parse(&c)
	if err != nil {
		return err
	}
	gap := now.Sub(s.heard)
	s.heard = now
	if h.flags&flagClose != 0 {
		s.fail(ErrUnknown)
		return nil
	}
	number := uint64(c.Sequence)
	if number < s.floor || s.seen.has(number) {
		if len(s.frames) > 0 || len(c.SURBs) > 0 {
			s.wantAck(now) // the last one may have been lost
		}
		return nil
	}
	if !s.fits() {
		return nil // as if it had been lost
	}
	// Had a cell before it been lost, the acknowledgement in this one might be an old story.
	prompt := len(s.seen) == 0 && c.Sequence == h.least || number > 0 && s.seen.has(number-1) || gap <= max(s.trips.average/4, mostAckTime)
	s.note(number, uint64(h.least))
	s.trips.backoff = 0
	if s.cfg.Client {
		s.greeted = true
		s.supply.arrived(now, s.trips.round())
	} else if h.flags&flagHello != 0 && s.trips.first == 0 {
		s.trips.first = min(h.timeout, mostTimeout)
	}
	if h.flags&flagSURBs != 0 {
		s.stockUp(h.generation, c.SURBs)
	}
	if h.flags&flagAck != 0 && !s.acknowledged(now, &c, &h.ack, prompt) {
		s.fail(ErrProtocol)
		return nil
	}
	for i := range s.frames {
		if !s.handle(&s.frames[i], now) {
			s.fail(ErrProtocol)
			return nil
		}
	}
	if len(s.frames) > 0 || len(c.SURBs) > 0 {
		s.wantAck(now)
	}
	if len(s.frames) > 0 {
		s.probes, s.probeAt = 0, now.Add(2*s.trips.timeout())
	}
	s.signal()
	return nil
}

// parse reads a cell, with the frames into s.frames.
func (s *Session) parse(c *cell.Cell) (head, error) {
	r := reader{rest: c.Data}
	h := r.head()
	s.frames = s.frames[:0]
	for len(r.rest) > 0 {
		s.frames = append(s.frames, r.frame())
	}
	switch {
	case r.failed, h.least > c.Sequence && h.flags&flagClose == 0, (h.flags&flagSURBs != 0) != (len(c.SURBs) > 0):
		return h, ErrMalformed
	case s.cfg.Client && h.flags&(flagSURBs|flagHello) != 0:
		return h, ErrMalformed
	}
	return h, nil
}

// fits reports whether what the cell in s.frames brings finds room in the sets that are limited. What closes gaps always
// does.
func (s *Session) fits() bool {
	for i := range s.frames {
		f := &s.frames[i]
		id, from, to := uint64(f.stream), f.offset, f.offset+uint64(len(f.bytes))
		if c := s.streams[f.stream]; c == nil {
			full := len(s.control) >= mostControl || len(s.ids) >= mostIDs && !s.ids.touches(id, id+1)
			if full && !s.ids.has(id) {
				return false
			}
		} else if len(c.in.got) >= mostGaps && from > c.in.buf.from && from < to && !c.in.got.touches(from, to) {
			return false
		}
	}
	return true
}

// note remembers that a cell has come, and forgets what its sender no longer wants to know.
func (s *Session) note(number, least uint64) {
	s.seen.add(number, number+1)
	largest := s.seen[len(s.seen)-1].to
	s.floor = max(s.floor, least)
	if largest > numbers {
		s.floor = max(s.floor, largest-numbers)
	}
	s.seen.remove(0, s.floor)
}

func (s *Session) wantAck(now time.Time) {
	if s.unacked++; s.unacked == 1 {
		s.ackBy = now.Add(min(max(s.trips.round()/8, leastAckTime), mostAckTime))
	}
	s.signal()
}

// stockUp puts the SURBs of a cell into an exit's stock.
func (s *Session) stockUp(generation uint32, surbs [][]byte) {
	switch {
	case generation < s.generation:
		return
	case generation > s.generation:
		s.generation, s.stock = generation, nil
	}
	for _, surb := range surbs {
		if len(s.stock) < MaxStock {
			s.stock = append(s.stock, slices.Clone(surb))
		}
	}
}

// acknowledged settles the cells that an acknowledgement names. It returns false where it names one that was never sent.
// Only one that is prompt says how long round trips take.
func (s *Session) acknowledged(now time.Time, c *cell.Cell, a *ack, prompt bool) bool {
	first := s.next - uint32(len(s.sent))
	if a.largest >= s.next || a.largest < s.cfg.First || uint32(a.run) > a.largest-s.cfg.First || a.run >= numbers {
		return false
	}
	settle := func(number uint32) {
		if number >= first && number < s.next {
			s.settle(&s.sent[number-first], now, prompt)
		}
	}
	for number := max(a.largest-uint32(a.run), first); number <= a.largest; number++ {
		settle(number)
	}
	for i, bits := range a.bits {
		for bit := range 8 {
			below := uint64(a.run) + 1 + uint64(8*i+bit)
			if bits&(0x80>>bit) == 0 {
				continue
			}
			if below > uint64(a.largest-s.cfg.First) {
				return false
			}
			settle(a.largest - uint32(below))
		}
	}
	s.forget(now)
	if s.cfg.Client && a.generation == s.generation && c.Sequence >= s.reporter {
		s.reported, s.reporter = int(a.stock), c.Sequence
		if s.reported <= reserve {
			s.supply.starved(now, s.trips.round())
		}
	}
	return true
}

// handle does what a frame says. It returns false where that breaks the protocol.
func (s *Session) handle(f *frame, now time.Time) bool {
	c := s.streams[f.stream]
	if c == nil {
		known := s.ids.has(uint64(f.stream))
		switch {
		case known:
			return true // it has ended
		case s.cfg.Client || f.kind == frameOpened:
			return false
		case f.kind == frameReset:
			s.ids.add(uint64(f.stream), uint64(f.stream)+1) // before it was opened
			return true
		case len(s.streams) >= s.cfg.MaxStreams:
			s.ids.add(uint64(f.stream), uint64(f.stream)+1)
			s.control = append(s.control, control{kind: frameReset, stream: f.stream, code: Overloaded})
			return true
		}
		c = s.add(f.stream) // whose OPEN may come later
	}
	switch f.kind {
	case frameOpen:
		if s.cfg.Client || len(f.bytes) == 0 {
			return false
		}
		if c.target == "" {
			c.target = string(f.bytes)
			s.accepted = append(s.accepted, c)
			notify(s.incoming)
		}
	case frameOpened:
		if !s.cfg.Client {
			return false
		}
		c.open()
	case frameReset:
		s.end(c, f.code.Err())
	case frameCredit:
		if f.offset > math.MaxInt64 {
			return false
		}
		c.credited(f.offset, now)
	case frameData, frameEnd:
		return c.arrived(f, now)
	}
	return true
}
