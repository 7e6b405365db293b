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

// expectation is one SURB that was sent out.
type expectation struct {
	key      *sphinx.ReplyKey
	request  *request
	sequence int // of the cell that carries it
	sent     time.Time
}

// expect enters a SURB, unless its request has ended.
func (b *book) expect(id sphinx.MessageID, e *expectation) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.request.over {
		e.key.Wipe()
		return false
	}
	b.expected[id] = e
	return true
}

// arrive opens the payload that came with id, gives the answer in it to its request, and returns how long it took.
// Payloads that nobody waits for, that do not open, or that do not answer the cell whose SURB they came through are
// dropped: the gateway and the service may send anything.
func (b *book) arrive(id sphinx.MessageID, payload []byte) (trip time.Duration, ok bool) {
	e, message := b.open(id, payload)
	if e == nil {
		return 0, false
	}
	c, err := cell.Parse(message, 0)
	last := e.sequence == e.request.total-1
	if err != nil || c.Stream != e.request.stream || int(c.Sequence) != e.sequence || c.Last != last || c.SURBs != nil {
		return 0, false
	}
	e.request.deliver(answer{e.sequence, bytes.Clone(c.Data)})
	return time.Since(e.sent), true
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
	for id, e := range b.expected {
		if e.request == r {
			e.key.Wipe()
			delete(b.expected, id)
		}
	}
}
