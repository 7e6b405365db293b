package mix

import "time"

// timed is a [Strategy] that lets go of all packets every interval. The first packet ever starts the intervals, and they
// go on while nothing is held: a packet leaves when the interval ends in which it came.
type timed[T any] struct {
	grid   grid
	random source
	held   []T // since the last batch
	batch  []T // the last that left; its memory is that of the next held
}

func (t *timed[T]) Add(p Packet[T], now time.Time) {
	t.grid.added(now, len(t.held) == 0)
	t.held = append(t.held, p.Item)
}

func (t *timed[T]) Due(now time.Time) (out []T, next time.Time) {
	clear(t.batch) // the items may hold memory
	t.batch = t.batch[:0]
	if len(t.held) == 0 {
		return nil, time.Time{}
	}
	if !t.grid.due(now) {
		return nil, t.grid.tick
	}
	if err := shuffle(&t.random, t.held); err != nil {
		return nil, now.Add(retryAfter)
	}
	t.held, t.batch = t.batch, t.held
	return t.batch, time.Time{}
}

// A grid is points in time that are an interval apart. If the clock is set back by more than what is left of an interval,
// the grid starts anew, so that its next point is never more than an interval away.
type grid struct {
	interval time.Duration
	tick     time.Time // the point that due waits for; zero before the first packet
}

// added notes that a packet came, first of those that wait for the next point or not.
func (g *grid) added(now time.Time, first bool) {
	if first {
		g.advance(now)
	}
	g.heedSetBack(now)
}

// due reports whether the point waited for has come.
func (g *grid) due(now time.Time) bool {
	g.heedSetBack(now)
	return !now.Before(g.tick)
}

// advance waits for the first point after now. A grid that has none starts at now.
func (g *grid) advance(now time.Time) {
	if g.tick.IsZero() {
		g.tick = now
	}
	if late := now.Sub(g.tick); late >= 0 {
		g.tick = g.tick.Add(late - late%g.interval).Add(g.interval)
	}
	if !g.tick.After(now) { // the clock leapt by centuries, more than a Duration can say
		g.tick = now.Add(g.interval)
	}
}

func (g *grid) heedSetBack(now time.Time) {
	if g.tick.Sub(now) > g.interval {
		g.tick = now.Add(g.interval)
	}
}
