package node

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNewLinksAreNoNewShareOfOpening: packets that wait to be opened count when their sender's link has ended, too.
func TestNewLinksAreNoNewShareOfOpening(t *testing.T) {
	for _, listed := range []bool{true, false} {
		s := senders{share: 10 * openingShare, known: make(map[string]*sender)}
		first := s.join("192.0.2.1", listed)
		waiting := new(packet)
		require.True(t, waiting.admit(t.Context(), first))
		s.leave(first)
		again := s.join("192.0.2.1", listed)
		require.Same(t, first, again)
		require.Len(t, again.opening, 1)
		s.leave(again)
		<-first.opening
		if !listed {
			<-first.share
		}
		s.leave(s.join("192.0.2.2", listed))
		require.Empty(t, s.known, "who has nothing here any more is forgotten")
	}
}
