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
