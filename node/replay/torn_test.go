package replay_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/replay"
	"sphinxmix.example/sphinx"
)

// history is a file with what was in it after each commit.
type history struct {
	whole []byte
	ends  []int   // of the header and of each record
	tags  [][]int // up to there
}

// newHistory is of commits with the given numbers of tags.
func newHistory(counts ...int) history {
	h := history{whole: replay.AppendHeader(binding)}
	var all []int
	for i := 0; ; i++ {
		h.ends, h.tags = append(h.ends, len(h.whole)), append(h.tags, slices.Clone(all))
		if i == len(counts) {
			return h
		}
		next := from(len(all), counts[i])
		all = append(all, next...)
		h.whole = replay.AppendRecord(h.whole, tags(next...)...)
	}
}

// at returns how many commits end within the first n bytes, of which there must be the header.
func (h history) at(n int) (commits int) {
	for commits+1 < len(h.ends) && h.ends[commits+1] <= n {
		commits++
	}
	return commits
}

// recordedTags are the tags in a file, by its format alone, as far as it is whole.
func recordedTags(file []byte) iter.Seq[sphinx.Tag] {
	return func(yield func(sphinx.Tag) bool) {
		for rest := file[replay.HeaderSize:]; len(rest) > replay.RecordHeaderSize; {
			count := int(binary.BigEndian.Uint32(rest))
			rest = rest[replay.RecordHeaderSize:]
			if len(rest) < count*sphinx.TagSize+replay.ChecksumSize {
				return
			}
			for i := range count {
				if !yield(sphinx.Tag(rest[i*sphinx.TagSize:])) {
					return
				}
			}
			rest = rest[count*sphinx.TagSize+replay.ChecksumSize:]
		}
	}
}

// requireRecovered opens a file of which the first commits of h are good, and the rest a crash's. That must be gone from
// then on, and the next commit be as good as any.
func (h history) requireRecovered(t *testing.T, path string, file []byte, commits int, what string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, file, 0o600))
	l, err := replay.Open(path, binding, 1000)
	require.NoError(t, err, what)
	require.ElementsMatch(t, tags(h.tags[commits]...), l.Tags(), what)
	good := slices.Clip(h.whole[:h.ends[commits]])
	require.Equal(t, good, content(t, path), what)
	storeAll(t, l, 900, 901)
	require.NoError(t, l.Close())
	require.Equal(t, replay.AppendRecord(good, tags(900, 901)...), content(t, path), what)
}

// requireCorrupt opens a file that must be refused and left alone.
func requireCorrupt(t *testing.T, path string, file []byte, what string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, file, 0o600))
	l, err := replay.Open(path, binding, 1000)
	if err == nil {
		l.Close()
	}
	require.ErrorIs(t, err, replay.ErrCorrupt, what)
	require.Equal(t, file, content(t, path), what)
}

// TestFileCutAtEveryByte: what was committed before is there, and nothing else.
func TestFileCutAtEveryByte(t *testing.T) {
	h := newHistory(1, 2, 13, 1, 3)
	path := newPath(t)
	for n := range h.whole {
		if n < replay.HeaderSize {
			requireCorrupt(t, path, h.whole[:n], fmt.Sprintf("%d bytes", n))
		} else {
			h.requireRecovered(t, path, h.whole[:n], h.at(n), fmt.Sprintf("%d bytes", n))
		}
	}
	h.requireRecovered(t, path, h.whole, 5, "all")
}

// TestFileThatEndsWithZeros: it was made longer, but the data of the last commit did not come, or not all its sectors.
func TestFileThatEndsWithZeros(t *testing.T) {
	h := newHistory(1, 2, 40, 1, 3, 33)
	path := newPath(t)
	recovered := 0
	for last := 1; last < len(h.ends); last++ { // the commit that was torn
		start, end := h.ends[last-1], h.ends[last]
		for came := start; came < end; came++ {
			if came != start && came%replay.SectorSize != 0 {
				continue
			}
			for _, size := range []int{came + 1, start + 7, start + 8, end - 1, end, end + 1, end + 5000} {
				if size > came {
					file := append(slices.Clone(h.whole[:came]), make([]byte, size-came)...)
					h.requireRecovered(t, path, file, last-1, fmt.Sprintf("commit %d to byte %d of %d", last, came, size))
					recovered++
				}
			}
		}
	}
	require.Greater(t, recovered, 60)
	zeros := make([]byte, replay.HeaderSize+100)
	requireCorrupt(t, path, zeros, "nothing but zeros")
	requireCorrupt(t, path, append(h.whole[:20:20], zeros...), "zeros in the header")
}

// TestZerosElsewhereAreDamage: those that do not reach the end of the file, or begin where no disk's do.
func TestZerosElsewhereAreDamage(t *testing.T) {
	h := newHistory(1, 40, 40, 3)
	path := newPath(t)
	for i := 1; i < len(h.ends); i++ {
		start, end := h.ends[i-1], h.ends[i]
		file := slices.Clone(h.whole)
		clear(file[start:end])
		if i < len(h.ends)-1 {
			requireCorrupt(t, path, file, "a record of zeros before others")
		}
		file = slices.Clone(h.whole)
		clear(file[end-10 : end])
		requireCorrupt(t, path, file, "the end of a record")
		requireCorrupt(t, path, file[:end], "the end of the last record")
	}
	sector := slices.Clone(h.whole[:h.ends[3]])
	clear(sector[3*replay.SectorSize : 4*replay.SectorSize])
	requireCorrupt(t, path, sector, "a sector within the last record")
	h.requireRecovered(t, path, append(slices.Clone(h.whole), 0), 4, "one zero behind")
}

