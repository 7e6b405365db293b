package replay_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/nodetest/printing"
	"sphinxmix.example/node/replay"
	"sphinxmix.example/sphinx"
)

// store is what a Set and a Log have in common. The tests in this file are of both.
type store interface {
	sphinx.Replay
	Commit() error
	Len() int
	Format(fmt.State, rune)
}

var stores = []struct {
	name string
	new  func(t testing.TB, max int) store
}{
	{"Set", func(_ testing.TB, max int) store { return replay.NewSet(max) }},
	{"Log", func(t testing.TB, max int) store { return create(t, newPath(t), max) }},
}

var binding = [replay.BindingSize]byte{1, 2, 3}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "log") }

func create(t testing.TB, path string, max int) *replay.Log {
	t.Helper()
	l, err := replay.Create(path, binding, max)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func forEachStore(t *testing.T, test func(t *testing.T, newStore func(max int) store)) {
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) { test(t, func(max int) store { return s.new(t, max) }) })
	}
}

// tag returns a tag like any other, the same for one n.
func tag(n int) sphinx.Tag { return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n))) }

func tags(numbers ...int) []sphinx.Tag {
	out := make([]sphinx.Tag, len(numbers))
	for i, n := range numbers {
		out[i] = tag(n)
	}
	return out
}

// from returns count numbers, the first of which is first.
func from(first, count int) []int {
	numbers := make([]int, count)
	for i := range numbers {
		numbers[i] = first + i
	}
	return numbers
}

func requireFresh(t *testing.T, s sphinx.Replay, numbers []int, want ...bool) {
	t.Helper()
	fresh := make([]bool, len(numbers))
	for i := range fresh {
		fresh[i] = !want[i] // whatever was there before
	}
	require.NoError(t, s.Fresh(tags(numbers...), fresh))
	require.Equal(t, want, fresh)
}

// requireRefused is for calls that must fail, and call nothing fresh.
func requireRefused(t *testing.T, s sphinx.Replay, numbers []int, want error) {
	t.Helper()
	fresh := make([]bool, len(numbers))
	for i := range fresh {
		fresh[i] = true
	}
	require.ErrorIs(t, s.Fresh(tags(numbers...), fresh), want)
	require.NotContains(t, fresh, true)
}

func TestTagsAreFreshOnce(t *testing.T) {
	forEachStore(t, func(t *testing.T, newStore func(int) store) {
		s := newStore(100)
		requireFresh(t, s, []int{1, 2, 3}, true, true, true)
		requireFresh(t, s, []int{2}, false)
		require.NoError(t, s.Commit())
		requireFresh(t, s, []int{4, 1, 5, 3}, true, false, true, false)
		require.NoError(t, s.Fresh(nil, nil))
		require.Equal(t, 5, s.Len())
	})
}

// TestTagsThatDifferInOneBitAreDifferent: all 32 bytes count.
func TestTagsThatDifferInOneBitAreDifferent(t *testing.T) {
	forEachStore(t, func(t *testing.T, newStore func(int) store) {
		s := newStore(1000)
		fresh := []bool{false}
		require.NoError(t, s.Fresh([]sphinx.Tag{{}}, fresh))
		for bit := range 8 * sphinx.TagSize {
			var other sphinx.Tag
			other[bit/8] = 1 << (bit % 8)
			require.NoError(t, s.Fresh([]sphinx.Tag{other}, fresh))
			require.True(t, fresh[0], "bit %d", bit)
		}
	})
}

func TestDuplicatesWithinABatch(t *testing.T) {
	forEachStore(t, func(t *testing.T, newStore func(int) store) {
		s := newStore(100)
		requireFresh(t, s, []int{1, 1, 2, 1, 2}, true, false, true, false, false)
		require.Equal(t, 2, s.Len())
	})
}

// TestFullStoreStoresNothing: a batch for which there is no room is refused as a whole, and may be asked about again.
func TestFullStoreStoresNothing(t *testing.T) {
	forEachStore(t, func(t *testing.T, newStore func(int) store) {
		s := newStore(3)
		requireFresh(t, s, []int{1, 2}, true, true)
		requireRefused(t, s, []int{3, 4}, replay.ErrFull)
		require.Equal(t, 2, s.Len())
		requireFresh(t, s, []int{3}, true)
		for _, n := range []int{1, 3, 4} {
			requireRefused(t, s, []int{n}, replay.ErrFull)
		}
		require.Equal(t, 3, s.Len())
		require.NoError(t, s.Commit(), "what was let in is stored")
		requireRefused(t, newStore(0), []int{1}, replay.ErrFull)
	})
}

// TestConcurrentCallsAgree: of all who bring a tag at once, one is told that it is fresh.
func TestConcurrentCallsAgree(t *testing.T) {
	forEachStore(t, func(t *testing.T, newStore func(int) store) {
		const distinct, callers, batch = 1000, 8, 17
		s := newStore(distinct + callers*batch)
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
					if err := s.Commit(); err != nil {
						t.Error(err)
						return
					}
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
	})
}

func TestNoVerbPrintsTags(t *testing.T) {
	forEachStore(t, func(t *testing.T, newStore func(int) store) {
		s := newStore(3)
		requireFresh(t, s, []int{1, 2}, true, true)
		secret := tag(1)
		printing.RequireHidden(t, s, secret[:])
		require.Contains(t, fmt.Sprint(s), "2 tags")
	})
}
