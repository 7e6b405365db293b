package node

import (
	"context"
	"crypto/ed25519"
	"slices"
	"time"

	"sphinxmix.example/node/directory"
)

// known is a view as it is good for a while: without those whose descriptors or evidence have expired.
type known struct {
	newest *directory.View // as the directory has shown it
	good   *directory.View // what is left of it; nil where it has expired
	until  time.Time       // from when on that is something else
}

// View returns the network as the node knows it: as it last saw it, without the mixes that have expired since, and where the
// node has a policy, without those that this refuses. It returns nil before the first view, and where that has expired.
func (n *Node) View() *directory.View {
	for {
		k := n.view.Load()
		if k == nil {
			return nil
		}
		now := time.Now()
		if now.Before(k.until) {
			return k.good
		}
		if n.view.CompareAndSwap(k, knownAt(k.newest, now)) {
			wake(n.viewChanged)
		}
	}
}

// knownAt returns what is good of a view at a time.
func knownAt(view *directory.View, now time.Time) *known {
	good, err := view.At(now)
	if err != nil {
		return &known{newest: view, until: now.Add(year)}
	}
	return &known{newest: view, good: good, until: good.Next()}
}

// year is longer than any view is good for.
const year = 365 * 24 * time.Hour

// lists reports whether key is the identity of a mix in the view.
func (n *Node) lists(key ed25519.PublicKey) bool {
	view := n.View()
	if view == nil || key == nil {
		return false
	}
	_, listed := view.Node(directory.NodeIDOf(key))
	return listed
}

// follow keeps the node's view of the network fresh until ctx ends. A directory that does not answer is asked again: what the
// node knows already stays good until it expires.
func (n *Node) follow(ctx context.Context) error {
	var silent bool // the directory has not answered the last time
	refused := make(refusals)
	tick := time.NewTimer(0)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-n.ask:
		case <-ctx.Done():
			return nil
		}
		tick.Reset(n.cfg.Refresh)
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
			if _, serves := n.listing(view); serves && !n.serving() {
				n.cfg.Log.Info("in the network")
				n.served.Store(true)
			}
			refused.tell(n, view)
			n.adopt(view)
			wake(n.seen)
		}
		silent = err != nil
	}
}

// serving reports whether the node is in the network as it knows it, with a key that it has.
func (n *Node) serving() bool {
	_, serves := n.listing(n.View())
	return serves
}

// listing returns how a view lists the node, nil where it does not, and whether what is made for the node by that can be opened
// here: whether it has the node's own key of the current epoch. A view that is older than the keys has others.
func (n *Node) listing(view *directory.View) (d *directory.Descriptor, serves bool) {
	if view == nil {
		return nil, false
	}
	d, listed := view.Node(n.id)
	if !listed {
		return nil, false
	}
	epoch := n.cfg.Network.EpochAt(time.Now())
	key, ok := d.Key(epoch)
	return d, ok && slices.Contains(n.ring.Keys(), directory.EpochKey{Epoch: epoch, Key: key})
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
	before := n.view.Swap(knownAt(view, time.Now()))
	if before == nil {
		close(n.viewed)
	}
	if before == nil || before.newest != view {
		wake(n.viewChanged)
	}
}

// wake puts one into a channel that holds one.
func wake(sleeper chan<- struct{}) {
	select {
	case sleeper <- struct{}{}:
	default:
	}
}

// refusals are the mixes of the last view that the policy refuses, as far as this was said.
type refusals map[directory.NodeID]bool

// maxSaid is how many refusals are said at each view: whoever lists mixes must not be able to fill the log.
const maxSaid = 8

// tell says of each mix once that the policy refuses it, and why, and once that it does not any more.
func (r refusals) tell(n *Node, view *directory.View) {
	refused, said := make(refusals), 0
	for _, one := range view.Refused {
		refused[one.Node] = true
		switch {
		case r[one.Node] || said == maxSaid:
			continue
		case one.Node == n.id:
			n.cfg.Log.Error("the policy refuses this node: nobody sends it packets", "error", one.Err)
		default:
			n.cfg.Log.Warn("the policy refuses a mix: this node sends it nothing", "mix", one.Node.String(), "address", one.Address, "error", one.Err)
		}
		r[one.Node] = true
		said++
	}
	for id := range r {
		if refused[id] {
			continue
		}
		delete(r, id)
		if _, listed := view.Node(id); listed {
			n.cfg.Log.Info("the policy refuses a mix no longer", "mix", id.String())
		}
	}
}
