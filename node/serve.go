package node

import (
	"context"

	"sphinxmix.example/node/link"
	"sphinxmix.example/sphinx"
)

// serveExits gives the payloads that end here to their services.
func (n *Node) serveExits(ctx context.Context) error {
	for {
		select {
		case p := <-n.exits:
			n.serve(ctx, p)
		case <-ctx.Done():
			return nil
		}
	}
}

func (n *Node) serve(ctx context.Context, p *packet) {
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
	handler := n.cfg.Handlers[string(p.layer.Destination)]
	if handler == nil {
		n.drop(p, DropNoService)
		return
	}
	send := func(first sphinx.Address, bytes []byte) { n.inject(ctx, first, bytes, p.from) }
	if err := handler.Handle(ctx, p.layer.Message, send); err != nil {
		n.drop(p, DropService)
		return
	}
	n.counts.served.Add(1)
	n.recycle(p)
}

// inject makes a packet that was made here wait for a batch, as one of a sender's own. first is the hop that it goes to.
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
	}
}
