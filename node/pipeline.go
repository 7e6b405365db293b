package node

import (
	"context"
	"errors"
	"time"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/mix"
	"sphinxmix.example/node/replay"
	"sphinxmix.example/sphinx"
)

// A packet's way through a node. Each stage owns the packet while it has it, and a packet that ends anywhere but on a
// link is counted with its reason.
//
//  1. receive   (parallel, one per link)   frame → packet; waits while the next stage is busy, and TCP with it
//  2. unwrap    (parallel, one per core)   what is waiting is opened together; replays are refused
//  3. mix       (sequential)               packets are held until their batch is released, in shuffled order
//  4. release   (sequential, part of mix)  to a peer's queue, a service or a mailbox: never waits
//  5. send      (parallel, one per peer)   packet → frame; see peers.go
//     serve     (sequential)               payload → service, whose replies enter stage 3
//     deliver   (parallel, one per client) payload → frame; see mailbox.go

// packet is the unit that moves through the stages.
type packet struct {
	bytes  []byte // one packet
	sender string // who handed it in, as the batch tells senders apart
	layer  sphinx.Layer
}

// keyEpoch is the one epoch whose key this node has.
const keyEpoch = 0

func (n *Node) take() *packet {
	n.live.Add(1)
	return n.free.Get().(*packet)
}

func (n *Node) recycle(p *packet) {
	n.live.Add(-1)
	p.sender, p.layer = "", sphinx.Layer{}
	n.free.Put(p)
}

func (n *Node) drop(p *packet, reason Drop) {
	n.counts.drops[reason].Add(1)
	n.recycle(p)
}

// receive is stage 1 for one link. It returns when the link ends.
func (n *Node) receive(ctx context.Context, conn *link.Conn) {
	var (
		view   *directory.View // that sender was last read from
		sender string
		box    *mailbox
	)
	defer func() {
		if box != nil {
			n.boxes.close(box)
			n.discard(box.queue, DropNoClient)
		}
	}()
	for {
		p := n.take()
		kind, epoch, err := conn.ReadFrame(p.bytes)
		switch {
		case err != nil:
			n.recycle(p)
			return
		case kind == link.Subscribe && box == nil && conn.Peer() == nil:
			box = n.boxes.subscribe(p.bytes, func(b *mailbox) { n.deliver(ctx, conn, b) })
			clear(p.bytes) // of the secret
			n.recycle(p)
		case kind != link.Packet:
			n.drop(p, DropFrame)
			return
		case epoch != keyEpoch:
			n.drop(p, DropEpoch)
		default:
			n.counts.received.Add(1)
			if now := n.View(); sender == "" || now != view {
				view, sender = now, n.senderOf(conn)
			}
			p.sender = sender
			select {
			case n.inbound <- p:
			case <-ctx.Done():
				return
			}
		}
	}
}

// senderOf tells senders apart for the batch. A mix that the directory lists counts for itself. Everyone else, who can
// make any number of keys and links, counts by address.
func (n *Node) senderOf(conn *link.Conn) string {
	if n.lists(conn.Peer()) {
		return "mix " + directory.NodeIDOf(conn.Peer()).String()
	}
	return "address " + conn.Host()
}

