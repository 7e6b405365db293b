package node

import (
	"context"
	"sync"
	"time"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
)

// How long a node waits before it dials a peer again: the first time, and at most.
const (
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 10 * time.Second
)

// keepIdle is how long a link without packets is kept.
const keepIdle = link.KeepAlive

// peers are the other mixes that this node has sent something. They belong to the mixing goroutine.
type peers struct {
	node    *Node
	ctx     context.Context // of Run; each peer's goroutine ends with it
	known   map[directory.NodeID]*peer
	running sync.WaitGroup
}

// peer is one of them: a queue, and the goroutine that empties it onto a link.
type peer struct {
	node  *Node
	desc  *directory.Descriptor
	queue chan *packet
	stop  context.CancelFunc
}

func newPeers(ctx context.Context, n *Node) *peers {
	return &peers{node: n, ctx: ctx, known: make(map[directory.NodeID]*peer)}
}

func (ps *peers) wait() { ps.running.Wait() }

// send queues p for the mix of that name, or drops it.
func (ps *peers) send(id directory.NodeID, p *packet) {
	var desc *directory.Descriptor
	if view := ps.node.View(); view != nil {
		desc, _ = view.Node(id)
	}
	if desc == nil {
		ps.node.drop(p, DropNextHop)
		return
	}
	to := ps.known[id]
	if to == nil {
		to = ps.start(desc)
	}
	ps.node.offer(to.queue, p, DropPeerQueue)
}

// forgetChanged ends the peers that view, which may be nil, does not list, or lists with another address.
func (ps *peers) forgetChanged(view *directory.View) {
	for id, known := range ps.known {
		if view != nil {
			if desc, listed := view.Node(id); listed && desc.Address == known.desc.Address {
				continue
			}
		}
		known.stop()
		delete(ps.known, id)
	}
}

func (ps *peers) start(desc *directory.Descriptor) *peer {
	ctx, stop := context.WithCancel(ps.ctx)
	p := &peer{node: ps.node, desc: desc, queue: make(chan *packet, outQueue), stop: stop}
	ps.known[desc.ID()] = p
	ps.running.Go(func() { p.run(ctx) })
	return p
}

// run is stage 5 for one peer.
func (p *peer) run(ctx context.Context) {
	defer p.stop()
	defer p.node.discard(p.queue, DropPeer)
	var out *outlet
	hangUp := func() {
		if out != nil {
			out.close()
			out = nil
		}
	}
	defer hangUp()
	// An idle link is ended from this side, before the other side does and a packet is lost to a closed link.
	idle := time.NewTimer(keepIdle)
	defer idle.Stop()
	for {
		select {
		case next := <-p.queue:
			if out == nil {
				if out = p.connect(ctx); out == nil {
					p.node.drop(next, DropPeer)
					return
				}
			}
			if out.write(link.Packet, keyEpoch, next.bytes, len(p.queue) == 0) != nil {
				out = nil
			}
			p.node.recycle(next)
			idle.Reset(keepIdle)
		case <-idle.C:
			hangUp()
		case <-ctx.Done():
			return
		}
	}
}

// connect dials until it succeeds. It returns nil only when ctx has ended, which also closes what it returned earlier.
// Meanwhile the queue fills and what does not fit is dropped.
func (p *peer) connect(ctx context.Context) *outlet {
	for backoff := firstBackoff; ; backoff = min(2*backoff, maxBackoff) {
		conn, err := p.dial(ctx)
		if err == nil {
			return &outlet{
				conn:    conn,
				sent:    &p.node.counts.sent,
				lost:    &p.node.counts.drops[DropPeer],
				release: context.AfterFunc(ctx, func() { conn.Close() }),
			}
		}
		if backoff == maxBackoff {
			p.node.discard(p.queue, DropPeer) // they would fill the node's memory as long as the peer is listed
		}
		if ctx.Err() == nil {
			p.node.cfg.Log.Warn("a peer cannot be reached", "peer", p.desc.ID().String(), "error", err, "retry", backoff)
		}
		select {
		case <-time.After(backoff):
		case <-ctx.Done():
			return nil
		}
	}
}

func (p *peer) dial(ctx context.Context) (*link.Conn, error) {
	conn, err := p.node.cfg.Dial(ctx, p.desc.Address)
	if err != nil {
		return nil, err
	}
	return link.Dial(ctx, conn, p.desc.Identity, p.node.linkConfig())
}
