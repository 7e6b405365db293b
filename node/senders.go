package node

import (
	"context"
	"sync"
	"sync/atomic"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
)

// sender is who handed packets in, as the batch tells senders apart. Its share of the node is bounded: who has used it up
// is not read from until a packet of its own has left its batch.
type sender struct {
	name  string
	slots chan struct{} // holds one for each packet of its own, from its link to the end of its batch
	links int           // guarded by senders.mu
	held  int           // packets in the strategy; belongs to the mixing goroutine
}

// senders are those with a link or a packet here.
type senders struct {
	mu    sync.Mutex
	known map[string]*sender // guarded by mu

	mixes, others atomic.Int64 // links
}

// join counts one more link of the sender of that name.
func (s *senders) join(name string) *sender {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.known[name]
	if from == nil {
		from = newSender(name)
		s.known[name] = from
	}
	from.links++
	return from
}

// leave takes a link back, and forgets the senders of whom nothing is left. One that still has packets here stays, or it
// would have a new share with each new link.
func (s *senders) leave(from *sender) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from.links--
	for name, known := range s.known {
		if known.links == 0 && len(known.slots) == 0 {
			delete(s.known, name)
		}
	}
}

func newSender(name string) *sender {
	return &sender{name: name, slots: make(chan struct{}, senderShare)}
}

// admit waits until the sender may have one more packet here; false if ctx ends before that.
func (s *sender) admit(ctx context.Context) bool {
	select {
	case s.slots <- struct{}{}:
		return true
	default:
	}
	select {
	case s.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// tryAdmit does not wait.
func (s *sender) tryAdmit() bool {
	select {
	case s.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s *sender) release() { <-s.slots }

// senderOf tells senders apart for the batch. A mix that the directory lists counts for itself. Everyone else, who can
// make any number of keys and links, counts by address.
func (n *Node) senderOf(conn *link.Conn) string {
	if n.lists(conn.Peer()) {
		return "mix " + directory.NodeIDOf(conn.Peer()).String()
	}
	return "address " + conn.Host()
}
