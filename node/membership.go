package node

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
)

// follow keeps the node in the directory, and its view of the network fresh, until ctx ends. A directory that does not
// answer is asked again: what the node knows already stays good until it expires.
func (n *Node) follow(ctx context.Context) error {
	defer close(n.left)
	var registered time.Time   // zero where the directory is to be told
	var before *directory.View // the newest when it was told
	var silent bool            // the directory has not answered the last time
	tick, announce := time.NewTimer(0), time.NewTimer(0)
	announce.Stop()
	defer tick.Stop()
	defer announce.Stop()
	for {
		select {
		case <-tick.C:
		case <-n.keysChanged:
			// All nodes have new keys at once; the directory need not hear of all of them at once.
			announce.Reset(below(n.cfg.Network.Epoch / 16))
			continue
		case <-announce.C:
			registered = time.Time{}
		case <-n.leave:
			return nil
		case <-ctx.Done():
			return nil
		}
		tick.Reset(n.cfg.Refresh)
		if age := time.Since(registered); age < 0 || age >= n.cfg.Lifetime/2 {
			if err := n.register(ctx); err != nil {
				n.cfg.Log.Warn("the directory does not take this node", "error", err)
			} else {
				registered, before = time.Now(), n.view.Load()
				n.cfg.Log.Info("registered with the directory", "node", n.id.String())
			}
		}
		view, err := n.cfg.Directory.Fetch(ctx)
		switch {
		case err != nil && silent: // it was said
		case err != nil:
			n.cfg.Log.Warn("the directory gives no view; trying again", "known_until", n.knownUntil(), "error", err)
		case view.Network != n.cfg.Network:
			n.cfg.Log.Error("the directory's network is another than this node's, which must be started anew to follow it")
		default:
			if silent {
				n.cfg.Log.Info("the directory gives views again")
			}
			d, listed := view.Node(n.id)
			switch {
			case listed && d.Version > n.version:
				n.cfg.Log.Error("the directory lists this node as another process has registered it: is its key in use twice?", "address", d.Address)
			case listed && n.View() == nil:
				n.cfg.Log.Info("in the network", "mixes", len(view.Nodes))
			}
			if !listed && view != before && time.Since(registered) > n.cfg.Refresh/2 {
				registered = time.Time{} // the directory has forgotten: tell it again; a view may take it a while, but is another then
			}
			n.adopt(view)
		}
		silent = err != nil
	}
}

// knownUntil is when the view ends that the node has; the zero time if it has none.
func (n *Node) knownUntil() time.Time {
	if view := n.View(); view != nil {
		return view.Expires
	}
	return time.Time{}
}

// adopt makes view the node's own.
func (n *Node) adopt(view *directory.View) {
	before := n.view.Swap(view)
	if before == nil {
		close(n.viewed)
	}
	if before == view {
		return
	}
	select {
	case n.viewChanged <- struct{}{}:
	default:
	}
}

// register tells the directory of this node, for Lifetime from now.
func (n *Node) register(ctx context.Context) error {
	signed, err := n.descriptor(time.Now())
	if err != nil {
		return err
	}
	return n.cfg.Directory.Register(ctx, signed)
}

// descriptor returns what the directory is to say of this node, signed.
func (n *Node) descriptor(now time.Time) ([]byte, error) {
	services := slices.Collect(maps.Keys(n.cfg.Handlers))
	if !n.cfg.NoClients {
		services = append(services, link.GatewayService)
	}
	return directory.SignDescriptor(n.cfg.Identity, directory.Descriptor{
		Address:  n.cfg.Address,
		Keys:     n.ring.Keys(),
		Services: services,
		Network:  n.cfg.Network.Hash(),
		Weight:   uint8(n.cfg.Weight),
		Version:  n.nextVersion(now),
		Expires:  now.Add(n.cfg.Lifetime),
	})
}

// nextVersion counts in milliseconds since 1970, so that versions rise across a restart.
func (n *Node) nextVersion(now time.Time) uint64 {
	n.version = max(n.version+1, uint64(max(now.UnixMilli(), 1)))
	return n.version
}

// Drain takes the node out of the directory and waits until it holds no packet, and has opened none for as long as
// other nodes take to notice, or until ctx ends. Run goes on meanwhile, and is to be ended after it. The error says what
// is left undone.
func (n *Node) Drain(ctx context.Context) error {
	if n.leaving.Swap(true) {
		return nil
	}
	close(n.leave)
	select {
	case <-n.left:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	failed := n.cfg.Directory.Leave(ctx, directory.SignLeave(n.cfg.Identity, n.nextVersion(time.Now())))
	if failed != nil {
		n.cfg.Log.Warn("the directory goes on listing this node until its registration ends", "error", failed)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	opened, since := n.counts.opened.Load(), time.Now()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if now := n.counts.opened.Load(); now != opened {
			opened, since = now, time.Now()
		}
		if time.Since(since) >= 2*n.cfg.Refresh && n.waiting() <= 0 {
			return failed
		}
	}
}

// waiting returns how many packets the node holds that may still go somewhere, so neither those for clients that are
// away nor the one that each link has ready to read into.
func (n *Node) waiting() int64 {
	return n.live.Load() - int64(n.boxes.kept()) - n.senders.mixes.Load() - n.senders.others.Load()
}

// below draws a duration from 0 to d, of which it does not matter that the last ones are a little less likely.
func below(d time.Duration) time.Duration {
	var b [8]byte
	rand.Read(b[:])
	return time.Duration(binary.BigEndian.Uint64(b[:]) % uint64(max(d, 1)))
}
