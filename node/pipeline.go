package node

import (
	"context"
	"errors"
	"slices"
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
//  1. receive   (parallel, one per link)    frame → packet; waits while the next stage is busy, and TCP with it
//  2. unwrap    (parallel, one per core)    what is waiting is opened together; replays are refused
//  3. mix       (sequential)                packets are held until their strategy lets them go, in shuffled order
//  4. commit    (sequential, part of mix)   the tags of all that was opened are stored, once for all that leaves together
//  5. release   (sequential, part of mix)   to a peer's queue, a service or a mailbox: never waits
//  6. send      (parallel, one per peer)    packet → frame; see peers.go
//     serve     (parallel, one per service) payload → service, whose replies enter stage 3; see serve.go
//     deliver   (parallel, one per client)  payload → frame; see mailbox.go
//
// The node's own cover traffic (cover.go) enters at stage 3 as well.

// packet is the unit that moves through the stages.
type packet struct {
	bytes []byte  // one packet
	epoch byte    // of the key that opens it
	from  *sender // who handed it in
	key   *key    // that opened it; nil where it was made here
	layer sphinx.Layer

	opening, shared bool // it takes one of the sender's places
}

func (n *Node) take() *packet {
	n.live.Add(1)
	return n.free.Get().(*packet)
}

func (n *Node) recycle(p *packet) {
	n.live.Add(-1)
	p.leaveOpening()
	p.leaveShare()
	*p = packet{bytes: p.bytes}
	n.free.Put(p)
}

func (n *Node) drop(p *packet, reason Drop) {
	n.counts.drops[reason].Add(1)
	n.recycle(p)
}

// receive is stage 1 for one link. It returns when the link ends.
func (n *Node) receive(ctx context.Context, conn *link.Conn) {
	if n.cfg.NoClients && conn.Peer() == nil {
		return
	}
	var (
		view *directory.View // that from was last read from
		from *sender
		box  *delivery
	)
	links := &n.senders.others
	if n.lists(conn.Peer()) {
		links = &n.senders.mixes
	}
	links.Add(1)
	defer func() {
		links.Add(-1)
		if from != nil {
			n.senders.leave(from)
		}
		if box != nil {
			n.boxes.leave(n, box)
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
			box = n.boxes.subscribe(ctx, n, conn, p.bytes)
			clear(p.bytes) // of the secret
			n.recycle(p)
		case kind != link.Packet:
			n.drop(p, DropFrame)
			return
		default:
			n.counts.received.Add(1)
			if now := n.View(); from == nil || now != view {
				view = now
				if name, listed := n.senderOf(conn); from == nil || name != from.name {
					if from != nil {
						n.senders.leave(from)
					}
					from = n.senders.join(name, listed)
				}
			}
			p.epoch = epoch
			if !p.admit(ctx, from) {
				n.recycle(p)
				return
			}
			select {
			case n.inbound <- p:
			case <-ctx.Done():
				return
			}
		}
	}
}

// unwrap is stage 2 on one core.
func (n *Node) unwrap(ctx context.Context, worker int) error {
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
		known := *n.keys.Load()
		for rest := packets[:waiting]; len(rest) > 0; {
			// Those of one epoch go together, and nearly always all are of one.
			count := sameEpoch(rest)
			together := rest[:count]
			rest = rest[count:]
			k := known.find(together[0].epoch)
			if k == nil {
				for _, p := range together {
					n.drop(p, DropEpoch)
				}
				continue
			}
			for i, p := range together {
				bytes[i] = p.bytes
			}
			k.openers[worker].unwrap(bytes[:count], layers[:count], errs[:count])
			for i, p := range together {
				p.leaveOpening()
				if errs[i] != nil {
					n.refuse(p, k, errs[i])
					continue
				}
				n.counts.opened.Add(1)
				p.key, p.layer = k, layers[i]
				select {
				case n.opened <- p:
				case <-ctx.Done():
					return nil
				}
			}
		}
	}
}

func (o *opener) unwrap(packets [][]byte, layers []sphinx.Layer, errs []error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.UnwrapBatch(packets, layers, errs)
}

// refuse drops a packet that did not open.
func (n *Node) refuse(p *packet, k *key, err error) {
	if errors.Is(err, sphinx.ErrReplayStore) {
		if errors.Is(err, replay.ErrClosed) || !slices.Contains(*n.keys.Load(), k) {
			n.drop(p, DropEpoch) // its time was over just now
			return
		}
		n.refuseAll(k, err)
	}
	n.drop(p, dropOf(err))
}

