//go:build amd64 && !purego

package symmetric

import (
	"unsafe"

	"golang.org/x/crypto/blake2b"
)

const (
	// How many messages go together.
	lanesAVX512, lanesAVX2 = 8, 4

	// How many make that faster than one by one is: by hashRowsAVX512, and by x/crypto.
	leastAVX512, leastAVX2 = 3, 2
)

// hashLanes is the working memory of the kernels, which is zero between calls. Its parts have no pointers and sizes for
// which Go aligns them to lines of the cache.
type hashLanes struct {
	state *[8][64]byte
	words *[24][8]uint64
	parts *[2][lanesAVX2][blake2b.BlockSize]byte // keys and last blocks
}

func newHashLanes() hashLanes {
	return hashLanes{new([8][64]byte), new([24][8]uint64), new([2][lanesAVX2][blake2b.BlockSize]byte)}
}

// sum computes the first hashings of all that go together, and returns how many; 0 leaves the first to x/crypto.
func (l hashLanes) sum(all []Hashing) int {
	switch chosen {
	case avx512:
		all = alike(all, lanesAVX512)
		l.sumAVX512(all)
	case avx2:
		if all = alike(all, lanesAVX2); len(all) < leastAVX2 {
			return 0
		}
		l.sumAVX2(all)
	default:
		return 0
	}
	return len(all)
}

// alike returns the first of all, at most that many, that agree in all three sizes.
func alike(all []Hashing, most int) []Hashing {
	first, n := &all[0], 1
	for n < min(len(all), most) && like(first, &all[n]) {
		n++
	}
	return all[:n]
}

func like(a, b *Hashing) bool {
	return len(a.Sum) == len(b.Sum) && len(a.Key) == len(b.Key) && len(a.Message) == len(b.Message)
}

// sumAVX512 computes 1 to lanesAVX512 hashings that are alike.
func (l hashLanes) sumAVX512(all []Hashing) {
	first := &all[0]
	size, keySize, length := len(first.Sum), len(first.Key), len(first.Message)
	parameters := parameters(size, keySize)
	if len(all) < leastAVX512 {
		for i := range all {
			sum, key, message := all[i].start()
			hashRowsAVX512(l.words, sum, key, message, size, keySize, length, parameters)
		}
		return
	}
	var sums, keys, messages [lanesAVX512]*byte
	for i := range sums {
		sums[i], keys[i], messages[i] = in(all, i).start()
	}
	hashLanesAVX512(l.state, &sums, &keys, &messages, size, keySize, length, parameters)
}

// in is the hashing in a lane. Lanes to spare do what the first does.
func in(all []Hashing, lane int) *Hashing {
	if lane < len(all) {
		return &all[lane]
	}
	return &all[0]
}

// start is where the three begin; where one is empty, that is anywhere.
func (h *Hashing) start() (sum, key, message *byte) {
	return unsafe.SliceData(h.Sum), unsafe.SliceData(h.Key), unsafe.SliceData(h.Message)
}

// sumAVX2 computes 1 to lanesAVX2 hashings that are alike.
func (l hashLanes) sumAVX2(all []Hashing) {
	first := &all[0]
	keySize, length := len(first.Key), len(first.Message)
	parameters := parameters(len(first.Sum), keySize)
	lastAt := max(length-1, 0) / blake2b.BlockSize * blake2b.BlockSize
	var keys, messages, last [lanesAVX2]*byte
	for lane := range messages {
		one := in(all, lane)
		key, rest := &l.parts[0][lane], &l.parts[1][lane]
		copy(key[:], one.Key)
		copy(rest[:], one.Message[lastAt:])
		keys[lane], messages[lane], last[lane] = &key[0], unsafe.SliceData(one.Message), &rest[0]
	}
	hashLanesAVX2(l.state, l.words, &keys, &messages, &last, keySize, length, parameters)
	for lane := range all {
		copy(all[lane].Sum, l.state[lane][:])
	}
	clear(l.state[:])
	clear(l.parts[:])
}
