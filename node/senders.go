package node

import (
	"context"
	"sync"
	"sync/atomic"

	"sphinxmix.example/node/link"
)

// sender is who handed packets in, as the batch tells senders apart. What it has in the node is bounded: who has used up
// its part is not read from until some of it has moved on. Mixes that the directory lists have no share of the batch, as
// they bring the packets of many.
type sender struct {
	name    string
	share   chan struct{} // holds one for each packet of its own, from its link to the end of its batch; nil without bound
	opening chan struct{} // and from its link until it is opened
	links   int           // guarded by senders.mu
}

// senders are those with a link or a packet here.
type senders struct {
	share int // of the batch, in packets, for each that is no listed mix

	mu    sync.Mutex
	known map[string]*sender // guarded by mu

	mixes, others atomic.Int64 // links
}

// join counts one more link of the sender of that name.
func (s *senders) join(name string, listed bool) *sender {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.find(name, listed)
	from.links++
	return from
}

// named returns the sender of that name for packets that come over no link: those that it makes a service send.
func (s *senders) named(name string, listed bool) *sender {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(name, listed)
}

// find returns the sender of that name, who is new if nothing of it is here. It is called with mu held.
func (s *senders) find(name string, listed bool) *sender {
	from := s.known[name]
	if from == nil {
		from = &sender{name: name, opening: make(chan struct{}, openingShare)}
		if !listed {
			from.share = make(chan struct{}, s.share)
		}
		s.known[name] = from
	}
	return from
}

// leave takes a link back, and forgets the senders of whom nothing is left. One that still has packets here stays, or it
// would have new shares with each new link.
func (s *senders) leave(from *sender) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from.links--
	for name, known := range s.known {
		if known.links == 0 && len(known.share) == 0 && len(known.opening) == 0 {
			delete(s.known, name)
		}
	}
}

// openingShare is how many packets of one sender wait to be opened at a time: enough to keep all workers busy, and few
// beside those of others, however many links it has.
var openingShare = maxUnwrap * (workers + 1)

// admit waits until the sender may have one more packet here; false if ctx ends before that.
func (p *packet) admit(ctx context.Context, from *sender) bool {
	p.from = from
	if from.share != nil {
		if !acquire(ctx, from.share) {
			return false
		}
		p.shared = true
	}
	p.opening = acquire(ctx, from.opening)
	return p.opening
}

// tryAdmit admits a packet that is not to be opened, and does not wait.
func (p *packet) tryAdmit(from *sender) bool {
	p.from = from
	if from.share != nil {
		select {
		case from.share <- struct{}{}:
			p.shared = true
		default:
			return false
		}
	}
	return true
}

func acquire(ctx context.Context, places chan<- struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	default:
	}
	select {
	case places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// leaveOpening makes room for another packet of its sender to be opened.
func (p *packet) leaveOpening() {
	if p.opening {
		p.opening = false
		<-p.from.opening
	}
}

// leaveShare makes room for another packet of its sender in the batch.
func (p *packet) leaveShare() {
	if p.shared {
		p.shared = false
		<-p.from.share
	}
}

// senderOf tells senders apart for the batch, and says whether it is a mix that the directory lists. Anyone can make any
// number of keys and links, and register any number of mixes, so that all count by address: mixes and others apart.
func (n *Node) senderOf(conn *link.Conn) (name string, listed bool) {
	if n.lists(conn.Peer()) {
		return "mixes at " + conn.Host(), true
	}
	return "others at " + conn.Host(), false
}
