package stream

import "time"

// MaxStock is how many SURBs an exit keeps for one session at most.
const MaxStock = 4096

// leastStock is how many SURBs a client means an exit to have at least, while there are streams.
const leastStock = 32

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
	return min(max(3*s.need, leastStock), MaxStock)
}

// left is how many SURBs may still go before the count is over: the target once, and three for each that was used.
func (s *supply) left(target int) int { return target + 3*s.used - s.sent }
