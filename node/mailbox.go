package node

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"sphinxmix.example/node/link"
	"sphinxmix.example/sphinx"
)

// mailbox is where replies for one connected client wait for its link.
type mailbox struct {
	client string
	queue  chan *packet
	end    chan struct{}  // closed to end the delivery
	ended  sync.WaitGroup // of the delivery
}

// mailboxes are those of all connected clients. A client names its mailbox by the hash of a secret, so whoever has seen
// the name cannot take its replies.
type mailboxes struct {
	mu   sync.Mutex
	open map[string]chan *packet // by client id; guarded by mu
}

// subscribe opens the mailbox of the secret that a Subscribe frame starts with, and starts its delivery. It takes the
// place of an older one of the same client.
func (m *mailboxes) subscribe(frame []byte, deliver func(*mailbox)) *mailbox {
	var secret link.MailboxSecret
	copy(secret[:], frame)
	box := &mailbox{client: string(secret.ClientID()), queue: make(chan *packet, clientQueue), end: make(chan struct{})}
	m.mu.Lock()
	m.open[box.client] = box.queue
	m.mu.Unlock()
	box.ended.Go(func() { deliver(box) })
	return box
}

// offer gives the reply p to its client's mailbox, or drops it. It holds the lock meanwhile, so that nothing comes into
// a mailbox that was closed and emptied.
func (m *mailboxes) offer(n *Node, p *packet) {
	m.mu.Lock()
	defer m.mu.Unlock()
	queue, open := m.open[string(p.layer.Client)]
	if !open {
		n.drop(p, DropNoClient)
		return
	}
	n.offer(queue, p, DropClientQueue)
}

// close ends a mailbox and waits for its delivery to end.
func (m *mailboxes) close(box *mailbox) {
	m.mu.Lock()
	if m.open[box.client] == box.queue {
		delete(m.open, box.client)
	}
	m.mu.Unlock()
	close(box.end)
	box.ended.Wait()
}

// deliver sends replies to one client until its mailbox is closed or its link fails.
func (n *Node) deliver(ctx context.Context, conn *link.Conn, box *mailbox) {
	out := &outlet{conn: conn, padding: make([]byte, n.cfg.Network.PacketSize()), sent: []*atomic.Uint64{&n.counts.delivered}, lost: []*atomic.Uint64{&n.counts.drops[DropNoClient]}}
	defer out.close()
	frame := make([]byte, n.cfg.Network.PacketSize())
	idle := time.NewTicker(link.KeepAlive)
	defer idle.Stop()
	for {
		select {
		case p := <-box.queue:
			copy(frame, p.layer.MessageID[:])
			copy(frame[sphinx.MessageIDSize:], p.layer.Payload)
			n.recycle(p)
			if out.write(link.Reply, 0, frame, len(box.queue) == 0) != nil {
				return
			}
		case <-idle.C:
			if out.pad() != nil {
				return
			}
		case <-box.end:
			return
		case <-ctx.Done():
			return
		}
	}
}
