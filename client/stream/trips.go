package stream

import "time"

// trips is what a session has measured of its round trips.
type trips struct {
	first   time.Duration // how long a round trip takes at most, while none was measured
	average time.Duration // smoothed; 0 while none was measured
	varying time.Duration // its smoothed deviation
	count   int           // of those that were measured, up to enoughTrips
	backoff int           // how often in a row a whole timeout passed in which nothing came
}

// Bounds of timeouts. The least time beyond the average covers how long acknowledgements are collected for, and how
// irregularly a busy machine works.
const (
	leastBeyond  = 100 * time.Millisecond
	leastTimeout = 200 * time.Millisecond
	mostTimeout  = 2 * time.Minute
	enoughTrips  = 32
	mostBackoff  = 4
	mostBacked   = 15 * time.Second // what timeouts that are not longer anyway become in silence
)

// measure takes one round trip into account, as RFC 6298 §2 does, while so many cells are under way. Those that are quick
// come first, so the average is over all of them, as RFC 7323 (appendix G) has it.
func (t *trips) measure(trip time.Duration, flight int) {
	t.count = min(t.count+1, enoughTrips)
	if t.average == 0 {
		t.average, t.varying = max(trip, 1), trip/2
		return
	}
	t.varying += ((t.average - trip).Abs() - t.varying) / time.Duration(max(4, flight/2))
	t.average += (trip - t.average) / time.Duration(max(8, flight))
}

// timeout is how long a cell may wait for its acknowledgement before it counts as lost.
func (t *trips) timeout() time.Duration {
	timeout := t.first
	if t.average > 0 {
		timeout = t.average + max(leastBeyond, t.average/4, 4*t.varying)
	}
	if t.count < enoughTrips { // those that came were the quickest
		timeout = max(timeout, min(t.first, 5*t.average))
	}
	timeout = min(max(timeout, leastTimeout), mostTimeout)
	return max(timeout, min(timeout<<t.backoff, mostBacked))
}

// round is how long a round trip takes on average, as far as it is known.
func (t *trips) round() time.Duration {
	if t.average > 0 {
		return t.average
	}
	return max(t.first/2, leastTimeout)
}

// The window in cells.
const (
	leastWindow = 16
	firstWindow = 32
	mostWindow  = 2048
	leastRound  = 24
)

// pace is how many cells may be under way. It looks at rounds, of cells that are sent one after the other. Round trips that
// take much longer than they once did show queues, as in TCP Vegas (Brakmo and Peterson, 1995). Much is three times as
// long: the first acknowledgement that arrives counts, so that they also seem longer when fewer are under way. (Cells that
// said when they were sent would show it better, and would tell the exit what mixes are there to hide.)
type pace struct {
	window int
	steady bool // it no longer doubles

	judged, open round         // the one that was sent, and the next, which is being sent
	number       uint32        // of the round that is judged
	base         time.Duration // of the shortest round, on average
}

// round is what became of some cells.
type round struct {
	sent, arrived, lost int
	trips               int
	total               time.Duration // of the trips
	limited             bool          // the window was all in use
}

func newPace() pace { return pace{window: firstWindow} }

// sent takes note that a cell goes, and returns the number of its round.
func (p *pace) sent() uint32 {
	p.open.sent++
	return p.number + 1
}

// round returns the round of that number; nil where it is over.
func (p *pace) round(number uint32) *round {
	switch number {
	case p.number:
		return &p.judged
	case p.number + 1:
		return &p.open
	}
	return nil
}

// timed takes note of how long a round trip took.
func (p *pace) timed(number uint32, trip time.Duration) {
	if r := p.round(number); r != nil {
		r.trips++
		r.total += trip
	}
}

// returned takes note that a cell of a round was acknowledged.
func (p *pace) returned(number uint32) {
	if r := p.round(number); r != nil {
		r.arrived++
		p.turn()
	}
}

// lost takes note that a cell of a round was not.
func (p *pace) lost(number uint32) {
	if r := p.round(number); r != nil {
		r.lost++
		p.turn()
	}
}

