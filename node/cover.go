package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/sphinx"
)

// Cover says how much traffic of its own a node makes, as two Poisson processes. On the wire it is like all other. Where
// there is any, links to other mixes also carry padding while they are idle.
type Cover struct {
	// Loops is how many packets a second, on average, the node sends along a random path to itself. What does not come
	// back shows that something is lost: a dead mix, or an attacker who holds back packets (an n−1 attack).
	Loops float64
	// Drops is how many packets a second, on average, the node sends to random mixes that throw them away.
	Drops float64
}

func (c Cover) on() bool { return c.Loops > 0 || c.Drops > 0 }

// maxCoverRate is a limit on what can only be a mistake: packets per second.
const maxCoverRate = 1000

func (c Cover) validate(network directory.Network) error {
	for _, rate := range []float64{c.Loops, c.Drops} {
		if !(rate >= 0 && rate <= maxCoverRate) { // not a number is neither
			return fmt.Errorf("node: Config.Cover has a rate of %v a second, must be 0 to %d", rate, maxCoverRate)
		}
	}
	if c.on() && network.MaxHops < coverHops {
		return fmt.Errorf("node: Config.Cover takes paths of %d hops, and this network's have at most %d", coverHops, network.MaxHops)
	}
	return nil
}

const (
	// coverHops is the length of cover's paths, not counting this node.
	coverHops = 3

	// loopService is the destination of a node's packets to itself.
	loopService = "loop"

	// loopPatience is how long a loop may take at a network without delays.
	loopPatience = time.Minute

	// paddingGap is the mean time between two frames of padding on an idle link.
	paddingGap = time.Second

	// maxLoops is how many loops are under way at most: their rate times their patience, with room to spare.
	maxLoops = 1 << 17
)

type loopID [16]byte

// loops are the node's packets to itself that have not come back.
type loops struct {
	mu      sync.Mutex
	pending map[loopID]time.Time // when each is given up; guarded by mu
}

// sent notes a loop, or returns false where there are too many.
func (l *loops) sent(id loopID, until time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) >= maxLoops {
		return false
	}
	l.pending[id] = until
	return true
}

// back reports whether message is that of a loop that was under way. Nobody else knows a loop's id.
func (l *loops) back(message []byte) bool {
	if len(message) != len(loopID{}) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, pending := l.pending[loopID(message)]
	delete(l.pending, loopID(message))
	return pending
}

// giveUp forgets the loops that are late at the time now, and returns how many these are.
func (l *loops) giveUp(now time.Time) (lost uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, until := range l.pending {
		if now.After(until) {
			delete(l.pending, id)
			lost++
		}
	}
	return lost
}

// cover makes the node's own traffic until ctx ends. Its two processes together are one, each of whose packets is a loop
// with the probability that the rates give.
func (n *Node) cover(ctx context.Context) error {
	rate := n.cfg.Cover.Loops + n.cfg.Cover.Drops
	if rate == 0 {
		return nil
	}
	mean := time.Duration(min(float64(time.Second)/rate, float64(longestGap)))
	own := &sender{name: "this mix"}
	next := time.NewTimer(gap(mean))
	defer next.Stop()
	late := time.NewTicker(time.Second)
	defer late.Stop()
	for {
		select {
		case <-next.C:
			next.Reset(gap(mean))
			send := n.sendDrop
			if directory.Fraction()*rate < n.cfg.Cover.Loops {
				send = n.sendLoop
			}
			if err := send(ctx, own); err != nil && !errors.Is(err, errFewMixes) {
				return err
			}
		case now := <-late.C:
			n.counts.loopsLost.Add(n.loops.giveUp(now))
		case <-n.leave:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// errFewMixes says that cover must wait until there is a network to go through.
var errFewMixes = errors.New("node: too few mixes for cover")

// longestGap is longer than any node runs, and short enough to be computed with.
const longestGap = 10 * 365 * 24 * time.Hour

// gap draws the time until the next event of a Poisson process whose events are so far apart on average.
func gap(mean time.Duration) time.Duration { return directory.Exponential(mean, 20*mean) }

func (n *Node) sendLoop(ctx context.Context, own *sender) error {
	path, err := n.coverPath(coverHops - 1)
	if err != nil {
		return err
	}
	now := time.Now()
	epoch := n.cfg.Network.EpochAt(now)
	k := n.keys.Load().find(byte(epoch))
	if k == nil {
		return nil // the ring is about to make one
	}
	path = append(path, sphinx.Hop{Address: n.route(n.id, epoch), Key: k.Public()})
	var id loopID
	rand.Read(id[:])
	if !n.loops.sent(id, now.Add(loopPatience+10*coverHops*n.cfg.Network.MeanDelay)) {
		return nil
	}
	n.counts.loopsSent.Add(1)
	return n.sendCover(ctx, own, path, loopService, id[:])
}

func (n *Node) sendDrop(ctx context.Context, own *sender) error {
	path, err := n.coverPath(coverHops)
	if err != nil {
		return err
	}
	n.counts.dropsSent.Add(1)
	return n.sendCover(ctx, own, path, link.DropService, nil)
}

func (n *Node) sendCover(ctx context.Context, own *sender, path []sphinx.Hop, to string, message []byte) error {
	packet, err := n.cfg.Network.Wrap(nil, nil, path, []byte(to), message)
	if err != nil {
		return err
	}
	n.inject(ctx, path[0].Address, packet, own)
	return nil
}

// coverPath chooses other mixes as clients do, none of them twice.
func (n *Node) coverPath(count int) ([]sphinx.Hop, error) {
	view := n.View()
	if view == nil {
		return nil, errFewMixes
	}
	epoch := view.EpochAt(time.Now())
	if n.others.view != view || n.others.epoch != epoch {
		n.others = coverLots{view: view, epoch: epoch}
		for _, d := range view.Nodes {
			if _, ok := d.Key(epoch); ok && d.ID() != n.id {
				n.others.lots.Add(d)
			}
		}
	}
	if len(n.others.lots) < count {
		return nil, errFewMixes
	}
	path := make([]sphinx.Hop, 0, coverHops)
	chosen := make([]*directory.Descriptor, 0, coverHops)
	for len(chosen) < count {
		d := n.others.lots.Draw()
		if slices.Contains(chosen, d) {
			continue
		}
		chosen = append(chosen, d)
		key, _ := d.Key(epoch)
		path = append(path, sphinx.Hop{Address: n.route(d.ID(), epoch), Key: key})
	}
	return path, nil
}

// coverLots are the other mixes of one view that have a key for one epoch.
type coverLots struct {
	view  *directory.View
	epoch uint64
	lots  directory.Lots
}

// route is the routing block of a hop, with a delay as the network's clients draw it.
func (n *Node) route(id directory.NodeID, epoch uint64) sphinx.Address {
	return directory.Route{Node: id, Epoch: byte(epoch), Delay: n.cfg.Network.DrawDelay()}.Address()
}
