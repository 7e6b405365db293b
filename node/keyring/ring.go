// Package keyring keeps a mix's X25519 keys: one for each epoch, each with the set of packets that it has opened, and
// erased with that set when its time is over. [Open] makes a [Ring], which is told the time by [Ring.Advance] and starts
// nothing by itself.
//
// # Epochs
//
// Epoch n is the time from n to n+1 times Config.Length since 1970, by the clock of the machine. At any time a mix opens
// packets with the keys of the previous epoch, the current one and the next, so that packets under way when the epoch
// changes, and those of clients whose clocks are up to an epoch off, are not lost. A key is made one epoch before its own
// begins, and erased one epoch after its own ends: it lives for three epochs, and what was recorded then is secret ever
// after. The key of the previous epoch is never made afresh, since nobody could have it.
//
// # Clocks
//
// Erased keys never come back, whatever the clock does. A clock that jumps ahead makes keys be erased as if the time
// had passed. One that is set back over one boundary costs none: the key that is then two epochs ahead is kept, but
// neither listed nor used before its time, and the previous epoch has none. One that is set back further shows epochs
// whose keys are erased: the current one and the next get new keys, and keys more than two epochs ahead are erased, as
// nobody knows for how long they would have to lie there. So an epoch can have a second key. Then the first is gone for
// good: packets made for it are lost, and the descriptor lists the second alone. A clock before 1970 shows epoch 0.
//
// # The folder
//
// With a folder, keys survive a restart; without, they die with the process. A key is used only with its set of tags, as
// whoever restarts with the one and not the other takes each packet twice: where one of the two is missing or damaged,
// both are erased. So whoever brings back an older state of the folder, from a backup or a snapshot of the machine, lets
// old packets in again: keep it out of them. The folder holds, for the epoch n, epoch-n.key and epoch-n.tags
// ([replay.Open] describes the latter), a lock, and what others have put there, which is left alone.
package keyring

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/sphinx"
)

// ErrClosed is returned by the methods of a Ring that was closed.
var ErrClosed = errors.New("keyring: the ring is closed")

// Config says how long keys live and where. A zero field means its documented default.
type Config struct {
	Length  time.Duration // of an epoch, in whole seconds; 1 h if zero
	Dir     string        // the folder of the keys, for nobody else to read, made if missing; keys in memory only if empty
	MaxTags int           // packets that each key may open; 4,194,304 if zero, which take up to 340 MB of memory

	Random io.Reader    // 32 bytes are read for each key, that of the lower epoch first; crypto/rand if nil
	Log    *slog.Logger // discards if nil
}

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Length < 0 || c.Length%time.Second != 0:
		return c, fmt.Errorf("keyring: Config.Length is %v, must be whole seconds", c.Length)
	case c.MaxTags < 0:
		return c, errors.New("keyring: Config.MaxTags is negative")
	}
	c.Length = cmp.Or(c.Length, time.Hour)
	c.MaxTags = cmp.Or(c.MaxTags, 1<<22)
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Ring is the keys of a mix. Its methods may be called by several goroutines at once, and none but Advance and Close ever
// waits. It is never printed.
type Ring struct {
	cfg    Config
	folder *folder // nil for keys in memory only

	mu   sync.Mutex           // held by Advance and Close, which write held
	held atomic.Pointer[keys] // replaced, never changed
}

// keys are the epochs that a Ring has at one time. Packets may be on their way that were opened with any of them.
type keys struct {
	live   []*Epoch // up to directory.MaxEpochKeys, by ascending number
	ahead  []*Epoch // kept for when the clock comes back to it: one at most, and the next after live
	doomed []*Epoch // forgotten, but for their files, which have not been erased yet
	closed bool
}

// kept returns the epochs whose keys are not forgotten, by ascending number.
func (k *keys) kept() []*Epoch { return slices.Concat(k.live, k.ahead) }

