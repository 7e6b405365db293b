package replay_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/replay"
	"sphinxmix.example/sphinx"
)

// randomTags fills tags faster than a hash would.
func randomTags(random *rand.ChaCha8, tags []sphinx.Tag) {
	for i := range tags {
		_, _ = random.Read(tags[i][:])
	}
}

// BenchmarkFresh is without the disk, in a set that grows to a million tags and then starts anew.
func BenchmarkFresh(b *testing.B) {
	const batch, most = 64, 1 << 20
	for _, s := range stores {
		b.Run("store="+s.name, func(b *testing.B) {
			random := rand.NewChaCha8([32]byte{})
			tags, fresh := make([]sphinx.Tag, batch), make([]bool, batch)
			set := s.new(b, most)
			b.ReportAllocs()
			for b.Loop() {
				randomTags(random, tags)
				if err := set.Fresh(tags, fresh); err == replay.ErrFull {
					b.StopTimer()
					set = s.new(b, most)
					b.StartTimer()
				}
			}
			b.ReportMetric(batch*float64(b.N)/b.Elapsed().Seconds(), "tags/s")
		})
	}
}

// BenchmarkCommit is a batch of new tags and its commit: with a write and an fsync of a file on this machine's disk.
func BenchmarkCommit(b *testing.B) {
	for _, batch := range []int{1, 64, 1024, 16384} {
		b.Run(fmt.Sprintf("tags=%d", batch), func(b *testing.B) {
			random := rand.NewChaCha8([32]byte{})
			tags, fresh := make([]sphinx.Tag, batch), make([]bool, batch)
			l := create(b, newPath(b), 1<<30)
			b.ReportAllocs()
			for b.Loop() {
				randomTags(random, tags)
				if err := l.Fresh(tags, fresh); err != nil {
					b.Fatal(err)
				}
				if err := l.Commit(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
			b.ReportMetric(float64(batch)*float64(b.N)/b.Elapsed().Seconds(), "tags/s")
		})
	}
}

// BenchmarkOpen reads a log of a million tags, of batches of 64.
func BenchmarkOpen(b *testing.B) {
	path, random := newPath(b), rand.NewChaCha8([32]byte{})
	l, tags, fresh := create(b, path, 1<<20), make([]sphinx.Tag, 64), make([]bool, 64)
	l.SetFile(func(f replay.File) replay.File { return withoutSync{f} })
	for range 1 << 20 / len(tags) {
		randomTags(random, tags)
		require.NoError(b, l.Fresh(tags, fresh))
		require.NoError(b, l.Commit())
	}
	require.NoError(b, l.Close())
	for b.Loop() {
		require.NoError(b, open(b, path, 1<<20).Close())
	}
}

type withoutSync struct{ replay.File }

func (withoutSync) Sync() error { return nil }

// BenchmarkMemory measures what a tag takes once stored, by the number of tags.
func BenchmarkMemory(b *testing.B) {
	for _, count := range []int{1 << 20, 1 << 20 * 7 / 4, 1 << 22} {
		b.Run(fmt.Sprintf("tags=%d", count), func(b *testing.B) {
			random := rand.NewChaCha8([32]byte{})
			tags, fresh := make([]sphinx.Tag, 8), make([]bool, 8)
			for b.Loop() {
				before := heap()
				set := replay.NewSet(count)
				for range count / len(tags) {
					randomTags(random, tags)
					require.NoError(b, set.Fresh(tags, fresh))
				}
				b.ReportMetric(float64(heap()-before)/float64(count), "B/tag")
				runtime.KeepAlive(set)
			}
		})
	}
}

// heap returns the size in bytes of all that is in use.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
