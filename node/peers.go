package node

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/tao"
)

// How long a node waits before it dials a peer again: the first time, and at most. And how long one attempt may take.
const (
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 10 * time.Second
	dialTimeout  = 10 * time.Second
)

// patience is how long packets wait for a peer that cannot be reached: as long as it may take to start again.
const patience = 15 * time.Second

// keepIdle is how long a link without packets is kept.
const keepIdle = link.KeepAlive

// peers are the other mixes that this node has sent something. They belong to the mixing goroutine.
type peers struct {
	node    *Node
	ctx     context.Context // of Run; each peer's goroutine ends with it
	view    *directory.View // that all of them go by; nil where none is good
	known   map[directory.NodeID]*peer
	running sync.WaitGroup
}

// peer is one of them: a queue, and the goroutine that empties it onto a link.
type peer struct {
	node  *Node
	desc  *directory.Descriptor
	queue chan *packet
	stop  context.CancelFunc

	failing atomic.Bool // it could not be reached the last time

	// They belong to the mixing goroutine.
	listed *directory.Descriptor // as the last view had it that did
	trust  trust                 // in what that says
	until  time.Time             // when it is to be forgotten; zero while it is listed

	// Of the attempts to reach it; they belong to its own goroutine.
	since   time.Time // when the first failed of those in a row that have
	backoff time.Duration
	nextTry time.Time

	// For Stats alone.
	connected  atomic.Bool
	sent, lost atomic.Uint64
}

// trust is until when a policy trusts a peer.
type trust struct {
	by    *tao.Policy // nil where there is none
	until time.Time
}

func newPeers(ctx context.Context, n *Node) *peers {
	return &peers{node: n, ctx: ctx, known: make(map[directory.NodeID]*peer)}
}

func (ps *peers) wait() { ps.running.Wait() }

// send queues p for the mix of that name, or drops it.
func (ps *peers) send(id directory.NodeID, p *packet) {
	if view := ps.node.View(); view != ps.view {
		ps.follow(view, time.Now())
	}
	if ps.view == nil {
		ps.node.drop(p, DropNextHop)
		return
	}
	to := ps.known[id]
	if to == nil {
		desc, listed := ps.view.Node(id)
		if !listed {
			ps.node.drop(p, DropNextHop)
			return
		}
		to = ps.start(desc)
	}
	ps.node.offer(to.queue, p, DropPeerQueue)
}

// maxLinger is how long a node goes on sending to a mix that has left, where epochs are not shorter. A mix that leaves
// stays until it is sent nothing more, and clients, who ask their directory once a minute (newsInterval in package client),
// go on making packets for it when nodes know already.
const maxLinger = 2 * time.Minute

// follow goes by view from now on, which may be nil: it ends the peers that are listed with another address, those that have not
// been listed for a while, and at once those that the policy does not trust any more. It returns when it is to be called
// again even if the view does not change; zero if not.
func (ps *peers) follow(view *directory.View, now time.Time) (next time.Time) {
	ps.view = view
	for id, known := range ps.known {
		switch {
		case view == nil || !known.stays(view, now):
			known.stop()
			delete(ps.known, id)
		case !known.until.IsZero() && (next.IsZero() || known.until.Before(next)):
			next = known.until
		}
	}
	ps.tell()
	return next
}

func (ps *peers) start(desc *directory.Descriptor) *peer {
	ctx, stop := context.WithCancel(ps.ctx)
	p := &peer{node: ps.node, desc: desc, queue: make(chan *packet, outQueue), stop: stop}
	p.see(desc, ps.view, time.Now())
	ps.known[desc.ID()] = p
	ps.tell()
	ps.running.Go(func() { p.run(ctx) })
	return p
}

// see takes note of a view that lists the peer.
func (p *peer) see(desc *directory.Descriptor, view *directory.View, now time.Time) {
	p.listed, p.until = desc, time.Time{}
	p.trust = trust{view.Policy, view.TrustedUntil(desc, now)}
}

// stays reports whether a view leaves the peer its place: it lists it with the same address, or has not for a while only,
// and the peer could be reached and is trusted. Then until says when it is over.
func (p *peer) stays(view *directory.View, now time.Time) bool {
	if desc, listed := view.Node(p.desc.ID()); listed {
		p.see(desc, view, now)
		return desc.Address == p.desc.Address
	}
	if p.until.IsZero() && !p.failing.Load() {
		p.until = now.Add(min(maxLinger, p.node.cfg.Network.Epoch))
	}
	if !now.Before(p.until) {
		return false
	}
	if end := p.trustedUntil(view, now); end.Before(p.until) {
		p.until = end
	}
	return now.Before(p.until)
}

