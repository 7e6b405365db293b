package client

import (
	"bytes"
	"sync"
	"time"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/sphinx"
)

// book is the SURB book: what each reply is expected for, and the key that opens it.
type book struct {
	mu       sync.Mutex
	expected map[sphinx.MessageID]*expectation // guarded by mu
}

// expectation is one SURB that was sent out, in a cell or as a loop.
type expectation struct {
	key     *sphinx.ReplyKey
	mailbox *mailbox // that it leads to
	sent    time.Time

	request *request  // nil for a loop
	attempt *attempt  // that the cell went with
	lost    time.Time // when a loop counts as lost
}

// expect enters a SURB, unless its request has ended.
func (b *book) expect(id sphinx.MessageID, e *expectation) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.request != nil && e.request.over {
		e.key.Wipe()
		return false
	}
	b.expected[id] = e
	return true
}

// arrive takes what the gateway has delivered under a name. Payloads that nobody waits for, that do not open, or that do
// not answer the cell whose SURB they came through are dropped: the gateway and the service may send anything.
func (c *Client) arrive(id sphinx.MessageID, payload []byte) {
	e, message := c.book.open(id, payload)
	switch {
	case e == nil:
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

// lose removes what leads to a mailbox that is no more, tells the requests, and returns how many loops were among it.
func (b *book) lose(m *mailbox) (loops uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.remove(func(e *expectation) bool { return e.mailbox == m }) {
		if e.request == nil {
			loops++
		} else {
			e.request.deliver(event{attempt: e.attempt, failed: errLost})
		}
	}
	return loops
}

// giveUp removes the loops that count as lost at the time now, and returns how many there were.
func (b *book) giveUp(now time.Time) (loops uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return uint64(len(b.remove(func(e *expectation) bool { return e.request == nil && now.After(e.lost) })))
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
