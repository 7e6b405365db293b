package bench

import (
	"time"

	"sphinxmix.example/bench/thread"
)

// Load is what a run shared its machine with while operations were measured on one core.
type Load struct {
	Others float64 `json:"others"` // the part of the time of all cores that other programs took
	Waited float64 `json:"waited"` // the part of the time in which the thread that measures did not run
}

// machineTimes are processor times since the machine started, of all its processors together.
type machineTimes struct {
	total time.Duration
	busy  time.Duration // of total, with work of anybody
	own   time.Duration // of this process
}

// leastLoad is how long a run must take to say what else ran: the system counts in hundredths of a second.
const leastLoad = time.Second

// loadMeter is where a run began.
type loadMeter struct {
	start     time.Time
	processor time.Duration // of this thread
	machine   machineTimes
	known     bool
}

// startLoad begins to measure. The goroutine must stay locked to its thread until the last call of load.
func startLoad() loadMeter {
	m := loadMeter{start: time.Now(), processor: thread.Time()}
	m.machine, m.known = machineTimesNow()
	return m
}

// took is how long it was.
func (m loadMeter) took() time.Duration { return time.Since(m.start) }

// load returns what ran since; nil where the system does not tell, or where that was not long enough.
func (m loadMeter) load() *Load {
	now, known := machineTimesNow()
	took, processor := m.took(), thread.Time()-m.processor
	if !known || !m.known || took < leastLoad {
		return nil
	}
	return loadOf(took, processor, machineTimes{
		total: now.total - m.machine.total, busy: now.busy - m.machine.busy, own: now.own - m.machine.own,
	})
}

// loadOf returns what the load was over so long, in which the thread that measures ran for so much, and the machine did
// what it did.
func loadOf(took, processor time.Duration, machine machineTimes) *Load {
	if machine.total <= 0 {
		return nil
	}
	return &Load{
		Others: max(0, float64(machine.busy-machine.own)/float64(machine.total)),
		Waited: max(0, 1-float64(processor)/float64(took)),
	}
}