// trustedUntil returns until when a view's policy trusts the peer, which the view does not list. Packets wait meanwhile,
// so that evidence is verified again only where the policy is another.
func (p *peer) trustedUntil(view *directory.View, now time.Time) time.Time {
	if p.trust.by != view.Policy || view.Refuses(p.listed.ID()) {
		p.trust = trust{view.Policy, view.TrustedUntil(p.listed, now)}
	}
	return p.trust.until
}

// tell lets Stats know who the peers are.
func (ps *peers) tell() {
	all := slices.Collect(maps.Values(ps.known))
	ps.node.peers.Store(&all)
}

// run is stage 6 for one peer.
func (p *peer) run(ctx context.Context) {
	defer p.stop()
	defer p.discard()
	var out *outlet
	hangUp := func() {
		if out != nil {
			out.close()
			out = nil
			p.connected.Store(false)
		}
	}
	defer hangUp()
	idle := time.NewTimer(p.idleGap())
	defer idle.Stop()
	for {
		select {
		case next := <-p.queue:
			if out == nil {
				if out = p.connect(ctx); out == nil {
					p.node.drop(next, DropPeer)
					p.lost.Add(1)
					continue // which ends with ctx
				}
			}
			if out.write(link.Packet, next.epoch, next.bytes, len(p.queue) == 0) != nil {
				hangUp()
			}
			p.node.recycle(next)
			idle.Reset(p.idleGap())
		case <-idle.C:
			if out != nil && (!p.node.cfg.Cover.on() || out.pad() != nil) {
				hangUp()
			}
			idle.Reset(p.idleGap())
		case <-ctx.Done():
			return
		}
	}
}

// discard drops what waits for the peer.
func (p *peer) discard() { p.lost.Add(p.node.discard(p.queue, DropPeer)) }

// idleGap is how long a link may be without packets. Then it carries padding, so that idling does not show, or, without
// cover, is ended from this side, before the other side does and a packet is lost to a closed link.
func (p *peer) idleGap() time.Duration {
	if p.node.cfg.Cover.on() {
		return gap(paddingGap)
	}
	return keepIdle
}

// connect dials until it succeeds. It returns nil when ctx has ended, which also closes what it returned earlier, or when
// the peer has not been reached for so long that what waits for it is given up; then it is dialled again, once, for what
// comes after a while.
func (p *peer) connect(ctx context.Context) *outlet {
	for {
		if time.Now().Before(p.nextTry) && p.gaveUp() {
			return nil
		}
		conn, err := p.dial(ctx)
		if err == nil {
			if p.failing.Swap(false) {
				p.node.cfg.Log.Info("a peer is reached again", "peer", p.desc.ID().String())
			}
			p.backoff, p.since = 0, time.Time{}
			p.connected.Store(true)
			return &outlet{
				conn:    conn,
				padding: make([]byte, p.node.cfg.Network.PacketSize()),
				sent:    []*atomic.Uint64{&p.node.counts.sent, &p.sent},
				lost:    []*atomic.Uint64{&p.node.counts.drops[DropPeer], &p.lost},
				release: context.AfterFunc(ctx, func() { conn.Close() }),
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if !p.failing.Swap(true) {
			p.node.cfg.Log.Warn("a peer cannot be reached; trying again", "peer", p.desc.ID().String(), "address", p.desc.Address, "error", err)
		}
		if p.since.IsZero() {
			p.since = time.Now()
		}
		p.backoff = min(max(2*p.backoff, firstBackoff), maxBackoff)
		p.nextTry = time.Now().Add(p.backoff)
		if p.gaveUp() {
			p.discard()
			return nil
		}
		select {
		case <-time.After(p.backoff):
		case <-ctx.Done():
			return nil
		}
	}
}

// gaveUp reports whether the peer has not been reached for longer than packets wait.
func (p *peer) gaveUp() bool { return !p.since.IsZero() && time.Since(p.since) >= patience }

func (p *peer) dial(ctx context.Context) (*link.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := p.node.cfg.Dial(ctx, p.desc.Address)
	if err != nil {
		return nil, err
	}
	return link.Dial(ctx, conn, p.desc.Identity, p.node.linkConfig())
}
