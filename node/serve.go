package node

import (
	"context"

	"sphinxmix.example/node/link"
	"sphinxmix.example/sphinx"
)

// A service is a handler with the payloads that wait for it. Each has a goroutine of its own, so that one that is slow
// holds up no other.
type service struct {
	handler Handler
	queue   chan *packet
}

// exit gives a payload that ends here to its service, or drops it. It never waits.
func (n *Node) exit(p *packet) {
	switch string(p.layer.Destination) {
	case link.DropService:
		n.counts.covered.Add(1)
		n.recycle(p)
		return
	case loopService:
		if !n.loops.back(p.layer.Message) {
			n.drop(p, DropNoService)
			return
		}
		n.counts.loopsReturned.Add(1)
		n.recycle(p)
		return
	}
	s, offered := n.services[string(p.layer.Destination)]
	if !offered {
		n.drop(p, DropNoService)
		return
	}
	n.offer(s.queue, p, DropServiceQueue)
}

// serve gives one service its payloads, one after the other.
func (n *Node) serve(ctx context.Context, s service) error {
	for {
		select {
		case p := <-s.queue:
			// What the service sends counts as of who made it do so, also when that one has gone and the packet is recycled.
			name, listed := p.from.name, p.from.share == nil
			send := func(first sphinx.Address, bytes []byte) { n.inject(ctx, first, bytes, n.senders.named(name, listed)) }
			if err := s.handler.Handle(ctx, p.layer.Message, send); err != nil {
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

// inject makes a packet that was made here wait for a batch, as one of a sender's own, and waits itself while the node is
// busy. first is the hop that it goes to.
func (n *Node) inject(ctx context.Context, first sphinx.Address, bytes []byte, of *sender) {
	p := n.take()
	if len(bytes) != len(p.bytes) {
		n.drop(p, DropService)
		return
	}
	if !p.tryAdmit(of) {
		n.drop(p, DropSender)
		return
	}
	copy(p.bytes, bytes)
	p.layer = sphinx.Layer{Route: sphinx.Relay, Next: first}
	select {
	case n.opened <- p:
	case <-ctx.Done():
		n.recycle(p)
	}
}
