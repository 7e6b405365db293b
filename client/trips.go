package client

import (
	"sync"
	"time"
)

// How long a cell may wait for its answer before it is sent again. The first time must be longer than a round trip
// through mixes that hold packets for seconds, or a patient network is flooded.
const (
	firstTimeout = 15 * time.Second // while no round trip was measured
	minTimeout   = time.Second      // afterwards, beyond the average round trip, or a quarter of that: batches make it vary
	maxTimeout   = 30 * time.Second // always: whoever holds answers back must not teach the client to wait for ever
)

// trips is what is known of the network's round trips. Each SURB is used once, so it is always clear which packet an
// answer is for, and every answer is measured.
type trips struct {
	mu      sync.Mutex
	average time.Duration // smoothed; guarded by mu
	varying time.Duration // its smoothed deviation; guarded by mu
}

// measure takes one round trip into account, as RFC 6298 §2 does.
func (t *trips) measure(trip time.Duration) {
	trip = min(trip, maxTimeout)
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
		return firstTimeout
	}
	return min(t.average+max(minTimeout, t.average/4, 4*t.varying), maxTimeout)
}

// backedOff is timeout, doubled for each time that the cell was sent before.
func backedOff(timeout time.Duration, before int) time.Duration {
	for range before {
		timeout = min(2*timeout, maxTimeout)
	}
	return timeout
}
