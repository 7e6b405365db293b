package mix

import "time"

// pool is a [Strategy] that lets go of a random part of its packets every interval and keeps the rest. Its intervals are
// those of timed.
//
// At the end of an interval with n packets held, nothing is chosen if n ≤ min, or if they come from fewer than size
// distinct senders. Otherwise max(1, min(n - min, ⌊n·fraction⌋)) packets are chosen, every subset of that many being
// equally likely. The chosen leave, and with them whoever has seen as many intervals end as are allowed.
type pool[T any] struct {
	grid     grid
	random   source
	size     int
	min      int
	fraction float64
	rounds   int64 // after which a packet leaves even if it was never chosen

	held    []pooled[T]
	batch   []T                 // the last that left
	senders map[string]struct{} // empty but while they are counted
}

type pooled[T any] struct {
	item   T
	sender string
	rounds int64 // that the packet has stayed for
}

func (p *pool[T]) Add(packet Packet[T], now time.Time) {
	p.grid.added(now, len(p.held) == 0)
	p.held = append(p.held, pooled[T]{item: packet.Item, sender: packet.Sender})
}

func (p *pool[T]) Due(now time.Time) (out []T, next time.Time) {
	clear(p.batch) // the items may hold memory
	p.batch = p.batch[:0]
	if len(p.held) == 0 {
		return nil, time.Time{}
	}
	if !p.grid.due(now) {
		return nil, p.grid.tick
	}
	leaving, err := p.choose()
	if err != nil {
		return nil, now.Add(retryAfter)
	}
	for i := range p.held[:leaving] {
		p.batch = append(p.batch, p.held[i].item)
	}
	stay := copy(p.held, p.held[leaving:])
	clear(p.held[stay:])
	p.held = p.held[:stay]
	if stay == 0 {
		return p.batch, time.Time{}
	}
	for i := range p.held {
		p.held[i].rounds++
	}
	p.grid.advance(now)
	return p.batch, p.grid.tick
}

// choose moves those that leave to the front of held, in the order in which they leave, and returns how many they are. If
// it fails, held has another order.
func (p *pool[T]) choose() (leaving int, err error) {
	chosen := p.chosen()
	for ; leaving < chosen; leaving++ {
		other, err := p.random.below(uint64(len(p.held) - leaving))
		if err != nil {
			return 0, err
		}
		p.swap(leaving, leaving+int(other))
	}
	for i := leaving; i < len(p.held); i++ {
		if p.held[i].rounds+1 >= p.rounds {
			p.swap(leaving, i)
			leaving++
		}
	}
	return leaving, shuffle(&p.random, p.held[:leaving]) // places do not tell who was not chosen but too old
}

// chosen returns how many packets leave by chance.
func (p *pool[T]) chosen() int {
	n := len(p.held)
	if n <= p.min || p.countSenders() < p.size {
		return 0
	}
	return max(1, min(n-p.min, int(float64(n)*p.fraction)))
}

func (p *pool[T]) countSenders() int {
	for i := range p.held {
		p.senders[p.held[i].sender] = struct{}{}
	}
	count := len(p.senders)
	clear(p.senders) // keep nobody's name longer than the packets
	return count
}

func (p *pool[T]) swap(i, j int) { p.held[i], p.held[j] = p.held[j], p.held[i] }