// unwrap is stage 2 on one core.
func (n *Node) unwrap(ctx context.Context) error {
	unwrapper, err := sphinx.NewUnwrapper(n.cfg.Params, n.key, n.tags)
	if err != nil {
		return err
	}
	defer unwrapper.Wipe()
	var (
		packets [maxUnwrap]*packet
		bytes   [maxUnwrap][]byte
		layers  [maxUnwrap]sphinx.Layer
		errs    [maxUnwrap]error
	)
	for {
		waiting, ok := gather(ctx, n.inbound, packets[:])
		if !ok {
			return nil
		}
		for i := range waiting {
			bytes[i] = packets[i].bytes
		}
		unwrapper.UnwrapBatch(bytes[:waiting], layers[:waiting], errs[:waiting])
		for i, p := range packets[:waiting] {
			if errs[i] != nil {
				if errors.Is(errs[i], replay.ErrFull) {
					return errs[i] // a mix that refuses everything must not stay in the network
				}
				n.drop(p, dropOf(errs[i]))
				continue
			}
			p.layer = layers[i]
			select {
			case n.opened <- p:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// gather waits for one packet and takes those that are waiting behind it, as many as fit.
func gather(ctx context.Context, from <-chan *packet, into []*packet) (count int, ok bool) {
	select {
	case into[0] = <-from:
	case <-ctx.Done():
		return 0, false
	}
	for count = 1; count < len(into); count++ {
		select {
		case into[count] = <-from:
		default:
			return count, true
		}
	}
	return count, true
}

// mix is stages 3 and 4. The batch and the peers belong to it alone.
func (n *Node) mix(ctx context.Context) error {
	peers := newPeers(ctx, n)
	defer peers.wait()
	due := time.NewTimer(0)
	defer due.Stop()
	held := make(map[string]int) // packets in the batch by sender
	for {
		opened := n.opened
		if n.batch.Held() >= maxHeld {
			opened = nil
		}
		select {
		case p := <-opened:
			n.hold(p, held)
			for range min(len(opened), maxUnwrap) { // so that a busy node asks the batch once for many packets
				n.hold(<-opened, held)
			}
		case <-due.C:
		case <-n.viewChanged:
			peers.forgetChanged(n.View())
		case <-ctx.Done():
			return nil
		}
		out, next := n.batch.Due(time.Now())
		if len(out) > 0 {
			n.counts.batches.Add(1)
			clear(held)
		}
		for _, p := range out {
			n.release(p, peers)
		}
		if !next.IsZero() {
			due.Reset(time.Until(next))
		}
	}
}

// hold adds p to the batch, unless its sender has its share there.
func (n *Node) hold(p *packet, held map[string]int) {
	if held[p.sender] >= senderShare {
		n.drop(p, DropSender)
		return
	}
	held[p.sender]++
	n.batch.Add(mix.Packet[*packet]{Sender: p.sender, Item: p}, time.Now())
}

// release is stage 4 for one packet.
func (n *Node) release(p *packet, peers *peers) {
	switch p.layer.Route {
	case sphinx.Relay:
		route, ok := directory.ParseRoute(p.layer.Next)
		switch {
		case !ok || route.Epoch != keyEpoch || route.Node == n.id: // nobody honest takes one mix twice in a row
			n.drop(p, DropNextHop)
		default:
			peers.send(route.Node, p)
		}
	case sphinx.Exit:
		n.offer(n.exits, p, DropServiceQueue)
	case sphinx.Reply:
		n.boxes.offer(n, p)
	}
}

// offer gives p to a queue, or drops it where that is full, or the node's memory.
func (n *Node) offer(queue chan<- *packet, p *packet, reason Drop) {
	if n.live.Load()*int64(len(p.bytes)) > maxMemory {
		n.drop(p, reason)
		return
	}
	select {
	case queue <- p:
	default:
		n.drop(p, reason)
	}
}

// discard drops what is left in a queue that nobody empties any more.
func (n *Node) discard(queue <-chan *packet, reason Drop) {
	for {
		select {
		case left := <-queue:
			n.drop(left, reason)
		default:
			return
		}
	}
}

// serveExits gives the payloads that end here to their services.
func (n *Node) serveExits(ctx context.Context) error {
	var sender string // of the message that a service has before it; its replies count as its sender's own
	reply := func(first sphinx.Address, bytes []byte) {
		p := n.take()
		if len(bytes) != len(p.bytes) {
			n.drop(p, DropService)
			return
		}
		copy(p.bytes, bytes)
		p.sender = sender
		p.layer = sphinx.Layer{Route: sphinx.Relay, Next: first}
		select {
		case n.opened <- p:
		case <-ctx.Done():
		}
	}
	for {
		select {
		case p := <-n.exits:
			handler := n.cfg.Handlers[string(p.layer.Destination)]
			if handler == nil {
				n.drop(p, DropNoService)
				continue
			}
			sender = p.sender
			if err := handler.Handle(ctx, p.layer.Message, reply); err != nil {
				n.drop(p, DropService)
				continue
			}
			n.counts.served.Add(1)
			n.recycle(p)
		case <-ctx.Done():
			return nil
		}
	}
}
