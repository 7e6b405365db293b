package replay_test

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/replay"
	"sphinxmix.example/sphinx"
)

func open(t testing.TB, path string, max int) *replay.Log {
	t.Helper()
	l, err := replay.Open(path, binding, max)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func content(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}

// storeAll stores new tags.
func storeAll(t testing.TB, l *replay.Log, numbers ...int) {
	t.Helper()
	fresh := make([]bool, len(numbers))
	require.NoError(t, l.Fresh(tags(numbers...), fresh))
	require.NotContains(t, fresh, false)
	require.NoError(t, l.Commit())
}

// requireTags closes l, if it is not nil, and opens the file anew.
func requireTags(t testing.TB, path string, l *replay.Log, numbers ...int) {
	t.Helper()
	if l != nil {
		require.NoError(t, l.Close())
	}
	l, err := replay.Open(path, binding, 1000)
	require.NoError(t, err)
	require.ElementsMatch(t, tags(numbers...), l.Tags())
	require.Equal(t, len(numbers), l.Len())
	require.NoError(t, l.Close())
}

func TestCommittedTagsAreRefusedAfterRestart(t *testing.T) {
	path := newPath(t)
	l := create(t, path, 1000)
	requireTags(t, path, l)
	var all []int
	for round := range 5 {
		l = open(t, path, 1000)
		for _, size := range []int{1, 3, 64} {
			next := from(len(all), size)
			storeAll(t, l, next...)
			all = append(all, next...)
		}
		requireFresh(t, l, []int{-round - 1}, true) // not committed
		requireTags(t, path, l, all...)
	}
	l = open(t, path, 1000)
	requireFresh(t, l, []int{0, 339, -1, 340}, false, false, true, true)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())
}

// TestOneRecordACommit, as the format says, and none where there is nothing new.
func TestOneRecordACommit(t *testing.T) {
	path := newPath(t)
	l := create(t, path, 1000)
	want := replay.AppendHeader(binding)
	require.NoError(t, l.Commit())
	require.Equal(t, want, content(t, path))
	requireFresh(t, l, []int{1, 2, 1}, true, true, false)
	requireFresh(t, l, []int{2, 3}, false, true)
	require.Equal(t, want, content(t, path), "Fresh does not write")
	for range 3 {
		require.NoError(t, l.Commit())
	}
	requireFresh(t, l, []int{1, 2, 3}, false, false, false)
	require.NoError(t, l.Commit())
	want = replay.AppendRecord(want, tags(1, 2, 3)...)
	require.Equal(t, want, content(t, path))
	storeAll(t, l, 4)
	require.Equal(t, replay.AppendRecord(want, tag(4)), content(t, path))
}

// TestTheFileIsAsDocumented pins the format to the bytes.
func TestTheFileIsAsDocumented(t *testing.T) {
	var low, high sphinx.Tag
	for i := range low {
		low[i], high[i] = byte(i), byte(0xe0+i)
	}
	path := newPath(t)
	l := create(t, path, 10)
	require.NoError(t, l.Fresh([]sphinx.Tag{low, high}, make([]bool, 2)))
	require.NoError(t, l.Commit())
	require.Equal(t, slices.Concat(
		[]byte("mixtags\x01\x01\x02\x03"), make([]byte, 29), []byte{0xf1, 0x51, 0xde, 0x40},
		[]byte{0, 0, 0, 2, 0xf4, 0xd1, 0xc5, 0xdc}, low[:], high[:], []byte{0x27, 0x7c, 0x3c, 0x93},
	), content(t, path))
}

func TestCreateRefusesToOverwrite(t *testing.T) {
	path := newPath(t)
	l := create(t, path, 10)
	storeAll(t, l, 1)
	before := content(t, path)
	_, err := replay.Create(path, binding, 10)
	require.ErrorIs(t, err, fs.ErrExist)
	require.Equal(t, before, content(t, path))
	require.NoError(t, os.WriteFile(path+"2", []byte("somebody's"), 0o600))
	_, err = replay.Create(path+"2", binding, 10)
	require.ErrorIs(t, err, fs.ErrExist)
	require.Equal(t, "somebody's", string(content(t, path+"2")))
	_, err = replay.Create(filepath.Join(path+"3", "log"), binding, 10)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestOpenRefusesToInvent(t *testing.T) {
	path := newPath(t)
	_, err := replay.Open(path, binding, 10)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoFileExists(t, path)

	storeAll(t, create(t, path, 10), 1)
	before := content(t, path)
	_, err = replay.Open(path, [replay.BindingSize]byte{9}, 10)
	require.ErrorIs(t, err, replay.ErrBinding)
	require.ErrorContains(t, err, path)
	later := slices.Clone(before)
	later[7] = 2
	require.NoError(t, os.WriteFile(path, later, 0o600))
	_, err = replay.Open(path, binding, 10)
	require.ErrorIs(t, err, replay.ErrVersion)
	require.Equal(t, later, content(t, path))
}

// TestFewerTagsThanThereAre: every tag counts, whatever the limit is set to now.
func TestFewerTagsThanThereAre(t *testing.T) {
	path := newPath(t)
	storeAll(t, create(t, path, 10), 1, 2, 3)
	for _, max := range []int{3, 2, 0} {
		l := open(t, path, max)
		require.Equal(t, 3, l.Len())
		requireRefused(t, l, []int{4}, replay.ErrFull)
		requireRefused(t, l, []int{1}, replay.ErrFull)
		require.NoError(t, l.Close())
	}
	requireFresh(t, open(t, path, 4), []int{4}, true)
}

func TestClosedLogRefusesEverything(t *testing.T) {
	path := newPath(t)
	l := create(t, path, 10)
	storeAll(t, l, 1)
	requireFresh(t, l, []int{2}, true)
	require.NoError(t, l.Close())
	requireRefused(t, l, []int{1}, replay.ErrClosed)
	requireRefused(t, l, []int{3}, replay.ErrClosed)
	require.ErrorIs(t, l.Commit(), replay.ErrClosed, "whose tags are lost must not be told otherwise")
	require.NoError(t, l.Close())
	requireTags(t, path, nil, 1)

	l = open(t, path, 10)
	require.NoError(t, l.Remove())
	requireRefused(t, l, []int{3}, replay.ErrClosed)
	require.NoFileExists(t, path)
	require.NoError(t, l.Remove())
}

// TestConcurrentCommits: each caller finds its own tags in the file when its Commit returns.
func TestConcurrentCommits(t *testing.T) {
	const callers, batches = 4, 25
	path := newPath(t)
	l := create(t, path, 1<<20)
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(caller), 2))
			fresh := make([]bool, 5)
			for batch := range batches {
				mine := tags(from(1000*caller+5*batch, 5)...)
				if err := l.Fresh(mine, fresh); err != nil || slices.Contains(fresh, false) {
					t.Error(err, fresh)
					return
				}
				if err := l.Commit(); err != nil {
					t.Error(err)
					return
				}
				if random.IntN(5) > 0 {
					continue
				}
				written, err := os.ReadFile(path)
				if err != nil {
					t.Error(err)
					return
				}
				for _, tag := range mine {
					if !slices.Contains(slices.Collect(recordedTags(written)), tag) {
						t.Errorf("caller %d, batch %d: a tag is not in the file", caller, batch)
						return
					}
				}
			}
		})
	}
	all.Wait()
	var want []int
	for caller := range callers {
		want = append(want, from(1000*caller, 5*batches)...)
	}
	requireTags(t, path, l, want...)
}
