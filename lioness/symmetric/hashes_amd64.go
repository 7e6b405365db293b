//go:build amd64 && !purego

package symmetric

import "unsafe"

const (
	// hashLaneCount is how many messages hashLanesAVX512 hashes at once.
	hashLaneCount = 8

	// leastLanes is how many messages make that faster than x/crypto's kernel for one, message by message.
	leastLanes = 2
)

// hashLanes is the working memory of hashLanesAVX512, which leaves it zero. It has no pointers and a power of two as its
// size, so that Go aligns it to lines of the cache.
type hashLanes struct{ state *[8][hashLaneCount]uint64 }

func newHashLanes() hashLanes { return hashLanes{new([8][hashLaneCount]uint64)} }

// sum computes the first hashings of all that go together, and returns how many: 0, or leastLanes to hashLaneCount.
func (l hashLanes) sum(all []Hashing) int {
	if chosen != avx512 {
		return 0
	}
	first := &all[0]
	var sums, keys, messages [hashLaneCount]*byte
	n := 0
	for ; n < min(len(all), hashLaneCount) && like(first, &all[n]); n++ {
		sums[n] = unsafe.SliceData(all[n].Sum)
		keys[n] = unsafe.SliceData(all[n].Key)
		messages[n] = unsafe.SliceData(all[n].Message)
	}
	if n < leastLanes {
		return 0
	}
	for i := n; i < hashLaneCount; i++ {
		sums[i], keys[i], messages[i] = sums[0], keys[0], messages[0]
	}
	size, keySize := len(first.Sum), len(first.Key)
	hashLanesAVX512(l.state, &sums, &keys, &messages, size, keySize, len(first.Message), parameters(size, keySize))
	return n
}

func like(a, b *Hashing) bool {
	return len(a.Sum) == len(b.Sum) && len(a.Key) == len(b.Key) && len(a.Message) == len(b.Message)
}
