package client

import (
	"sync"

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
	key     *sphinx.ReplyKey
	request *request
}

// expect enters a SURB of request.
func (b *book) expect(id sphinx.MessageID, key *sphinx.ReplyKey, r *request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected[id] = &expectation{key, r}
}

// arrive opens the payload that came with id and gives the cell in it to its request. Payloads that nobody waits for, or
// that do not open, are dropped; the true reply can still come.
func (b *book) arrive(id sphinx.MessageID, payload []byte) {
	r, message := b.open(id, payload)
	if r == nil {
		return
	}
	c, err := cell.Parse(message, 0) // the service may have put anything into it
	if err != nil || c.Stream != r.stream {
		return
	}
	c.Data = append([]byte(nil), c.Data...)
	select {
	case r.arrived <- c:
	case <-r.ended:
	}
}

func (b *book) open(id sphinx.MessageID, payload []byte) (*request, []byte) {
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
	return e.request, message
}

// forget removes what a request that has ended still waits for.
func (b *book) forget(r *request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, e := range b.expected {
		if e.request == r {
			e.key.Wipe()
			delete(b.expected, id)
		}
	}
}
