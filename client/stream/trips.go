package stream

import "time"

// trips is what a session has measured of its round trips.
type trips struct {
	first   time.Duration // how long a round trip takes at most, while none was measured
	average time.Duration // smoothed; 0 while none was measured
	varying time.Duration // its smoothed deviation
	backoff int           // how often in a row a whole timeout passed without any acknowledgement
}

// Bounds of timeouts. The least time beyond the average covers how long acknowledgements are collected for, and how
// irregularly a busy machine works.
const (
	leastBeyond  = 100 * time.Millisecond
	leastTimeout = 200 * time.Millisecond
	mostTimeout  = 2 * time.Minute
	mostBackoff  = 4
)

// measure takes one round trip into account, as RFC 6298 §2 does.
func (t *trips) measure(trip time.Duration) {
	if t.average == 0 {
		t.average, t.varying = trip, trip/2
		return
	}
	t.varying += ((t.average - trip).Abs() - t.varying) / 4
	t.average += (trip - t.average) / 8
}

// timeout is how long a cell may wait for its acknowledgement before it counts as lost.
func (t *trips) timeout() time.Duration {
	timeout := t.first
	if t.average > 0 {
		timeout = t.average + max(leastBeyond, t.average/4, 4*t.varying)
	}
	return min(max(timeout, leastTimeout)<<t.backoff, mostTimeout)
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
)

// pace is how many cells may be under way. It looks at rounds: the cells that were sent while one of them was under way.
// Round trips that take much longer than they once did show queues, as in TCP Vegas (Brakmo and Peterson, 1995).
type pace struct {
	window int
	steady bool // it no longer doubles

	until   uint32        // the round ends when this cell is acknowledged
	total   time.Duration // of the round's trips
	trips   int
	lost    int
	limited bool // the window was all in use

	base time.Duration // of the shortest round, on average; it rises slowly
}

func newPace() pace { return pace{window: firstWindow} }

// returned takes note that a cell was acknowledged, when next is the number of the cell to be sent next.
func (p *pace) returned(number uint32, trip time.Duration, next uint32) {
	p.total += trip
	p.trips++
	if number < p.until || p.trips < leastWindow/2 {
		return
	}
	p.judge(p.total / time.Duration(p.trips))
	p.until, p.total, p.trips, p.lost, p.limited = next, 0, 0, 0, false
}

// judge sets the window at the end of a round whose trips took so long on average.
func (p *pace) judge(trip time.Duration) {
	if p.base == 0 || trip < p.base {
		p.base = trip
	} else {
		p.base += p.base / 256
	}
	const slack = 10 * time.Millisecond // which a busy machine may take
	switch {
	case 2*p.lost > p.trips: // a third of all
		p.window -= p.window / 3
		p.steady = true
	case trip > 2*p.base+slack:
		p.window -= p.window / 8
		p.steady = true
	case !p.limited:
	case !p.steady && trip < p.base*3/2+slack:
		p.window *= 2
	case trip < p.base*3/2+slack:
		p.window += p.window/16 + 1
		p.steady = true
	default:
		p.steady = true
	}
	p.window = min(max(p.window, leastWindow), mostWindow)
}

// The number of SURBs that a client means an exit to have.
const (
	leastStock = 32
	mostStock  = 4096
)

// supply says how many SURBs an exit should have, by how many it uses.
type supply struct {
	since time.Time // when the count began
	used  int       // cells from the exit since then
	need  int       // cells in the time of a round trip, of late
}

// arrived takes note of a cell from the exit.
func (s *supply) arrived(now time.Time, round time.Duration) {
	s.used++
	s.count(now, round)
}

func (s *supply) count(now time.Time, round time.Duration) {
	passed := now.Sub(s.since)
	if passed < round {
		return
	}
	used := int(float64(s.used) * float64(round) / float64(passed))
	s.need = max(used, s.need-s.need/4)
	s.since, s.used = now, 0
}

// target is the stock that the exit should have.
func (s *supply) target(now time.Time, round time.Duration) int {
	s.count(now, round)
	return min(max(s.need*5/2, leastStock), mostStock)
}
