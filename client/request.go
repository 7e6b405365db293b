package client

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/sphinx"
)

// MaxMessage is the length in bytes of the longest message that Request sends, and of the longest reply: 64 MiB.
const MaxMessage = 64 << 20

const (
	window       = 512              // cells of one request that wait for their reply at once
	firstTimeout = 3 * time.Second  // before a cell is sent again, while no round trip was measured
	minTimeout   = time.Second      // and afterwards
	maxTimeout   = 30 * time.Second // and at most
)

// Message is what Request sends.
type Message struct {
	To   string // the service
	Body []byte // at most MaxMessage bytes; not changed, and not to be changed meanwhile

	// Progress, if not nil, is called after each reply with how many cells have been answered, of how many.
	Progress func(done, total int)
	// Routed, if not nil, is called with the two paths of the first packet.
	Routed func(out, back []directory.NodeID)
}

// request is one message under way. All but the channels belongs to the goroutine that called Request.
type request struct {
	service string
	stream  uint64
	body    []byte
	routed  func(out, back []directory.NodeID)

	arrived chan cell.Cell // from the reading goroutine
	failed  chan error     // from the wrapping goroutines; holds one
	ended   chan struct{}  // closed when Request returns

	room    int                  // data bytes in a cell
	total   int                  // cells of body
	fresh   int                  // the first cell that was never sent
	again   []uint32             // cells to send again
	joined  cell.Joiner          // of the reply
	waiting map[uint32]time.Time // cells without an answer, by when they were sent last
	resent  map[uint32]bool      // cells that were sent again: their round trip is not measured
	average time.Duration        // smoothed round trip
	varying time.Duration        // its smoothed deviation
}

// job is one cell to be wrapped and sent.
type job struct {
	request *request
	index   int
}

// Request sends a message to a service and returns its reply, which has arrived whole and once. A message longer than
// one packet takes goes as many cells, each of which is sent again until it is answered. The call ends with ctx.
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
		service: m.To,
		stream:  randomStream(),
		body:    m.Body,
		routed:  m.Routed,
		arrived: make(chan cell.Cell),
		failed:  make(chan error, 1),
		ended:   make(chan struct{}),
		room:    room,
		joined:  cell.Joiner{Limit: MaxMessage},
		waiting: make(map[uint32]time.Time),
		resent:  make(map[uint32]bool),
	}
	defer c.book.forget(r)
	defer close(r.ended)

	r.total = cell.Count(len(m.Body), room)
	done := 0
	overdue := time.NewTicker(minTimeout / 4)
	defer overdue.Stop()
	for done < r.total {
		jobs, index := c.jobs, r.next()
		if index < 0 {
			jobs = nil
		}
		select {
		case jobs <- job{r, index}:
			r.wrapped(index)
		case reply := <-r.arrived:
			fresh, err := r.answer(&reply)
			if err != nil {
				return nil, fmt.Errorf("client: reply of %q: %w", m.To, err)
			}
			if fresh {
				done++
				if m.Progress != nil {
					m.Progress(done, r.total)
				}
			}
		case <-overdue.C:
			r.findOverdue()
		case err := <-r.failed:
			return nil, err
		case <-ctx.Done():
			return nil, fmt.Errorf("client: %d of %d cells answered: %w", done, r.total, context.Cause(ctx))
		case <-c.ctx.Done():
			return nil, context.Cause(c.ctx)
		}
	}
	if !r.joined.Complete() {
		return nil, fmt.Errorf("client: reply of %q: %w", m.To, cell.ErrMalformed)
	}
	return r.joined.Message(), nil
}

// answer takes the reply to one cell and reports whether it was the first.
func (r *request) answer(reply *cell.Cell) (fresh bool, err error) {
	sent, waiting := r.waiting[reply.Sequence]
	if !waiting {
		return false, nil // to a cell that was sent twice, or never
	}
	delete(r.waiting, reply.Sequence)
	if !r.resent[reply.Sequence] {
		r.measure(time.Since(sent))
	}
	delete(r.resent, reply.Sequence)
	return r.joined.Add(reply)
}

// measure updates the round trip as RFC 6298 §2 does.
func (r *request) measure(trip time.Duration) {
	if r.average == 0 {
		r.average, r.varying = trip, trip/2
		return
	}
	r.varying += ((r.average - trip).Abs() - r.varying) / 4
	r.average += (trip - r.average) / 8
}

// timeout is how long a cell may wait for its answer.
func (r *request) timeout() time.Duration {
	if r.average == 0 {
		return firstTimeout
	}
	return min(max(minTimeout, r.average+4*r.varying), maxTimeout)
}

// next returns the cell to send now, or −1: an overdue one first, else the next while the window is open.
func (r *request) next() int {
	for len(r.again) > 0 {
		if _, waiting := r.waiting[r.again[0]]; waiting {
			return int(r.again[0])
		}
		r.again = r.again[1:] // answered meanwhile
	}
	if r.fresh == r.total || len(r.waiting) >= window {
		return -1
	}
	return r.fresh
}

// wrapped takes note that a cell which next returned is on its way.
func (r *request) wrapped(index int) {
	if index == r.fresh {
		r.fresh++
	} else {
		r.again = r.again[1:]
		r.resent[uint32(index)] = true
	}
	r.waiting[uint32(index)] = time.Now()
}

// findOverdue queues the cells that have waited too long to be sent again.
func (r *request) findOverdue() {
	limit := r.timeout()
	for sequence, sent := range r.waiting {
		if time.Since(sent) >= limit && !slices.Contains(r.again, sequence) {
			r.again = append(r.again, sequence)
		}
	}
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

// packet wraps one cell, with a SURB for its reply, along fresh paths.
func (c *Client) packet(j job) ([]byte, error) {
	r := j.request
	out, back, err := c.paths(r.service)
	if err != nil {
		return nil, err
	}
	if j.index == 0 && r.routed != nil {
		r.routed(ids(out), ids(back))
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
	piece := cell.Piece(r.body, r.room, r.stream, j.index)
	piece.SURBs = [][]byte{encoded}
	packet, err := c.params.Wrap(nil, nil, hops(out), []byte(r.service), piece.Append(nil))
	if err != nil {
		return nil, err
	}
	c.book.expect(id, key, r)
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
