package stream

import (
	"sync"
	"time"
)

// deadline is a time that can be waited for, and changed meanwhile.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer   // guarded by mu
	past  chan struct{} // closed when the time has come; replaced when another is set later; guarded by mu
}

// set changes the time; never if t is zero.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.past // which the timer is closing
	}
	d.timer = nil
	select {
	case <-d.past:
		d.past = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return
	}
	past := d.past
	if wait := time.Until(t); wait > 0 {
		d.timer = time.AfterFunc(wait, func() { close(past) })
	} else {
		close(past)
	}
}

// passed returns a channel that is closed when the time comes.
func (d *deadline) passed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.past
}

func (d *deadline) isPast() bool {
	select {
	case <-d.passed():
		return true
	default:
		return false
	}
}
