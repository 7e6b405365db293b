package client

import (
	"bytes"
	"sync"
	"time"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/client/stream"
	"sphinxmix.example/sphinx"
)

// book is the SURB book: what each reply is expected for, and the key that opens it.
type book struct {
	mu       sync.Mutex
	expected map[sphinx.MessageID]*expectation // guarded by mu
}

// expectation is one SURB that was sent out: in a cell of a request or of a tunnel, or as a loop.
type expectation struct {
	key     *sphinx.ReplyKey
	mailbox *mailbox // that it leads to
	sent    time.Time

	request *request // or nil
	attempt *attempt // that the request's cell went with

	tunnel *tunnel // or nil

	lost time.Time // when a loop counts as lost
}

// isLoop reports whether the SURB went as a loop.
func (e *expectation) isLoop() bool { return e.request == nil && e.tunnel == nil }

// expect enters a SURB, unless its request or its tunnel has ended.
func (b *book) expect(id sphinx.MessageID, e *expectation) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.request != nil && e.request.over || e.tunnel != nil && !e.tunnel.surbs.enter(b, id) {
		e.key.Wipe()
		return false
	}
	b.expected[id] = e
	return true
}

// surbs are those of one tunnel that were sent out, the oldest first. An exit uses them in about this order, so when there
// are many, the oldest are those that were lost.
type surbs struct {
	ids  []sphinx.MessageID // some may have come back; guarded by the book's mutex
	over bool               // the tunnel has ended; guarded by the book's mutex
}

// mostSURBs is how many SURBs of one tunnel may be out: twice what an exit is to have of them.
const mostSURBs = 2 * stream.MaxStock

// enter adds a SURB, in place of the oldest where there are too many. It returns false where the tunnel has ended.
func (s *surbs) enter(b *book, id sphinx.MessageID) bool {
	if s.over {
		return false
	}
	for len(s.ids) > 0 && (len(s.ids) >= mostSURBs || b.expected[s.ids[0]] == nil) {
		b.strike(s.ids[0])
		s.ids = s.ids[1:]
	}
	s.ids = append(s.ids, id)
	return true
}

// end removes all SURBs of a tunnel.
func (b *book) end(t *tunnel) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t.surbs.over = true
	for _, id := range t.surbs.ids {
		b.strike(id)
	}
	t.surbs.ids = nil
}

// strike removes one SURB, if it is still expected. It is called with mu held.
func (b *book) strike(id sphinx.MessageID) {
	if e := b.expected[id]; e != nil {
		e.key.Wipe()
		delete(b.expected, id)
	}
}

// arrive takes what the gateway has delivered under a name. Payloads that nobody waits for, that do not open, or that do
// not answer the cell whose SURB they came through are dropped: the gateway and the service may send anything.
func (c *Client) arrive(id sphinx.MessageID, payload []byte) {
	e, message := c.book.open(id, payload)
	switch {
	case e == nil:
	case e.tunnel != nil:
		e.tunnel.arrived(message)
	case e.request == nil:
		c.covers.returned.Add(1)
		c.loops.measure(time.Since(e.sent))
	case e.answeredBy(message):
		c.trips.measure(time.Since(e.sent))
	}
}

// answeredBy gives the answer in message to its request, if it is one.
func (e *expectation) answeredBy(message []byte) bool {
	answer, err := cell.Parse(message, 0)
	r, index := e.request, e.attempt.index
	last := index == r.total-1
	if err != nil || answer.Stream != r.stream || int(answer.Sequence) != index || answer.Last != last || answer.SURBs != nil {
		return false
	}
	r.deliver(event{attempt: e.attempt, data: bytes.Clone(answer.Data)})
	return true
}

// open returns what id is expected for and the message in payload, which id is not expected for from then on. What does
// not open changes nothing, so that the true reply can still come.
func (b *book) open(id sphinx.MessageID, payload []byte) (*expectation, []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.expected[id]
	if e == nil {
		return nil, nil
	}
	message, err := e.key.Open(payload)
	if err != nil {
		return nil, nil
	}
	delete(b.expected, id)
	return e, message
}

// forget ends a request, and removes what it still waits for.
func (b *book) forget(r *request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.over = true
	b.remove(func(e *expectation) bool { return e.request == r })
}

// lose removes what leads to a mailbox that is no more, tells the requests and the tunnels, and returns how many loops were
// among it.
func (b *book) lose(m *mailbox) (loops uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	told := make(map[*tunnel]bool)
	for _, e := range b.remove(func(e *expectation) bool { return e.mailbox == m }) {
		switch {
		case e.isLoop():
			loops++
		case e.request != nil:
			e.request.deliver(event{attempt: e.attempt, failed: errLost})
		case !told[e.tunnel]:
			told[e.tunnel] = true
			e.tunnel.Renew()
		}
	}
	return loops
}

// giveUp removes the loops that count as lost at the time now, and returns how many there were.
func (b *book) giveUp(now time.Time) (loops uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return uint64(len(b.remove(func(e *expectation) bool { return e.isLoop() && now.After(e.lost) })))
}

// remove removes all of which removed is true. It is called with mu held.
func (b *book) remove(removed func(*expectation) bool) (gone []*expectation) {
	for id, e := range b.expected {
		if removed(e) {
			e.key.Wipe()
			delete(b.expected, id)
			gone = append(gone, e)
		}
	}
	return gone
}
