package mix

import (
	"crypto/rand"
	"fmt"
	"io"
	"time"
)

// ThresholdConfig says when a [Threshold] fires. Size and Deadline have no
// default: they are what the anonymity of those who send depends on.
type ThresholdConfig struct {
	// Size is how many distinct senders the held packets must come from, at least
	// 1. With 1 packets leave as they come, and nothing is mixed but what one
	// sender hands in at once.
	Size int

	// Deadline is how long a packet is held at most, for want of senders. The
	// packets that leave then hide among fewer than Size. It must be positive.
	Deadline time.Duration

	// Rand is where the order of the packets comes from: 8 bytes for each but the
	// last and some to spare, read 512 at a time. crypto/rand if nil. If it fails,
	// packets are held, and Due tries anew each time it is called.
	Rand io.Reader
}

// A Threshold is a [Strategy] that lets go of all packets at once, in an order
// in which every permutation is equally likely: when they come from enough
// distinct senders, or else when the oldest has waited long enough.
//
// If the clock is set back to before a held packet came, that packet counts as
// having come just then: it leaves no later than Deadline after the last time
// that the clock was set back. A Threshold holds as many packets as it is given;
// a caller that wants a bound asks Held before Add.
type Threshold[T any] struct {
	size     int
	deadline time.Duration
	random   source

	held    []T                 // since the last batch
	senders map[string]struct{} // of held
	oldest  time.Time           // when the first of held came; meaningless if there is none
	batch   []T                 // the last that left; its memory is that of the next held
}

var _ Strategy[int] = (*Threshold[int])(nil)

// NewThreshold returns a Threshold that holds nothing, or an error if cfg is out
// of bounds.
func NewThreshold[T any](cfg ThresholdConfig) (*Threshold[T], error) {
	if cfg.Size < 1 {
		return nil, fmt.Errorf("mix: threshold of %d senders", cfg.Size)
	}
	if cfg.Deadline <= 0 {
		return nil, fmt.Errorf("mix: deadline of %v", cfg.Deadline)
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	return &Threshold[T]{
		size:     cfg.Size,
		deadline: cfg.Deadline,
		random:   source{from: cfg.Rand},
		senders:  make(map[string]struct{}),
	}, nil
}

// Held returns how many packets are held.
func (t *Threshold[T]) Held() int { return len(t.held) }

// Add holds p, which came at the time now, until Due lets go of it. It allocates
// nothing once as many packets have been held at a time before.
func (t *Threshold[T]) Add(p Packet[T], now time.Time) {
	if len(t.held) == 0 || now.Before(t.oldest) {
		t.oldest = now
	}
	t.held = append(t.held, p.Item)
	t.senders[p.Sender] = struct{}{}
}

// Due returns all held items if they are to leave at the time now, and none
// otherwise; see [Strategy].
func (t *Threshold[T]) Due(now time.Time) (out []T, next time.Time) {
	clear(t.batch) // the items may hold memory
	t.batch = t.batch[:0]
	if len(t.held) == 0 {
		return nil, time.Time{}
	}
	if now.Before(t.oldest) {
		t.oldest = now
	}
	if end := t.oldest.Add(t.deadline); len(t.senders) < t.size && now.Before(end) {
		return nil, end
	}
	if err := shuffle(&t.random, t.held); err != nil {
		return nil, now.Add(retryAfter)
	}
	t.held, t.batch = t.batch, t.held
	clear(t.senders)
	return t.batch, time.Time{}
}
