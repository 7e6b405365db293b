package replay_test

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/replay"
	"sphinxmix.example/sphinx"
)

var _ sphinx.Replay = (*replay.Set)(nil)

func tag(n int) (t sphinx.Tag) {
	binary.BigEndian.PutUint64(t[:], uint64(n))
	return t
}

func tags(numbers ...int) []sphinx.Tag {
	out := make([]sphinx.Tag, len(numbers))
	for i, n := range numbers {
		out[i] = tag(n)
	}
	return out
}

func requireFresh(t *testing.T, s *replay.Set, numbers []int, want []bool) {
	t.Helper()
	fresh := make([]bool, len(numbers))
	for i := range fresh {
		fresh[i] = !want[i] // whatever was there before
	}
	require.NoError(t, s.Fresh(tags(numbers...), fresh))
	require.Equal(t, want, fresh)
}

func TestTagsAreFreshOnce(t *testing.T) {
	s := replay.NewSet(100)
	requireFresh(t, s, []int{1, 2, 3}, []bool{true, true, true})
	requireFresh(t, s, []int{2}, []bool{false})
	requireFresh(t, s, []int{4, 1, 5, 3}, []bool{true, false, true, false})
	requireFresh(t, s, nil, []bool{})
	require.Equal(t, 5, s.Len())
}

// TestTagsThatDifferInOneBitAreDifferent: all 32 bytes count.
func TestTagsThatDifferInOneBitAreDifferent(t *testing.T) {
	s := replay.NewSet(1000)
	fresh := []bool{false}
	require.NoError(t, s.Fresh([]sphinx.Tag{{}}, fresh))
	for bit := range 8 * sphinx.TagSize {
		var other sphinx.Tag
		other[bit/8] = 1 << (bit % 8)
		require.NoError(t, s.Fresh([]sphinx.Tag{other}, fresh))
		require.True(t, fresh[0], "bit %d", bit)
	}
}

func TestDuplicatesWithinABatch(t *testing.T) {
	s := replay.NewSet(100)
	requireFresh(t, s, []int{1, 1, 2, 1, 2}, []bool{true, false, true, false, false})
	require.Equal(t, 2, s.Len())
}

// TestFullSetStoresNothing: a batch for which there is no room is refused as a whole, and may be asked about again.
func TestFullSetStoresNothing(t *testing.T) {
	s := replay.NewSet(3)
	requireFresh(t, s, []int{1, 2}, []bool{true, true})
	fresh := make([]bool, 2)
	require.ErrorIs(t, s.Fresh(tags(3, 4), fresh), replay.ErrFull)
	require.Equal(t, []bool{false, false}, fresh, "what is refused is not called fresh")
	require.Equal(t, 2, s.Len())
	requireFresh(t, s, []int{3}, []bool{true})
	for _, n := range []int{1, 3, 4} {
		require.ErrorIs(t, s.Fresh(tags(n), fresh[:1]), replay.ErrFull)
	}
	require.Equal(t, 3, s.Len())
	require.ErrorIs(t, replay.NewSet(0).Fresh(tags(1), fresh[:1]), replay.ErrFull)
}

// TestConcurrentCallsAgree: of all who bring a tag at once, one is told that it is fresh.
func TestConcurrentCallsAgree(t *testing.T) {
	const distinct, callers, batch = 1000, 8, 17
	s := replay.NewSet(distinct + callers*batch)
	counts := make([][distinct]int, callers)
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			order := rand.New(rand.NewPCG(uint64(caller), 1)).Perm(distinct)
			fresh := make([]bool, batch)
			for len(order) > 0 {
				n := min(batch, len(order))
				if err := s.Fresh(tags(order[:n]...), fresh[:n]); err != nil {
					t.Error(err)
					return
				}
				for i, is := range fresh[:n] {
					if is {
						counts[caller][order[i]]++
					}
				}
				order = order[n:]
				_ = s.Len()
			}
		})
	}
	all.Wait()
	for n := range distinct {
		sum := 0
		for caller := range callers {
			sum += counts[caller][n]
		}
		require.Equal(t, 1, sum, "tag %d", n)
	}
	require.Equal(t, distinct, s.Len())
}
