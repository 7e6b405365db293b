package directory

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"sphinxmix.example/tao"
)

// roster is what a server knows of the nodes. It only ever goes forward: of two records of a node the one with the
// higher version stays, in whatever order they come.
type roster struct {
	places  int // how many nodes may have a record
	records map[NodeID]*record
	paces   map[NodeID]*bucket // of what the nodes change; none for who has changed nothing
	size    int                // of the part of a view that lists them all, in bytes
	expired []string           // names of dropped records, which the store may still have
	lapse   time.Time          // when the next evidence expires, or sooner; zero if none does
}

// maxListSize is how many bytes of a view nodes may need, so that there is room for any policy.
const maxListSize = MaxViewSize - minViewSize - tao.MaxPolicySize

func newRoster(places int) roster {
	return roster{places: places, records: make(map[NodeID]*record), paces: make(map[NodeID]*bucket)}
}

// weigh says whether r says anything new, and what the roster has against it: the error wraps ErrTaken, ErrOlder or
// ErrFull.
func (ro *roster) weigh(r *record, now time.Time) (changes bool, err error) {
	held, known := ro.records[r.id]
	switch {
	case !known && r.desc == nil:
		return false, nil // who is not here has left already
	case known && !held.identity.Equal(r.identity):
		return false, ErrTaken
	case known && held.signed != nil && bytes.Equal(held.signed, r.signed):
		return false, nil
	case known && r.version <= held.version:
		return false, fmt.Errorf("%w: what is held of the node has version %d, the next must have a higher one", ErrOlder, held.version)
	}
	if !ro.fits(r) {
		ro.dropExpired(now)
		if !ro.fits(r) {
			return false, ErrFull
		}
	}
	return true, nil
}

// fits reports whether there is room for r.
func (ro *roster) fits(r *record) bool {
	held, known := ro.records[r.id]
	if !known {
		return len(ro.records) < ro.places && ro.size+sizeInView(r) <= maxListSize
	}
	return ro.size-sizeInView(held)+sizeInView(r) <= maxListSize
}

// sizeInView returns how many bytes of a view r needs.
func sizeInView(r *record) int {
	if r.desc == nil {
		return 0
	}
	return nodePrefixSize + len(r.signed)
}

// has reports whether r says nothing that the roster does not know.
func (ro *roster) has(r *record) bool {
	held, known := ro.records[r.id]
	return known && (held.version >= r.version || !held.identity.Equal(r.identity))
}

// merge takes r in, unless what it holds of the node is as new, and reports whether it did. It makes no room and asks
// for none: whoever let r in did.
func (ro *roster) merge(r *record) bool {
	if ro.has(r) {
		return false
	}
	if held, known := ro.records[r.id]; known {
		ro.size -= sizeInView(held)
	}
	ro.records[r.id] = r
	ro.size += sizeInView(r)
	ro.watch(r)
	return true
}

// judge puts a judged record in the place of the same one, and reports whether that is still there.
func (ro *roster) judge(r *record) bool {
	held := ro.records[r.id]
	if held == nil || held.desc != r.desc {
		return false
	}
	ro.records[r.id] = r
	ro.watch(r)
	return true
}

// watch minds when the evidence of a record expires.
func (ro *roster) watch(r *record) {
	if v := r.judged.verdict; v != nil && (ro.lapse.IsZero() || v.Until.Before(ro.lapse)) {
		ro.lapse = v.Until
	}
}

// lapsed reports whether evidence may have expired since it last did.
func (ro *roster) lapsed(now time.Time) bool {
	if ro.lapse.IsZero() || now.Before(ro.lapse) {
		return false
	}
	ro.lapse = time.Time{}
	for _, r := range ro.records {
		if v := r.judged.verdict; v != nil && now.Before(v.Until) {
			ro.watch(r)
		}
	}
	return true
}

// renewals returns what paces the changes of a node that is known. That of any other is not kept.
func (ro *roster) renewals(id NodeID) *bucket {
	pace := ro.paces[id]
	if pace == nil {
		pace = new(bucket)
		if ro.records[id] != nil {
			ro.paces[id] = pace
		}
	}
	return pace
}

// keepOf returns until when a record that takes the place of r's must be kept.
func (ro *roster) keepOf(r *record) time.Time {
	if held, known := ro.records[r.id]; known && held.keep.After(r.keep) {
		return held.keep
	}
	return r.keep
}

// dropExpired forgets what has expired, and returns how many descriptors it was.
func (ro *roster) dropExpired(now time.Time) int {
	dropped := 0
	for id, r := range ro.records {
		if r.desc != nil && r.desc.expired(now) {
			dropped++
			ro.size -= sizeInView(r)
			ro.records[id] = &record{id: r.id, identity: r.identity, version: r.version, keep: r.keep}
		}
		if !now.Before(r.keep) {
			delete(ro.records, id)
			delete(ro.paces, id)
			if len(ro.expired) < ro.places { // one that is not deleted now is found again at the next start
				ro.expired = append(ro.expired, r.name())
			}
		}
	}
	return dropped
}

// listed returns the records of the nodes to list, by ascending id, as many as fit into a view. Servers that know the
// same list the same.
func (ro *roster) listed(listable func(*record) bool) []*record {
	var (
		list []*record
		size int
	)
	for _, id := range slices.SortedFunc(maps.Keys(ro.records), compare) {
		r := ro.records[id]
		if r.desc != nil && listable(r) && len(list) < MaxNodes && size+sizeInView(r) <= maxListSize {
			list = append(list, r)
			size += sizeInView(r)
		}
	}
	return list
}
