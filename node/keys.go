package node

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sphinxmix.example/node/keyring"
	"sphinxmix.example/sphinx"
)

// workers is how many goroutines open packets.
var workers = runtime.GOMAXPROCS(0)

// maxKeyWait is how long the node goes at most without a look at the clock, which may be set while it waits.
const maxKeyWait = 10 * time.Second

// keys are the epoch keys that packets are opened with. They are replaced as a whole and never changed.
type keys []*key

// key is one of them, ready for each worker.
type key struct {
	*keyring.Epoch
	openers  []opener    // by worker
	refusing atomic.Bool // its replay set takes no more
	failed   atomic.Bool // and has lost tags: nothing that was opened with it and is still here leaves
}

// opener is a worker's own Unwrapper. The lock is only for its end.
type opener struct {
	mu sync.Mutex
	*sphinx.Unwrapper
}

// find returns the key of an epoch byte, or nil. There are at most three, of epochs in a row.
func (ks keys) find(epoch byte) *key {
	for _, k := range ks {
		if byte(k.Number) == epoch {
			return k
		}
	}
	return nil
}

// rotate gives every epoch its key, until ctx ends.
func (n *Node) rotate(ctx context.Context) error {
	tick := time.NewTimer(0)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		changed, next, err := n.ring.Advance(time.Now())
		if err != nil {
			n.cfg.Log.Error("no key for the next epoch, trying again", "error", err)
		}
		if changed {
			if err := n.useKeys(); err != nil {
				return err
			}
			wake(n.keysChanged)
		}
		wait := maxKeyWait
		if err == nil && !next.IsZero() {
			wait = min(wait, time.Until(next))
		}
		tick.Reset(max(wait, 10*time.Millisecond)) // not at once for ever, whatever the clock does
	}
}

// useKeys takes over what the ring has: new keys are made ready, and those that are gone are erased here too.
func (n *Node) useKeys() error {
	var before, after keys
	if known := n.keys.Load(); known != nil {
		before = *known
	}
	for _, epoch := range n.ring.Epochs() {
		i := slices.IndexFunc(before, func(k *key) bool { return k.Epoch == epoch })
		if i >= 0 {
			after = append(after, before[i])
			continue
		}
		k := &key{Epoch: epoch, openers: make([]opener, workers)}
		for w := range k.openers {
			var err error
			if k.openers[w].Unwrapper, err = epoch.NewUnwrapper(n.cfg.Network.Params); err != nil {
				return err
			}
		}
		after = append(after, k)
	}
	n.keys.Store(&after)
	for _, k := range before {
		if !slices.Contains(after, k) {
			k.erase()
		}
	}
	return nil
}

func (k *key) erase() {
	for w := range k.openers {
		o := &k.openers[w]
		o.mu.Lock()
		o.Wipe()
		o.mu.Unlock()
	}
}

// closeKeys erases all keys from memory.
func (n *Node) closeKeys() {
	for _, k := range *n.keys.Load() {
		k.erase()
	}
	if err := n.ring.Close(); err != nil {
		n.cfg.Log.Warn("closing the keys", "error", err)
	}
}

// commit stores the tags of the packets that are to leave, and of all others that were opened with their keys, so that none
// of them can come again whatever happens. What was opened with a key whose tags cannot be stored must not leave.
func (n *Node) commit(out []*packet) {
	var done keys // these are nearly always one, and not always among the ring's: an epoch may just have ended
	for _, p := range out {
		k := p.key
		if k == nil || slices.Contains(done, k) || k.failed.Load() {
			continue
		}
		done = append(done, k)
		if err := k.Commit(); err != nil {
			k.failed.Store(true)
			n.refuseAll(k, err)
		}
	}
}

// refuseAll tells the operator, once, that a key opens nothing any more. The next epoch has another.
func (n *Node) refuseAll(k *key, err error) {
	if !k.refusing.Swap(true) {
		n.cfg.Log.Error("replay tags cannot be kept: every packet for this epoch's key is refused from now on", "epoch", k.Number, "error", err)
	}
}