// sameEpoch brings the packets of one epoch to the front and returns how many they are.
func sameEpoch(packets []*packet) int {
	count := 0
	for i, p := range packets {
		if p.epoch == packets[0].epoch {
			packets[count], packets[i] = packets[i], packets[count]
			count++
		}
	}
	return count
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

// mix is stages 3 to 5. The strategy and the peers belong to it alone.
func (n *Node) mix(ctx context.Context) error {
	peers := newPeers(ctx, n)
	defer peers.wait()
	due, forget := time.NewTimer(0), time.NewTimer(0)
	defer due.Stop()
	defer forget.Stop()
	follow := func() {
		next := peers.follow(n.View(), time.Now())
		if k := n.view.Load(); k != nil && (next.IsZero() || k.until.Before(next)) {
			next = k.until // when mixes have expired that no packet may wait for any longer
		}
		if !next.IsZero() {
			forget.Reset(time.Until(next))
		}
	}
	held := heldSet{of: make(map[string]int)}
	for {
		select {
		case p := <-n.opened:
			now := time.Now()
			n.hold(p, &held, now)
			// What else is here goes along, so that a busy node asks its strategy once for many packets.
			for range len(n.opened) {
				n.hold(<-n.opened, &held, now)
			}
		case <-due.C:
		case <-n.viewChanged:
			follow()
		case <-forget.C:
			follow()
		case <-ctx.Done():
			return nil
		}
		out, next := n.strategy.Due(time.Now())
		if len(out) > 0 {
			n.commit(out)
			n.counts.batches.Add(1)
			n.history.batch(n, len(held.of))
			for _, p := range out {
				held.remove(p.from.name)
				n.release(p, peers)
			}
			n.counts.held.Store(int64(held.packets))
		}
		if !next.IsZero() {
			due.Reset(time.Until(next))
		}
	}
}

// heldSet counts what the strategy holds. It goes by names, as the strategy does: a mix that was away has another *sender.
type heldSet struct {
	packets int
	of      map[string]int // packets by the name of their sender; no zeros
}

func (h *heldSet) add(name string) {
	h.packets++
	h.of[name]++
}

func (h *heldSet) remove(name string) {
	h.packets--
	if h.of[name]--; h.of[name] == 0 {
		delete(h.of, name)
	}
}

// hold hands p to the strategy, unless the mix is full and p is of a sender that has more than its part of it.
func (n *Node) hold(p *packet, held *heldSet, now time.Time) {
	if held.packets >= n.maxHeld && held.of[p.from.name] >= n.maxHeld/len(held.of) {
		n.drop(p, DropSender)
		return
	}
	var delay time.Duration
	if p.layer.Route == sphinx.Relay {
		if route, ok := directory.ParseRoute(p.layer.Next); ok {
			delay = route.Delay
		}
	} else {
		delay = n.cfg.Network.DrawDelay() // the last hop mixes too, and no routing block is for it
	}
	held.add(p.from.name)
	n.counts.held.Store(int64(held.packets))
	n.strategy.Add(mix.Packet[*packet]{Sender: p.from.name, Delay: delay, Item: p}, now)
}

// release is stage 5 for one packet.
func (n *Node) release(p *packet, peers *peers) {
	p.leaveShare()
	if p.key != nil && p.key.failed.Load() {
		n.drop(p, DropReplayStore)
		return
	}
	switch p.layer.Route {
	case sphinx.Relay:
		route, ok := directory.ParseRoute(p.layer.Next)
		switch {
		case !ok || route.Node == n.id: // nobody honest takes one mix twice in a row
			n.drop(p, DropNextHop)
		default:
			p.epoch = route.Epoch
			peers.send(route.Node, p)
		}
	case sphinx.Exit:
		n.exit(p)
	case sphinx.Reply:
		n.boxes.offer(n, p)
	}
}

// offer gives p to a queue, or drops it where that is full, or takes more than half of what memory others have left: so
// no queue that is not emptied leaves nothing for those that are.
func (n *Node) offer(queue chan *packet, p *packet, reason Drop) {
	if size := int64(len(p.bytes)); int64(len(queue)+1)*size > (maxMemory-n.live.Load()*size)/2 {
		n.drop(p, reason)
		return
	}
	select {
	case queue <- p:
	default:
		n.drop(p, reason)
	}
}

// discard drops what is left in a queue that nobody empties any more, and returns how much that was.
func (n *Node) discard(queue <-chan *packet, reason Drop) (count uint64) {
	for ; ; count++ {
		select {
		case left := <-queue:
			n.drop(left, reason)
		default:
			return count
		}
	}
}
