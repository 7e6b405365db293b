// Package replay remembers the tags of packets that a key has opened, for as long as the key lives.
package replay

import (
	"errors"
	"sync"

	"sphinxmix.example/sphinx"
)

// ErrFull is returned when a Set holds as many tags as it may. Nothing is opened with its key from then on.
var ErrFull = errors.New("replay: the set is full; the key must be replaced")

// Set is an exact set of tags in memory, for a key that dies with the process. It holds a bounded number of them and
// fails closed. It is safe for concurrent use.
type Set struct {
	max int

	mu   sync.Mutex
	tags map[sphinx.Tag]struct{} // guarded by mu
}

// NewSet returns an empty Set for at most max tags, each of which takes about 70 bytes once stored.
func NewSet(max int) *Set {
	return &Set{max: max, tags: make(map[sphinx.Tag]struct{})}
}

// Fresh implements sphinx.Replay. Where there is no room for all tags it stores none and returns ErrFull.
func (s *Set) Fresh(tags []sphinx.Tag, fresh []bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tags)+len(tags) > s.max {
		return ErrFull
	}
	for i, tag := range tags {
		_, seen := s.tags[tag]
		fresh[i] = !seen
		s.tags[tag] = struct{}{}
	}
	return nil
}

// Len returns the number of tags stored.
func (s *Set) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.tags)
}