// Open returns the keys that cfg.Dir has for the time now, and makes those that are missing of the current epoch and the
// next. It erases all others. The error wraps durable.ErrInUse where another process has the folder.
func Open(cfg Config, now time.Time) (*Ring, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Ring{cfg: cfg}
	var found []*Epoch
	if cfg.Dir != "" {
		if r.folder, err = openFolder(cfg); err != nil {
			return nil, fmt.Errorf("keyring: %w", err)
		}
		if found, err = r.folder.load(r.network().EpochAt(now)); err != nil {
			return nil, errors.Join(fmt.Errorf("keyring: %w", err), r.folder.close())
		}
	}
	r.held.Store(&keys{live: found}) // which Advance sorts out
	if _, _, err := r.Advance(now); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// network stands for the one whose epochs these are, and says nothing else of it.
func (r *Ring) network() directory.Network { return directory.Network{Epoch: r.cfg.Length} }

// retryAfter is when Advance wants to be called again after it failed.
const retryAfter = 10 * time.Second

// Advance brings the keys to the time now: it erases those whose time is over, and makes those that are missing of the
// current epoch and the next. changed says whether Epochs has changed, and a new descriptor is due. next is when Advance
// has something to do again, if nobody sets the clock; to call it more often does no harm, and finds that out.
//
// Where Advance returns an error it has done what it could, and says in next when to try again: there may be fewer keys
// than there should be, but none in use whose time is over. An Epoch that has left Epochs is of no more use: see
// [Epoch.NewUnwrapper] for what its users must do.
func (r *Ring) Advance(now time.Time) (changed bool, next time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.held.Load()
	if before.closed {
		return false, time.Time{}, ErrClosed
	}
	current := r.network().EpochAt(now)
	kept, over := split(before.kept(), current)
	doomed := slices.Concat(before.doomed, over)
	r.hold(kept, doomed, current) // first, so that nobody finds an epoch that is being erased
	doomed, notErased := r.erase(doomed)
	kept, notMade := r.complete(kept, current)
	r.hold(kept, doomed, current)

	changed = !slices.Equal(before.live, r.Epochs())
	next = r.network().EpochStart(current + 1)
	if err = errors.Join(notErased, notMade); err != nil {
		err = fmt.Errorf("keyring: %w", err)
		if soon := now.Add(retryAfter); soon.Before(next) {
			next = soon
		}
	}
	return changed, next, err
}

// split tells the epochs whose keys are kept, when the epoch is current, from those that are over: those that ended
// before the one before current, those so far ahead that a clock was wrong when they were made, and those that were
// over before the clock was set back.
func split(epochs []*Epoch, current uint64) (kept, over []*Epoch) {
	latest := uint64(0)
	for _, e := range epochs {
		if e.Number <= current+2 {
			latest = max(latest, e.Number)
		}
	}
	for _, e := range epochs {
		if e.Number+1 >= current && e.Number <= latest && e.Number+2 >= latest {
			kept = append(kept, e)
		} else {
			over = append(over, e)
		}
	}
	return kept, over
}

// hold makes kept, in ascending order, and doomed the epochs that the ring has.
func (r *Ring) hold(kept, doomed []*Epoch, current uint64) {
	live := len(kept)
	if live > 0 && kept[live-1].Number > current+1 {
		live--
	}
	r.held.Store(&keys{live: slices.Clip(kept[:live]), ahead: kept[live:], doomed: doomed})
}

// complete returns kept, in ascending order, with new keys for the epoch current and the one after it where they are
// missing, as far as it got.
func (r *Ring) complete(kept []*Epoch, current uint64) ([]*Epoch, error) {
	for number := current; number <= current+1; number++ {
		at, found := slices.BinarySearchFunc(kept, number, func(e *Epoch, n uint64) int { return cmp.Compare(e.Number, n) })
		if found {
			continue
		}
		made, err := r.generate(number, kept)
		if err != nil {
			return kept, fmt.Errorf("making the key of epoch %d: %w", number, err)
		}
		kept = slices.Insert(slices.Clip(kept), at, made)
		r.cfg.Log.Info("new mix key", "epoch", number)
	}
	return kept, nil
}

// generate returns the epoch number with a new key, which no other has.
func (r *Ring) generate(number uint64, others []*Epoch) (*Epoch, error) {
	key, err := sphinx.GenerateKey(r.cfg.Random)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(others, func(e *Epoch) bool { return e.public == key.Public() }) {
		key.Wipe()
		return nil, errors.New("the source of randomness repeats itself")
	}
	if r.folder == nil {
		return newEpoch(number, key, nil, r.cfg.MaxTags), nil
	}
	return r.folder.save(number, key)
}

// erase forgets the keys of doomed, and erases their files. It returns those whose files it could not erase.
func (r *Ring) erase(doomed []*Epoch) (left []*Epoch, err error) {
	var errs []error
	for _, e := range doomed {
		e.forget()
		if r.folder != nil {
			if err := r.folder.erase(e); err != nil {
				left = append(left, e)
				errs = append(errs, fmt.Errorf("erasing the key of epoch %d: %w", e.Number, err))
				continue
			}
		}
		r.cfg.Log.Info("mix key erased", "epoch", e.Number)
	}
	return left, errors.Join(errs...)
}

// Epochs returns the epochs whose keys open packets now, by ascending number: the current one and the next, and in most
// cases the previous one. The slice is not changed when they change, but another one returned.
func (r *Ring) Epochs() []*Epoch { return r.held.Load().live }

// Keys returns the keys of Epochs as a descriptor lists them: 2 or 3, by ascending epoch.
func (r *Ring) Keys() []directory.EpochKey {
	var keys []directory.EpochKey
	for _, e := range r.Epochs() {
		keys = append(keys, directory.EpochKey{Epoch: e.Number, Key: e.public})
	}
	return keys
}

// Close forgets all keys and gives the folder back, with the files of the keys as they are. Tags that were not committed
// are lost. Nothing is opened from then on.
func (r *Ring) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	held := r.held.Swap(&keys{closed: true})
	if held.closed {
		return nil
	}
	var errs []error
	for _, e := range slices.Concat(held.live, held.ahead, held.doomed) {
		e.forget()
		if e.log != nil {
			errs = append(errs, e.log.Close())
		}
	}
	if r.folder != nil {
		errs = append(errs, r.folder.close())
	}
	return errors.Join(errs...)
}

// Format prints how many keys there are and nothing of them, whatever the verb.
func (r *Ring) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "keyring.Ring(%d epochs)", len(r.Epochs()))
}
