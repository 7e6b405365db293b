package node

import (
	"context"
	"errors"
	"time"

	"sphinxmix.example/node/directory"
)

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

// takeBack takes the node out of the directory, where that has it from a process before this one with keys that are lost, and
// this one cannot be registered for the reason that failed. It reports whether it did: it is to be done once, as whatever is
// listed after that is of another process, which would bring it back for ever.
func (n *Node) takeBack(ctx context.Context, failed error) bool {
	if !errors.Is(failed, errNoEvidence) && !errors.Is(failed, directory.ErrRefused) {
		return false // nobody has looked at it, or the answer is lost
	}
	d, serves := n.listing(n.View())
	if d == nil || serves {
		return false
	}
	if err := n.cfg.Directory.Leave(ctx, directory.SignLeave(n.cfg.Identity, n.nextVersion(time.Now()))); err != nil {
		return false // it is tried again when registering is
	}
	n.cfg.Log.Warn("took back what the directory had of this node: its keys are not those of this process, which cannot be registered anew")
	return true
}

// waiting returns how many packets the node holds that may still go somewhere, so neither those for clients that are
// away nor the one that each link has ready to read into.
func (n *Node) waiting() int64 {
	return n.live.Load() - int64(n.boxes.kept()) - n.senders.mixes.Load() - n.senders.others.Load()
}