// TestEveryDamagedByteIsNoticed, also in the last commit.
func TestEveryDamagedByteIsNoticed(t *testing.T) {
	h := newHistory(1, 2, 13, 1, 3)
	require.NotEqual(t, 1, len(h.whole)%replay.SectorSize, "a sector with one byte, which may become zero")
	path := newPath(t)
	for at := range h.whole {
		for _, change := range []byte{1, 0x80, 0xff, h.whole[at]} {
			if change == 0 {
				continue
			}
			file := slices.Clone(h.whole)
			file[at] ^= change
			require.NoError(t, os.WriteFile(path, file, 0o600))
			l, err := replay.Open(path, binding, 1000)
			if err == nil {
				l.Close()
			}
			if at == 7 {
				require.ErrorIs(t, err, replay.ErrVersion)
			} else {
				require.ErrorIs(t, err, replay.ErrCorrupt, "byte %d ⊕ %#x", at, change)
			}
			require.Equal(t, file, content(t, path), "byte %d", at)
		}
	}
}

// TestRecordsHoldInTheirPlaceOnly: no record is taken for another, moved, repeated or left out.
func TestRecordsHoldInTheirPlaceOnly(t *testing.T) {
	h := newHistory(2, 2, 2)
	path := newPath(t)
	header := h.whole[:h.ends[0]]
	record := func(i int) []byte { return h.whole[h.ends[i-1]:h.ends[i]] }
	requireCorrupt(t, path, slices.Concat(header, record(2), record(1), record(3)), "swapped")
	requireCorrupt(t, path, slices.Concat(header, record(1), record(3)), "left out")
	requireCorrupt(t, path, slices.Concat(h.whole, record(3)), "repeated")
	requireCorrupt(t, path, slices.Concat(header, []byte{0}, h.whole[h.ends[0]:]), "a byte more")
	requireCorrupt(t, path, slices.Concat(header, h.whole[h.ends[0]+1:]), "a byte less")
	requireCorrupt(t, path, append(slices.Clone(h.whole), "something else behind"...), "more than that")
}

func TestWhatNoCommitWritesIsDamage(t *testing.T) {
	path := newPath(t)
	header := replay.AppendHeader(binding)
	requireCorrupt(t, path, replay.AppendRecord(header), "no tags")
	requireCorrupt(t, path, replay.AppendRecord(header, tags(1, 2, 1)...), "one tag twice in a record")
	requireCorrupt(t, path, replay.AppendRecord(replay.AppendRecord(header, tags(1, 2)...), tags(3, 2)...), "in two records")
}

// FuzzHistory damages files of valid commits: by a cut, zeros behind it, and one changed byte. A file that is not refused
// has the tags of all commits before the damage, and at most those of whole commits beyond it.
func FuzzHistory(f *testing.F) {
	f.Add([]byte{1, 2, 40}, uint16(100), uint16(0), uint16(0), byte(0))
	f.Add([]byte{1, 2, 40, 3}, uint16(1024), uint16(600), uint16(0), byte(0))
	f.Add([]byte{30, 30}, uint16(5000), uint16(9), uint16(1200), byte(1))
	path := newPath(f)
	f.Fuzz(func(t *testing.T, counts []byte, cut, zeros, changed uint16, change byte) {
		var sizes []int
		for _, count := range counts[:min(len(counts), 8)] {
			sizes = append(sizes, 1+int(count)%64)
		}
		h := newHistory(sizes...)
		file := slices.Clone(h.whole[:min(int(cut), len(h.whole))])
		intact := len(file)
		file = append(file, make([]byte, zeros)...)
		if int(changed) < len(file) && change != 0 {
			file[changed] ^= change
			intact = min(intact, int(changed))
		}
		require.NoError(t, os.WriteFile(path, file, 0o600))
		l, err := replay.Open(path, binding, 1000)
		if err != nil {
			require.True(t, errors.Is(err, replay.ErrCorrupt) || errors.Is(err, replay.ErrVersion) && intact <= 7, err)
			require.Equal(t, file, content(t, path))
			return
		}
		defer l.Close()
		commits := slices.IndexFunc(h.tags, func(all []int) bool { return len(all) == l.Len() })
		require.GreaterOrEqual(t, commits, h.at(intact), "a commit was lost")
		require.ElementsMatch(t, tags(h.tags[commits]...), l.Tags())
	})
}

// FuzzOpen: no file makes Open panic, or more tags than fit in the file, or a file that it then does not open alike.
func FuzzOpen(f *testing.F) {
	h := newHistory(1, 2, 20)
	for n := replay.HeaderSize; n <= len(h.whole); n += 31 {
		f.Add(h.whole[replay.HeaderSize:n])
		f.Add(append(slices.Clone(h.whole[replay.HeaderSize:n]), make([]byte, 600)...))
	}
	path := newPath(f)
	f.Fuzz(func(t *testing.T, records []byte) {
		file := append(replay.AppendHeader(binding), records...)
		require.NoError(t, os.WriteFile(path, file, 0o600))
		l, err := replay.Open(path, binding, 1000)
		if err != nil {
			require.ErrorIs(t, err, replay.ErrCorrupt)
			return
		}
		first := l.Tags()
		require.NoError(t, l.Close())
		kept := content(t, path)
		require.Equal(t, file[:len(kept)], kept)
		require.ElementsMatch(t, slices.Collect(recordedTags(kept)), first)
		requireTagsAgain(t, path, first)
	})
}

func requireTagsAgain(t *testing.T, path string, want []sphinx.Tag) {
	t.Helper()
	l, err := replay.Open(path, binding, 1000)
	require.NoError(t, err)
	require.ElementsMatch(t, want, l.Tags())
	require.NoError(t, l.Close())
}
