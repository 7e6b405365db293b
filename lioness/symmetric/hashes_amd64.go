//go:build amd64 && !purego

package symmetric

import "unsafe"

const (
	// hashLaneCount is how many messages hashLanesAVX512 hashes at once.
	hashLaneCount = 8

	// leastLanes is how many messages make that faster than hashRowsAVX512 is, message by message.
	leastLanes = 3
)

// hashLanes is the working memory of the kernels, which leave it zero. Its parts have no pointers and sizes for which Go
// aligns them to lines of the cache.
type hashLanes struct {
	state   *[8][hashLaneCount]uint64
	ordered *[24][8]uint64
}

func newHashLanes() hashLanes {
	return hashLanes{new([8][hashLaneCount]uint64), new([24][8]uint64)}
}

// sum computes the first hashings of all that go together, and returns how many: 0 to hashLaneCount.
func (l hashLanes) sum(all []Hashing) int {
	if chosen != avx512 {
		return 0
	}
	first, n := &all[0], 1
	for n < min(len(all), hashLaneCount) && like(first, &all[n]) {
		n++
	}
	size, keySize, length := len(first.Sum), len(first.Key), len(first.Message)
	parameters := parameters(size, keySize)
	if n < leastLanes {
		for i := range all[:n] {
			sum, key, message := all[i].start()
			hashRowsAVX512(l.ordered, sum, key, message, size, keySize, length, parameters)
		}
		return n
	}
	var sums, keys, messages [hashLaneCount]*byte
	for i := range all[:n] {
		sums[i], keys[i], messages[i] = all[i].start()
	}
	for i := n; i < hashLaneCount; i++ { // lanes to spare do what the first does
		sums[i], keys[i], messages[i] = sums[0], keys[0], messages[0]
	}
	hashLanesAVX512(l.state, &sums, &keys, &messages, size, keySize, length, parameters)
	return n
}

// start is where the three begin; where one is empty, that is anywhere.
func (h *Hashing) start() (sum, key, message *byte) {
	return unsafe.SliceData(h.Sum), unsafe.SliceData(h.Key), unsafe.SliceData(h.Message)
}

func like(a, b *Hashing) bool {
	return len(a.Sum) == len(b.Sum) && len(a.Key) == len(b.Key) && len(a.Message) == len(b.Message)
}
