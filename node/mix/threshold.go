package mix

import "time"

// threshold is a [Strategy] that lets go of all packets at once: when they come from enough distinct senders, or else
// when the oldest has waited for deadline. If the clock is set back to before a held packet came, that packet counts as
// having come just then.
type threshold[T any] struct {
	size     int
	deadline time.Duration
	random   source

	held    []T                 // since the last batch
	senders map[string]struct{} // of held
	oldest  time.Time           // when the first of held came; meaningless if there is none
	batch   []T                 // the last that left; its memory is that of the next held
}

func (t *threshold[T]) Add(p Packet[T], now time.Time) {
	if len(t.held) == 0 || now.Before(t.oldest) {
		t.oldest = now
	}
	t.held = append(t.held, p.Item)
	t.senders[p.Sender] = struct{}{}
}

func (t *threshold[T]) Due(now time.Time) (out []T, next time.Time) {
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
