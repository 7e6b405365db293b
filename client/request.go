package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/node/directory"
)

// MaxMessage is the length in bytes of the longest message that Request sends: 64 MiB.
const MaxMessage = 64 << 20

// window is how many cells of one request wait for their answers at once.
const window = 512

// Message is what Request and Send send.
type Message struct {
	To   string // the service
	Body []byte // at most MaxMessage bytes; not changed, and not to be changed meanwhile

	// What follows may be nil, and is called by the goroutine that called Request or Send, before that returns.

	// Routed is told the two paths of the first cell, each time that this one is sent; back is nil for Send.
	Routed func(out, back []directory.NodeID)
	// Progress is told after each answer of a Request how many cells have been answered, of how many.
	Progress func(done, total int)
}

// Request sends a message to a service and returns its reply. A message longer than one packet takes goes as many cells,
// each of which is sent again, along other paths, until it is answered. So a service may get a cell more than once, and
// one that must act on each only once has to remember which it had: by their stream and their sequence. The service
// answers a cell with one of the same sequence; the reply is the answers, joined.
//
// It returns an error that wraps ErrView, ErrNetwork or ErrNoService at once where the network, as the client knows it, has
// no path for the message. Later it waits for that to change, as it waits for a gateway and for answers, until ctx ends;
// the error then wraps what the client waited for too: one of those, or ErrGateway.
func (c *Client) Request(ctx context.Context, m Message) ([]byte, error) {
	if len(m.Body) > MaxMessage {
		return nil, fmt.Errorf("%w: %d bytes, at most %d; split it", ErrTooLong, len(m.Body), MaxMessage)
	}
	room := c.params.MaxMessage(len(m.To)) - cell.HeaderSize - c.params.SURBSize()
	if room < 1 {
		return nil, fmt.Errorf("client: a payload of %d bytes has no room for a SURB", c.params.PayloadSize)
	}
	s, _ := c.access.get()
	if _, err := c.route(s, m.To); err != nil && !errors.Is(err, errUnfit) {
		return nil, err
	}
	r := &request{
		Message: m,
		stream:  randomStream(),
		room:    room,
		total:   cell.Count(len(m.Body), room),
		news:    make(chan struct{}, 1),
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

	news  chan struct{} // holds one while inbox is not empty
	mu    sync.Mutex
	inbox []event // from other goroutines; guarded by mu

	over bool // nobody waits for answers any more; guarded by the book's mutex

	// What follows belongs to the goroutine that called Request.
	answers  [][]byte         // by sequence; nil where there is none yet
	answered int              // how many are not nil
	fresh    int              // the first cell that was never sent
	waiting  map[int]*attempt // cells that were sent and not answered, by sequence: the last time that each was sent
	overdue  []int            // those of them that are to be sent again now; some may have been answered since
	obstacle error            // why a cell could not be sent; nil once an answer has come
	resume   time.Time        // when to try whether the obstacle has gone; nothing is sent before
}

// attempt is one time that a cell was sent.
type attempt struct {
	index int // of the cell; never changed

	// What follows belongs to the goroutine that called Request.
	due    time.Time // when the cell is to be sent again; zero until it leaves
	before int       // how often it was sent before and not answered in time
	failed bool      // no answer can come any more
}

// event is what has become of an attempt: where the cell goes, that it leaves, its answer, or that there will be none.
type event struct {
	attempt   *attempt
	out, back []directory.NodeID
	left      time.Time
	data      []byte // not nil for an answer, even an empty one
	failed    error  // why no answer can come
}

// errLost says that an answer would come to a mailbox that is no more.
var errLost = errors.New("client: lost with its gateway")

// obstaclePause is how long a request waits that the network has no path for.
const obstaclePause = time.Second

// run sends cells and takes answers until all are here.
func (c *Client) run(ctx context.Context, r *request) ([]byte, error) {
	tick := time.NewTicker(minTimeout / 4)
	defer tick.Stop()
	for r.answered < r.total {
		var jobs chan<- job
		next := r.next()
		if next != nil && !time.Now().Before(r.resume) {
			jobs = c.jobs
		}
		select {
		case jobs <- piece{r, next}:
			r.sent(next)
		case <-r.news:
			if r.accept(r.take(), &c.trips) {
				r.findOverdue(time.Now())
			}
		case now := <-tick.C:
			r.findOverdue(now)
		case <-ctx.Done():
			return nil, c.ended(ctx, r)
		case <-c.ctx.Done():
			return nil, context.Cause(c.ctx)
		}
	}
	return bytes.Join(r.answers, nil), nil
}

// ended says how far a request had come when its context ended.
func (c *Client) ended(ctx context.Context, r *request) error {
	err := fmt.Errorf("client: %d of %d cells answered: %w", r.answered, r.total, context.Cause(ctx))
	if missing := c.access.missing(); missing != nil {
		return fmt.Errorf("%w (%w)", err, missing)
	}
	if r.obstacle != nil {
		return fmt.Errorf("%w (%w)", err, r.obstacle)
	}
	return err
}

// next returns what to send now, or nil: an overdue cell first, else the next while the window is open.
func (r *request) next() *attempt {
	for len(r.overdue) > 0 {
		if last := r.waiting[r.overdue[0]]; last != nil {
			again := &attempt{index: last.index, before: last.before}
			if !last.failed {
				again.before++
			}
			return again
		}
		r.overdue = r.overdue[1:]
	}
	if r.fresh == r.total || len(r.waiting) >= window {
		return nil
	}
	return &attempt{index: r.fresh}
}

// sent takes note that what next returned is on its way.
func (r *request) sent(a *attempt) {
	if r.waiting[a.index] == nil {
		r.fresh++
	} else {
		r.overdue = r.overdue[1:]
	}
	r.waiting[a.index] = a
}

// findOverdue queues the cells that have waited for an answer for long enough to be sent again.
func (r *request) findOverdue(now time.Time) {
	if len(r.overdue) > 0 {
		return // the last ones have not all gone yet
	}
	for index, a := range r.waiting {
		if !a.due.IsZero() && !now.Before(a.due) {
			r.overdue = append(r.overdue, index)
		}
	}
}

// deliver hands an event to the request, without waiting for it. There are at most four for each time that a cell is sent.
func (r *request) deliver(e event) {
	r.mu.Lock()
	r.inbox = append(r.inbox, e)
	r.mu.Unlock()
	select {
	case r.news <- struct{}{}:
	default:
	}
}

func (r *request) take() []event {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.inbox
	r.inbox = nil
	return taken
}

// accept takes note of events, and reports whether some cells are to be sent again.
func (r *request) accept(events []event, trips *trips) (again bool) {
	for _, e := range events {
		index := e.attempt.index
		switch {
		case e.out != nil:
			r.Routed(e.out, e.back)
		case !e.left.IsZero():
			if !e.attempt.failed {
				e.attempt.due = e.left.Add(trips.backedOff(trips.timeout(), e.attempt.before))
			}
		case e.failed != nil:
			again = true
			e.attempt.failed, e.attempt.due = true, time.Now()
			if e.failed != errLost {
				r.obstacle, r.resume = e.failed, time.Now().Add(obstaclePause)
			}
		case r.answers[index] == nil: // else it was sent twice
			r.obstacle = nil
			delete(r.waiting, index)
			r.answers[index] = e.data
			r.answered++
			if r.Progress != nil {
				r.Progress(r.answered, r.total)
			}
		}
	}
	return again
}

// piece is a request's cell as a job.
type piece struct {
	request *request
	attempt *attempt
}

func (j piece) done(err error) {
	e := event{attempt: j.attempt, failed: err}
	if err == nil {
		e.left = time.Now() // what waits behind others has the time of a round trip still before it
	}
	j.request.deliver(e)
}

// packet wraps the cell, with a SURB for its answer, along fresh paths.
func (j piece) packet(c *Client, s *session) (outgoing, error) {
	r := j.request
	to, err := c.route(s, r.To)
	if err != nil {
		return outgoing{}, err
	}
	surbs, err := c.newSURBs(s, to.hops(to.back))
	if err != nil {
		return outgoing{}, err
	}
	piece := cell.Piece(r.Body, r.room, r.stream, j.attempt.index)
	piece.SURBs = [][]byte{surbs[0].encoded}
	packet, err := c.params.Wrap(nil, nil, to.hops(to.out), []byte(r.To), piece.Append(nil))
	if err != nil {
		return outgoing{}, err
	}
	if !c.book.expect(surbs[0].id, &expectation{key: surbs[0].key, mailbox: s.mailbox, sent: time.Now(), request: r, attempt: j.attempt}) {
		return outgoing{}, nil
	}
	if j.attempt.index == 0 && r.Routed != nil {
		r.deliver(event{attempt: j.attempt, out: ids(to.out), back: ids(to.back)})
	}
	return outgoing{to.epochByte(), packet}, nil
}
