package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/sphinx"
)

// MaxMessage is the length in bytes of the longest message that Request sends: 64 MiB.
const MaxMessage = 64 << 20

// window is how many cells of one request wait for their answers at once.
const window = 512

// Message is what Request sends.
type Message struct {
	To   string // the service
	Body []byte // at most MaxMessage bytes; not changed, and not to be changed meanwhile

	// Progress, if not nil, is called after each answer with how many cells have been answered, of how many.
	Progress func(done, total int)
	// Routed, if not nil, is called with the two paths of the first packet, by another goroutine.
	Routed func(out, back []directory.NodeID)
}

// Request sends a message to a service and returns its reply. A message longer than one packet takes goes as many cells,
// each of which is sent again, along other paths, until it is answered. The service answers a cell with one of the same
// sequence; the reply is the answers, joined. The call ends with ctx.
func (c *Client) Request(ctx context.Context, m Message) ([]byte, error) {
	if len(m.Body) > MaxMessage {
		return nil, fmt.Errorf("%w: %d bytes, at most %d; split it", ErrTooLong, len(m.Body), MaxMessage)
	}
	room := c.params.MaxMessage(len(m.To)) - cell.HeaderSize - c.params.SURBSize()
	if room < 1 {
		return nil, fmt.Errorf("client: a payload of %d bytes has no room for a SURB", c.params.PayloadSize)
	}
	if _, _, err := c.paths(m.To); err != nil {
		return nil, err
	}
	r := &request{
		Message: m,
		stream:  randomStream(),
		room:    room,
		total:   cell.Count(len(m.Body), room),
		news:    make(chan struct{}, 1),
		failed:  make(chan error, 1),
		waiting: make(map[int]*attempt),
	}
	r.answers = make([][]byte, r.total)
	defer c.book.forget(r)
	return c.run(ctx, r)
}

// request is one message under way.
type request struct {
	Message
	stream uint64
	room   int // data bytes in a cell
	total  int // cells

	failed chan error    // from the wrapping goroutines; holds one
	news   chan struct{} // holds one while inbox is not empty
	mu     sync.Mutex
	inbox  []answer // from the reading goroutine; guarded by mu

	over bool // nobody waits for answers any more; guarded by the book's mutex

	// What follows belongs to the goroutine that called Request.
	answers  [][]byte         // by sequence; nil where there is none yet
	answered int              // how many are not nil
	fresh    int              // the first cell that was never sent
	waiting  map[int]*attempt // cells that were sent and not answered
	overdue  []int            // those of them that are to be sent again now; some may have been answered since
}

// attempt is the last time that a cell was sent.
type attempt struct {
	due    time.Time // when it is to be sent again
	before int       // how often it was sent before
}

// answer is what came back for one cell.
type answer struct {
	sequence int
	data     []byte
}

// run sends cells and takes answers until all are here.
func (c *Client) run(ctx context.Context, r *request) ([]byte, error) {
	tick := time.NewTicker(minTimeout / 4)
	defer tick.Stop()
	for r.answered < r.total {
		jobs, index := c.jobs, r.next()
		if index < 0 {
			jobs = nil
		}
		select {
		case jobs <- job{r, index}:
			r.sent(index, c.trips.timeout())
		case <-r.news:
			for _, a := range r.take() {
				r.accept(a)
			}
		case now := <-tick.C:
			r.findOverdue(now)
		case err := <-r.failed:
			return nil, err
		case <-ctx.Done():
			return nil, fmt.Errorf("client: %d of %d cells answered: %w", r.answered, r.total, context.Cause(ctx))
		case <-c.ctx.Done():
			return nil, context.Cause(c.ctx)
		}
	}
	return bytes.Join(r.answers, nil), nil
}

// next returns the cell to send now, or −1: an overdue one first, else the next while the window is open.
func (r *request) next() int {
	for len(r.overdue) > 0 {
		if r.waiting[r.overdue[0]] != nil {
			return r.overdue[0]
		}
		r.overdue = r.overdue[1:]
	}
	if r.fresh == r.total || len(r.waiting) >= window {
		return -1
	}
	return r.fresh
}

// sent takes note that the cell which next returned is on its way, and is to be answered within timeout if it goes for
// the first time; each further time it is given twice as long.
func (r *request) sent(index int, timeout time.Duration) {
	a := r.waiting[index]
	if a == nil {
		a = &attempt{}
		r.waiting[index] = a
		r.fresh++
	} else {
		a.before++
		r.overdue = r.overdue[1:]
	}
	a.due = time.Now().Add(backedOff(timeout, a.before))
}

// findOverdue queues the cells that have waited too long, to be sent again.
func (r *request) findOverdue(now time.Time) {
	if len(r.overdue) > 0 {
		return // the last ones have not all gone yet
	}
	for index, a := range r.waiting {
		if now.After(a.due) {
			r.overdue = append(r.overdue, index)
		}
	}
}

// deliver hands an answer to the request, without waiting for it. There are never more than the cells that were sent.
func (r *request) deliver(a answer) {
	r.mu.Lock()
	r.inbox = append(r.inbox, a)
	r.mu.Unlock()
	select {
	case r.news <- struct{}{}:
	default:
	}
}

func (r *request) take() []answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.inbox
	r.inbox = nil
	return taken
}

// accept takes the first answer to a cell.
func (r *request) accept(a answer) {
	if r.answers[a.sequence] != nil {
		return // it was sent twice
	}
	delete(r.waiting, a.sequence)
	r.answers[a.sequence] = a.data
	r.answered++
	if r.Progress != nil {
		r.Progress(r.answered, r.total)
	}
}

// job is one cell to be wrapped and sent.
type job struct {
	request *request
	index   int
}

// wrap makes packets of cells until the client ends.
func (c *Client) wrap() error {
	for {
		select {
		case j := <-c.jobs:
			packet, err := c.packet(j)
			if err != nil {
				select {
				case j.request.failed <- err:
				default:
				}
				continue
			}
			if packet == nil {
				continue
			}
			select {
			case c.out <- packet:
			case <-c.ctx.Done():
				return nil
			}
		case <-c.ctx.Done():
			return nil
		}
	}
}

// packet wraps one cell, with a SURB for its answer, along fresh paths. It returns nil where the request has ended.
func (c *Client) packet(j job) ([]byte, error) {
	r := j.request
	out, back, err := c.paths(r.To)
	if err != nil {
		return nil, err
	}
	if j.index == 0 && r.Routed != nil {
		r.Routed(ids(out), ids(back))
	}
	var id sphinx.MessageID
	rand.Read(id[:])
	surb, key, err := c.params.NewSURB(nil, hops(back), c.id, id)
	if err != nil {
		return nil, err
	}
	encoded, err := surb.AppendBinary(make([]byte, 0, c.params.SURBSize()))
	if err != nil {
		return nil, err
	}
	piece := cell.Piece(r.Body, r.room, r.stream, j.index)
	piece.SURBs = [][]byte{encoded}
	packet, err := c.params.Wrap(nil, nil, hops(out), []byte(r.To), piece.Append(nil))
	if err != nil {
		return nil, err
	}
	if !c.book.expect(id, &expectation{key: key, request: r, sequence: j.index, sent: time.Now()}) {
		return nil, nil
	}
	return packet, nil
}

func ids(path []*directory.Descriptor) []directory.NodeID {
	ids := make([]directory.NodeID, len(path))
	for i, node := range path {
		ids[i] = node.ID()
	}
	return ids
}

func randomStream() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:])
}
