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

// peers are the other mixes that this node has sent something. They belong to the mixing goroutine.
type peers struct {
	node    *Node
	ctx     context.Context // of Run; each peer's goroutine ends with it
	view    *directory.View // that the peers were last compared with
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
	if view := ps.node.view.Load(); view != ps.view {
		ps.view = view
		ps.forgetChanged()
	}
	to := ps.known[id]
	if to == nil {
		if to = ps.start(id); to == nil {
			ps.node.drop(p, DropNextHop)
			return
		}
	}
	ps.node.offer(to.queue, p, DropPeerQueue)
}

// forgetChanged ends the peers that the view no longer lists, or lists with another address.
func (ps *peers) forgetChanged() {
	for id, known := range ps.known {
		if desc, listed := ps.view.Node(id); !listed || desc.Address != known.desc.Address {
			known.stop()
			delete(ps.known, id)
		}
	}
}

func (ps *peers) start(id directory.NodeID) *peer {
	if ps.view == nil {
		return nil
	}
	desc, listed := ps.view.Node(id)
	if !listed {
		return nil
	}
	ctx, stop := context.WithCancel(ps.ctx)
	p := &peer{node: ps.node, desc: desc, queue: make(chan *packet, outQueue), stop: stop}
	ps.known[id] = p
	ps.running.Go(func() { p.run(ctx) })
	return p
}

// run is stage 5 for one peer.
func (p *peer) run(ctx context.Context) {
	defer p.stop()
	var conn *link.Conn
	hangUp := func() {
		if conn != nil {
			conn.Close()
			conn = nil
		}
	}
	defer hangUp()
	defer p.discard()
	// An idle link is ended from this side, before the other side does and a packet is lost to a closed link.
	idle := time.NewTimer(keepAlive)
	defer idle.Stop()
	for {
		select {
		case next := <-p.queue:
			if conn == nil {
				if conn = p.connect(ctx); conn == nil {
					p.node.drop(next, DropPeer)
					return
				}
			}
			err := conn.WriteFrame(link.Packet, keyEpoch, next.bytes)
			if err == nil && len(p.queue) == 0 {
				err = conn.Flush()
			}
			if err != nil {
				p.node.drop(next, DropPeer)
				hangUp()
				continue
			}
			p.node.counts.sent.Add(1)
			p.node.recycle(next)
			idle.Reset(keepAlive)
		case <-idle.C:
			hangUp()
		case <-ctx.Done():
			return
		}
	}
}

// connect dials until it succeeds. It returns nil only when ctx has ended. Meanwhile the queue fills and what does not
// fit is dropped.
func (p *peer) connect(ctx context.Context) *link.Conn {
	for backoff := firstBackoff; ; backoff = min(2*backoff, maxBackoff) {
		if conn, err := p.dial(ctx); err == nil {
			return conn
		} else if ctx.Err() == nil {
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

// discard drops what is queued when the peer ends.
func (p *peer) discard() {
	for {
		select {
		case left := <-p.queue:
			p.node.drop(left, DropPeer)
		default:
			return
		}
	}
}
