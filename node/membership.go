package node

import (
	"context"
	"time"

	"sphinxmix.example/node/directory"
)

// follow keeps the node in the directory, and its view of the network fresh, until ctx ends. A directory that does not
// answer is asked again: what the node knows already stays good until it expires.
func (n *Node) follow(ctx context.Context) error {
	var registered time.Time
	tick := time.NewTimer(0)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		tick.Reset(n.cfg.Refresh)
		if now := time.Now(); now.Sub(registered) >= n.cfg.Lifetime/2 {
			if err := n.register(ctx, now); err != nil {
				n.cfg.Log.Warn("the directory does not take this node", "error", err)
				continue
			}
			registered = now
			n.cfg.Log.Info("registered with the directory", "node", n.id.String())
		}
		view, err := n.cfg.Directory.Fetch(ctx)
		switch {
		case err != nil:
			n.cfg.Log.Warn("no view of the network", "error", err)
		case view.Params != n.cfg.Params:
			n.cfg.Log.Error("the network has other parameters than this node")
		default:
			n.view.Store(view)
		}
	}
}

// register tells the directory of this node, for Lifetime from now.
func (n *Node) register(ctx context.Context, now time.Time) error {
	d := directory.Descriptor{
		Address: n.cfg.Address,
		Keys:    []directory.EpochKey{{Epoch: keyEpoch, Key: n.key.Public()}},
		Params:  directory.ParamsHash(n.cfg.Params),
		Expires: now.Add(n.cfg.Lifetime),
	}
	for service := range n.cfg.Handlers {
		d.Services = append(d.Services, service)
	}
	signed, err := directory.SignDescriptor(n.cfg.Identity, d)
	if err != nil {
		return err
	}
	return n.cfg.Directory.Register(ctx, signed)
}
