package keyring

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"sphinxmix.example/node/replay"
	"sphinxmix.example/sphinx"
)

// ErrErased is returned for a key whose time is over.
var ErrErased = errors.New("keyring: the epoch is over, and its key erased")

// Tags is the set of packets that one key has opened: a replay.Log where keys are kept in a folder, else a replay.Set.
type Tags interface {
	sphinx.Replay
	Commit() error // of replay.Log
	Len() int      // how many tags there are
}

// Epoch is the key of one epoch and the packets that it has opened. It is never printed.
type Epoch struct {
	Number uint64
	Key    *sphinx.PrivateKey // wiped once the epoch is over, by Advance or Close: use NewUnwrapper where that may be meanwhile
	Tags   Tags               // refuses everything once the epoch is over, if it is kept in a folder

	public sphinx.PublicKey
	log    *replay.Log // Tags, if the key is kept in a folder; else nil

	mu   sync.Mutex
	over bool // guarded by mu, as is the wiping of Key

	gone atomic.Bool // the key is erased from the disk too, so that there is nothing left to replay for
}

// newEpoch returns an epoch with a log of tags, or with a set of up to maxTags tags in memory if log is nil.
func newEpoch(number uint64, key *sphinx.PrivateKey, log *replay.Log, maxTags int) *Epoch {
	e := &Epoch{Number: number, Key: key, Tags: log, public: key.Public(), log: log}
	if log == nil {
		e.Tags = replay.NewSet(maxTags)
	}
	return e
}

// Public returns the public key, also once the epoch is over.
func (e *Epoch) Public() sphinx.PublicKey { return e.public }

// NewUnwrapper returns an Unwrapper for the packets of e, or ErrErased once the epoch is over. It may be called at any
// time, by any goroutine. The Unwrapper has a copy of the key, which only its owner can wipe: let each goroutine look at
// [Ring.Epochs] before a batch, and wipe the Unwrappers that it has for epochs that are no longer there.
func (e *Epoch) NewUnwrapper(p sphinx.Params) (*sphinx.Unwrapper, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return nil, ErrErased
	}
	return sphinx.NewUnwrapper(p, e.Key, e.Tags)
}

// Commit returns once the tags that were fresh before are on disk, as [replay.Log.Commit] does, or once the key has been
// erased from the disk, after which nobody can open those packets again.
func (e *Epoch) Commit() error {
	if err := e.Tags.Commit(); err != nil && !(errors.Is(err, replay.ErrClosed) && e.gone.Load()) {
		return err
	}
	return nil
}

// forget wipes the key.
func (e *Epoch) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.over = true
	e.Key.Wipe()
}

// Format prints the number and nothing of the key or the tags, whatever the verb.
func (e *Epoch) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "keyring.Epoch(%d)", e.Number) }
