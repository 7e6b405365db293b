package node

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sphinxmix.example/node/link"
	"sphinxmix.example/sphinx"
)

// A gateway keeps the mailbox of a client whose link has ended for link.Retention, and gives the replies in it to the
// next link that names the same secret, in their order. Each reply is delivered at most once: what was written to a link
// that broke before its client had read it is lost.

// The limits of what is kept for clients that are away, none of whom has to prove that it was ever more than a connection.
// Beyond the first the oldest mailbox of that address goes, beyond the others the oldest of the address that has most: so
// who makes many at one address pushes out its own.
const (
	maxAwayPerHost = 64   // mailboxes of one address
	maxAway        = 1024 // mailboxes
	awayMemory     = maxMemory / 8
)

// mailbox is where replies for one client wait for its link, or for its return.
type mailbox struct {
	client string
	queue  chan *packet

	// What follows is guarded by mailboxes.mu.
	taken *delivery // by the newest link; nil while the client is away
	host  string    // where the client was when it left
	until time.Time // when the mailbox is given up that is not taken
}

// delivery is what one link has of a mailbox.
type delivery struct {
	box     *mailbox
	conn    *link.Conn
	ctx     context.Context // ends with the link, or when another takes the mailbox
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// mailboxes are those of all clients. A client names its mailbox by the hash of a secret, so whoever has seen the name
// cannot take its replies.
type mailboxes struct {
	retention time.Duration
	left      chan struct{} // holds one when expire is to be called

	mu      sync.Mutex
	known   map[string]*mailbox // by client id; guarded by mu
	away    []*mailbox          // those that are not taken, who left first is first; guarded by mu
	waiting int                 // packets in them; guarded by mu
	closed  bool                // nothing is kept any more; guarded by mu
}

func newMailboxes(epoch time.Duration) mailboxes {
	return mailboxes{
		retention: min(link.Retention, epoch),
		left:      make(chan struct{}, 1),
		known:     make(map[string]*mailbox),
	}
}

// subscribe gives conn the mailbox of the secret that a Subscribe frame starts with, and starts its delivery. A link that
// had it before is closed first, so that nothing goes over it any more.
func (m *mailboxes) subscribe(ctx context.Context, n *Node, conn *link.Conn, frame []byte) *delivery {
	var secret link.MailboxSecret
	copy(secret[:], frame)
	client := string(secret.ClientID())
	d := &delivery{conn: conn}
	d.ctx, d.cancel = context.WithCancel(ctx)
	m.mu.Lock()
	box := m.known[client]
	switch {
	case box == nil:
		box = &mailbox{client: client, queue: make(chan *packet, clientQueue)}
		m.known[client] = box
	case box.taken != nil:
		box.taken.end()
	default:
		m.takeBack(box)
	}
	d.box, box.taken = box, d
	m.mu.Unlock()
	d.running.Go(func() { n.deliver(d) })
	return d
}

// end ends a delivery, whatever it waits for, and its link with it.
func (d *delivery) end() {
	d.cancel()
	d.conn.Close()
}

// leave ends the delivery of a link that has ended. The mailbox waits for the client's return unless another link has
// taken it.
func (m *mailboxes) leave(n *Node, d *delivery) {
	d.end()
	d.running.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	box := d.box
	if box.taken != d {
		return
	}
	box.taken, box.host, box.until = nil, d.conn.Host(), time.Now().Add(m.retention)
	m.away = append(m.away, box)
	m.waiting += len(box.queue)
	if m.closed {
		m.remove(n, box)
		return
	}
	m.boundCount(n, box.host)
	m.boundMemory(n)
	wake(m.left)
}

// offer gives the reply p to its client's mailbox, or drops it. It holds the lock meanwhile, so that nothing comes into
// a mailbox that was given up and emptied.
func (m *mailboxes) offer(n *Node, p *packet) {
	m.mu.Lock()
	defer m.mu.Unlock()
	box := m.known[string(p.layer.Client)]
	if box == nil {
		n.drop(p, DropNoClient)
		return
	}
	before := len(box.queue)
	n.offer(box.queue, p, DropClientQueue)
	if box.taken == nil {
		m.waiting += len(box.queue) - before
		m.boundMemory(n)
	}
}

// boundCount gives mailboxes up until there are not too many, when one has come at that host. It is called with mu held.
func (m *mailboxes) boundCount(n *Node, host string) {
	count := 0
	for _, box := range m.away {
		if box.host == host {
			count++
		}
	}
	if count > maxAwayPerHost {
		m.remove(n, m.oldest(host))
	}
	for len(m.away) > maxAway {
		m.remove(n, m.oldest(m.most(func(*mailbox) int { return 1 })))
	}
}

// boundMemory gives mailboxes up until there is not too much in them. It is called with mu held.
func (m *mailboxes) boundMemory(n *Node) {
	for m.waiting*n.cfg.Network.PacketSize() > awayMemory {
		m.remove(n, m.oldest(m.most(func(box *mailbox) int { return len(box.queue) })))
	}
}

// oldest returns the mailbox of a host that has been away for longest. It is called with mu held.
func (m *mailboxes) oldest(host string) *mailbox {
	return m.away[slices.IndexFunc(m.away, func(box *mailbox) bool { return box.host == host })]
}

// most returns the host whose mailboxes weigh most. It is called with mu held.
func (m *mailboxes) most(weight func(*mailbox) int) (heaviest string) {
	sums, most := make(map[string]int), -1
	for _, box := range m.away {
		if sums[box.host] += weight(box); sums[box.host] > most {
			heaviest, most = box.host, sums[box.host]
		}
	}
	return heaviest
}

// takeBack takes a mailbox from those that are away. It is called with mu held.
func (m *mailboxes) takeBack(box *mailbox) {
	i := slices.Index(m.away, box)
	m.away = slices.Delete(m.away, i, i+1)
	m.waiting -= len(box.queue)
}

// remove gives up a mailbox that is away, and drops what is in it. It is called with mu held.
func (m *mailboxes) remove(n *Node, box *mailbox) {
	m.takeBack(box)
	delete(m.known, box.client)
	n.discard(box.queue, DropNoClient)
}

// expire gives up the mailboxes that have waited for long enough at the time now, and returns when it is to be called
// again; zero if none is away.
func (m *mailboxes) expire(n *Node, now time.Time) (next time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.away) > 0 {
		if until := m.away[0].until; now.Before(until) {
			return until
		}
		m.remove(n, m.away[0])
	}
	return time.Time{}
}

