package client

import (
	"math"
	"sync"
	"time"
)

// How long a cell may wait for its answer before it is sent again, beside the delays that their network wants. The first
// time must be longer than a round trip through mixes that hold packets for seconds, or a patient network is flooded; a
// session of streams, which sends few cells until it has heard from its exit, need not wait for as long.
const (
	firstTimeout = 15 * time.Second // while no round trip was measured
	firstTrip    = 5 * time.Second  // the same, in a session of streams
	minTimeout   = time.Second      // afterwards, beyond the average round trip, or a quarter of that: batches make it vary
	maxTimeout   = 30 * time.Second // always: whoever holds answers back must not teach the client to wait for ever
)

// trips is what is known of the network's round trips. Each SURB is used once, so it is always clear which packet an
// answer is for, and every answer is measured.
type trips struct {
	delays delays // never changed

	mu      sync.Mutex
	average time.Duration // smoothed; guarded by mu
	varying time.Duration // its smoothed deviation; guarded by mu
}

// delays is what mixes hold a packet and its reply for in all, since senders ask for it or mixes add it at the last hop: on
// the way there, before the reply, and on the way back, one more than there are hops.
type delays struct {
	mean   time.Duration
	beyond time.Duration // the mean, in 999 of 1000 cases or more
}

// delaysOf returns that for so many exponentially distributed delays of one mean. Their sum has the gamma distribution; it
// exceeds its mean by more than six times its deviation in one of 1,100 cases for a single delay, and more seldom for more.
func delaysOf(count int, mean time.Duration) delays {
	return delays{time.Duration(count) * mean, time.Duration(6 * math.Sqrt(float64(count)) * float64(mean))}
}

// limit is the longest time that a cell may wait.
func (t *trips) limit() time.Duration { return maxTimeout + t.delays.mean + t.delays.beyond }

// measure takes one round trip into account, as RFC 6298 §2 does.
func (t *trips) measure(trip time.Duration) {
	trip = min(trip, t.limit())
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.average == 0 {
		t.average, t.varying = trip, trip/2
		return
	}
	t.varying += ((t.average - trip).Abs() - t.varying) / 4
	t.average += (trip - t.average) / 8
}

// timeout is how long a cell that goes for the first time may wait.
func (t *trips) timeout() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.average == 0 {
		return firstTimeout + t.delays.mean + t.delays.beyond
	}
	return min(t.average+max(minTimeout, t.average/4, 4*t.varying, t.delays.beyond), t.limit())
}

// expected is how long a round trip may take, for someone who resends soon: less than timeout while none was measured.
func (t *trips) expected() time.Duration {
	t.mu.Lock()
	measured := t.average > 0
	t.mu.Unlock()
	if measured {
		return t.timeout()
	}
	return firstTrip + t.delays.mean + t.delays.beyond
}

// backedOff is timeout, doubled for each time that the cell was sent before, three times at most: what is lost to a mix
// that has gone is not found by waiting, and who has few mixes left needs many attempts.
func (t *trips) backedOff(timeout time.Duration, before int) time.Duration {
	return min(timeout<<min(before, 3), t.limit())
}