// found takes note that a cell of a round was acknowledged after all.
func (p *pace) found(number uint32) {
	if r := p.round(number); r != nil {
		r.lost--
	}
}

// turn goes on to the next round when the fate of seven eighths of this one's cells is known: always of as many, or those
// that are quick would count for more at some times than at others.
func (p *pace) turn() {
	if 8*(p.judged.arrived+p.judged.lost) < 7*p.judged.sent || p.open.sent < leastRound {
		return
	}
	p.judge(&p.judged)
	p.judged, p.open = p.open, round{}
	p.number++
}

// judge sets the window by what became of a round.
func (p *pace) judge(r *round) {
	switch {
	case r.sent == 0:
		return
	case r.arrived == 0:
		p.window, p.steady = leastWindow, false // nothing gets through for now
		return
	}
	trip := p.base
	if r.trips > 0 {
		trip = r.total / time.Duration(r.trips)
	}
	switch {
	case p.base == 0 || p.window <= firstWindow: // too few to make a queue
		p.base = trip
	case trip < p.base && 8*r.lost <= r.arrived: // else those that are slow are missing
		p.base = trip
	case 2*trip < 3*p.base:
		p.base += p.base / 1024 // it was by chance; were there a queue, it would become the measure of itself
	}
	switch {
	case r.lost > 2*r.arrived, 2*r.lost > r.arrived && 2*trip > 3*p.base: // two thirds of all; or a third, and there is a queue
		p.window -= p.window / 3
		p.steady = true
	case trip > 3*p.base:
		p.window -= p.window / 8
		p.steady = true
	case !r.limited:
	case trip > 2*p.base:
		p.steady = true
	case 2*r.lost > r.arrived: // mixes have died: fewer cells would not help
		p.steady = true
		p.window += p.window/16 + 1
	case !p.steady:
		p.window *= 2
	case 2*trip < 3*p.base:
		p.window += p.window/4 + 1
	default:
		p.window += p.window/16 + 1
	}
	p.window = min(max(p.window, leastWindow), mostWindow)
}

// MaxStock is how many SURBs an exit keeps for one session at most.
const MaxStock = 4096

// The number of SURBs that a client means an exit to have.
const (
	leastStock = 32
	mostStock  = MaxStock
)

// supply says how many SURBs an exit should have, by how many it uses: by the cells that come from it, and not by what it says
// it has, or one that says none would get as many as the client can make.
type supply struct {
	since time.Time // when the counts began
	used  int       // cells from the exit since then
	sent  int       // SURBs since then
	last  int       // cells in the time of a round trip, before that
	need  int       // the same, of late
	grown time.Time // when it was last doubled
}

// arrived takes note of a cell from the exit.
func (s *supply) arrived(now time.Time, round time.Duration) {
	s.used++
	s.count(now, round)
}

// starved takes note that the exit has run out: it would use more.
func (s *supply) starved(now time.Time, round time.Duration) {
	if now.Sub(s.grown) >= round {
		s.need, s.grown = max(s.need, 2*min(max(s.need, leastStock/2), max(s.last, s.used))), now
	}
}

// period is how long a count goes on, where round trips take so long.
func (s *supply) period(round time.Duration) time.Duration { return max(round, leastPeriod) }

const leastPeriod = 500 * time.Millisecond

func (s *supply) count(now time.Time, round time.Duration) {
	passed := now.Sub(s.since)
	if passed < s.period(round) {
		return
	}
	s.last = int(float64(s.used) * float64(round) / float64(passed))
	s.need = max(s.last, s.need-s.need/4)
	s.since, s.used, s.sent = now, 0, 0
}

// target is the stock that the exit should have.
func (s *supply) target(now time.Time, round time.Duration) int {
	s.count(now, round)
	return min(max(3*s.need, leastStock), mostStock)
}

// left is how many SURBs may still go before the count is over: the target once, and three for each that was used.
func (s *supply) left(target int) int { return target + 3*s.used - s.sent }