// close gives up all that are away, and from then on those whose links end.
func (m *mailboxes) close(n *Node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for len(m.away) > 0 {
		m.remove(n, m.away[0])
	}
}

// keepMailboxes has mailboxes given up in time, until ctx ends.
func (n *Node) keepMailboxes(ctx context.Context) error {
	defer n.boxes.close(n)
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		select {
		case <-due.C:
		case <-n.boxes.left:
		case <-ctx.Done():
			return nil
		}
		if next := n.boxes.expire(n, time.Now()); !next.IsZero() {
			due.Reset(time.Until(next))
		}
	}
}

// kept returns how many packets wait for clients that are away.
func (m *mailboxes) kept() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.waiting
}

// deliver sends replies to one client until its link fails, or another takes the mailbox.
func (n *Node) deliver(d *delivery) {
	size := n.cfg.Network.PacketSize()
	out := &outlet{conn: d.conn, padding: make([]byte, size), sent: []*atomic.Uint64{&n.counts.delivered}, lost: []*atomic.Uint64{&n.counts.drops[DropNoClient]}}
	defer out.close()
	frame := make([]byte, size)
	idle := time.NewTicker(link.KeepAlive)
	defer idle.Stop()
	for d.ctx.Err() == nil {
		select {
		case p := <-d.box.queue:
			copy(frame, p.layer.MessageID[:])
			copy(frame[sphinx.MessageIDSize:], p.layer.Payload)
			n.recycle(p)
			if out.write(link.Reply, 0, frame, len(d.box.queue) == 0) != nil {
				return
			}
		case <-idle.C:
			if out.pad() != nil {
				return
			}
		case <-d.ctx.Done():
			return
		}
	}
}
