package replay

import (
	"fmt"
	"sync"

	"sphinxmix.example/sphinx"
)

// Set is an exact set of tags in memory, for a key that dies with the process. It holds a bounded number of them and
// fails closed. It is safe for concurrent use. Make it with [NewSet].
type Set struct{ *set }

// set is apart from Set because package fmt does not call Format for fields that are not exported, and there follows one
// pointer, but no second one.
type set struct {
	max int

	mu   sync.Mutex
	tags tagSet // guarded by mu
}

// tagSet is a map because Go seeds the hash of each one with randomness of its own: whoever sends packets chooses tags,
// by trying many, and in a table without a key could make them collide.
type tagSet map[sphinx.Tag]struct{}

// add reports whether tag was new.
func (s tagSet) add(tag sphinx.Tag) bool {
	before := len(s)
	s[tag] = struct{}{}
	return len(s) > before
}

// NewSet returns an empty Set for at most max tags, each of which takes up to 80 bytes once stored.
func NewSet(max int) *Set {
	return &Set{&set{max: max, tags: make(tagSet)}}
}

// Fresh implements sphinx.Replay. Where there is no room for all tags it stores none and returns ErrFull.
func (s *Set) Fresh(tags []sphinx.Tag, fresh []bool) error {
	clear(fresh)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tags)+len(tags) > s.max {
		return ErrFull
	}
	for i, tag := range tags {
		fresh[i] = s.tags.add(tag)
	}
	return nil
}

// Commit does nothing: a Set lasts no longer than its key.
func (s *Set) Commit() error { return nil }

// Len returns the number of tags stored.
func (s *Set) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.tags)
}

// Format prints how many tags there are and none of them, whatever the verb.
func (s *Set) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "replay.Set(%d tags)", s.Len()) }
