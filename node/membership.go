package node

import (
	"context"
	"maps"
	"slices"
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
			if _, listed := view.Node(n.id); !listed {
				registered = time.Time{} // the directory has forgotten: tell it again
			}
			n.adopt(view)
		}
	}
}

// adopt makes view the node's own.
func (n *Node) adopt(view *directory.View) {
	if n.view.Swap(view) == view {
		return
	}
	select {
	case n.viewChanged <- struct{}{}:
	default:
	}
}

// register tells the directory of this node, for Lifetime from now.
func (n *Node) register(ctx context.Context, now time.Time) error {
	signed, err := n.descriptor(now)
	if err != nil {
		return err
	}
	return n.cfg.Directory.Register(ctx, signed)
}

// descriptor returns what the directory is to say of this node, signed.
func (n *Node) descriptor(now time.Time) ([]byte, error) {
	return directory.SignDescriptor(n.cfg.Identity, directory.Descriptor{
		Address:  n.cfg.Address,
		Keys:     []directory.EpochKey{{Epoch: keyEpoch, Key: n.key.Public()}},
		Services: slices.Collect(maps.Keys(n.cfg.Handlers)),
		Params:   directory.ParamsHash(n.cfg.Params),
		Expires:  now.Add(n.cfg.Lifetime),
	})
}
