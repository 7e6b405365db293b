package mix

import "time"

// poisson is a [Strategy] that lets go of each packet after the packet's own delay, or maxDelay if that is shorter. Those
// whose time has come when Due is called leave together, in random order.
//
// Time is counted from call to call, and a clock that is set back counts for nothing: every packet then still has to wait
// for as long as at the last call. One that is set forward by more than maxDelay counts for maxDelay, after which nothing
// is left to wait.
type poisson[T any] struct {
	maxDelay time.Duration
	random   source

	clock   time.Time     // now of the last call
	elapsed time.Duration // what was counted so far
	waiting []delayed[T]  // a heap: the next to leave first, and i before 2i+1 and 2i+2
	ready   []T           // their time has come, their order has not been drawn
	batch   []T           // the last that left; its memory is that of the next ready
}

type delayed[T any] struct {
	leaves time.Duration // when elapsed is this
	item   T
}

func (p *poisson[T]) Add(packet Packet[T], now time.Time) {
	p.advance(now)
	p.push(delayed[T]{leaves: p.elapsed + min(packet.Delay, p.maxDelay), item: packet.Item})
}

func (p *poisson[T]) Due(now time.Time) (out []T, next time.Time) {
	clear(p.batch) // the items may hold memory
	p.batch = p.batch[:0]
	p.advance(now)
	for len(p.waiting) > 0 && p.waiting[0].leaves <= p.elapsed {
		p.ready = append(p.ready, p.pop())
	}
	if err := shuffle(&p.random, p.ready); err != nil {
		return nil, now.Add(retryAfter)
	}
	p.ready, p.batch = p.batch, p.ready
	if len(p.waiting) > 0 {
		next = now.Add(p.waiting[0].leaves - p.elapsed)
	}
	return p.batch, next
}

func (p *poisson[T]) advance(now time.Time) {
	if now.After(p.clock) {
		p.elapsed += min(now.Sub(p.clock), p.maxDelay)
	}
	p.clock = now
}

func (p *poisson[T]) push(entry delayed[T]) {
	p.waiting = append(p.waiting, entry)
	i := len(p.waiting) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if p.waiting[parent].leaves <= entry.leaves {
			break
		}
		p.waiting[i] = p.waiting[parent]
		i = parent
	}
	p.waiting[i] = entry
}

// pop removes the packet that leaves next.
func (p *poisson[T]) pop() T {
	next, last := p.waiting[0].item, len(p.waiting)-1
	entry := p.waiting[last]
	p.waiting[last] = delayed[T]{} // the item may hold memory
	p.waiting = p.waiting[:last]
	i := 0
	for child := 1; child < last; child = 2*i + 1 {
		if right := child + 1; right < last && p.waiting[right].leaves < p.waiting[child].leaves {
			child = right
		}
		if entry.leaves <= p.waiting[child].leaves {
			break
		}
		p.waiting[i] = p.waiting[child]
		i = child
	}
	if last > 0 {
		p.waiting[i] = entry
	}
	return next
}
