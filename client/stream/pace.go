package stream

import "time"

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
