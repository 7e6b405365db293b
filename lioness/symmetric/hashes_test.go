package symmetric

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/blake2b"
)

// digest is x/crypto's.
func digest(t testing.TB, size int, key, message []byte) []byte {
	h, err := blake2b.New(size, key)
	require.NoError(t, err)
	h.Write(message)
	return h.Sum(nil)
}

// checkSums compares hashings of the given sizes (digest, key, message) with x/crypto's, and looks at what is around the
// digests. Keys and messages are parts of random.
func checkSums(t testing.TB, h *Hashes, random []byte, sizes [][3]int) {
	t.Helper()
	const guard = 8
	memory := make([]byte, 0, (guard+64)*len(sizes))
	var hashings []Hashing
	var want [][]byte
	for i, s := range sizes {
		at := i * 37 % 1000
		hashing := Hashing{Key: random[at : at+s[1]], Message: random[2*at+1 : 2*at+1+s[2]]}
		want = append(want, digest(t, s[0], hashing.Key, hashing.Message))
		memory = append(memory, make([]byte, guard+s[0])...)
		hashing.Sum = memory[len(memory)-s[0]:]
		hashings = append(hashings, hashing)
	}
	h.Sum(hashings)
	for i := range hashings {
		if !slices.Equal(want[i], hashings[i].Sum) {
			t.Fatalf("hashing %d of %v is %x, want %x", i, sizes, hashings[i].Sum, want[i])
		}
		clear(hashings[i].Sum)
	}
	if slices.Max(append(memory, 0)) != 0 {
		t.Fatalf("something is written outside the digests of %v", sizes)
	}
}

// TestHashVectors: RFC 7693, appendix A, and the first keyed vector of BLAKE2's own test suite, alone and among others.
func TestHashVectors(t *testing.T) {
	key := make([]byte, 64)
	for i := range key {
		key[i] = byte(i)
	}
	each(t, func(t *testing.T) {
		for _, vector := range []struct {
			key, message []byte
			want         string
		}{
			{nil, []byte("abc"), "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1" +
				"7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"},
			{key, nil, "10ebb67700b1868efb4417987acf4690ae9d972fb7a590c2f02871799aaa4786" +
				"b5e996e8f0f4eb981fc214b005f42d2ff4233499391653df7aefcbc13fc51568"},
		} {
			for n := 1; n <= 8; n++ {
				var hashings []Hashing
				for range n {
					hashings = append(hashings, Hashing{make([]byte, 64), vector.key, vector.message})
				}
				NewHashes().Sum(hashings)
				for _, h := range hashings {
					require.Equal(t, decode(t, vector.want), h.Sum)
				}
			}
		}
	})
}

// TestHashes: all lengths, and sizes of keys and digests at which something may change, in groups of every size.
func TestHashes(t *testing.T) {
	random := randomBytes("hashes", 1<<16+3000)
	before := slices.Clone(random)
	each(t, func(t *testing.T) {
		h, count := NewHashes(), 0
		for _, n := range []int{0, 1, 16, 32, 64, 127, 128, 129, 176, 256, 992, 32736, 1 << 16} {
			for _, keySize := range []int{0, 1, 16, 32, 63, 64} {
				for _, size := range []int{1, 16, 32, 63, 64} {
					count++
					checkSums(t, h, random, slices.Repeat([][3]int{{size, keySize, n}}, 1+count%17))
				}
			}
		}
		for keySize := range 65 {
			for size := 1; size <= 64; size++ {
				count++
				checkSums(t, h, random, slices.Repeat([][3]int{{size, keySize, count % 300}}, 1+count%3))
			}
		}
		for n := range 2101 {
			for _, keySize := range []int{0, 32, 64} {
				count++
				sizes := [3]int{[]int{16, 32, 64}[count%3], keySize, n}
				checkSums(t, h, random, slices.Repeat([][3]int{sizes}, 1+count*5%3))
			}
		}
		for n := range 18 {
			checkSums(t, h, random, slices.Repeat([][3]int{{32, 64, 992}}, n))
		}
		require.Equal(t, before, random, "keys and messages change")
	})
}

// TestHashesOfDifferentSizes: what goes together and what does not is told apart.
func TestHashesOfDifferentSizes(t *testing.T) {
	random := randomBytes("different hashes", 6000)
	each(t, func(t *testing.T) {
		draw := rand.New(rand.NewChaCha8(sha256.Sum256([]byte("sizes"))))
		one := func() [3]int {
			return [3]int{1 + draw.IntN(64), draw.IntN(65), draw.IntN(300)}
		}
		h := NewHashes()
		for range 1000 {
			sizes, all := one(), [][3]int(nil)
			for range draw.IntN(20) {
				switch draw.IntN(8) {
				case 0:
					sizes = one()
				case 1:
					sizes[0] = 1 + draw.IntN(64)
				case 2:
					sizes[1] = draw.IntN(65)
				case 3:
					sizes[2] = draw.IntN(2101)
				}
				all = append(all, sizes)
			}
			checkSums(t, h, random, all)
		}
	})
}

func TestHashesPanicOnSizes(t *testing.T) {
	each(t, func(t *testing.T) {
		h := NewHashes()
		for _, mistake := range []Hashing{{Sum: nil}, {Sum: make([]byte, 65)}, {Sum: make([]byte, 32), Key: make([]byte, 65)}} {
			require.Panics(t, func() { h.Sum([]Hashing{mistake}) })
			require.Panics(t, func() { h.Sum([]Hashing{mistake, mistake, mistake}) })
		}
	})
}

// TestHashesWipe: no call leaves anything of keys, messages or chaining values, nor a pointer to what is the caller's.
func TestHashesWipe(t *testing.T) {
	each(t, func(t *testing.T) {
		for count := 1; count <= 11; count++ {
			for _, n := range []int{0, 1, 128, 300, 512} {
				for _, keySize := range []int{0, 32, 64} {
					h := NewHashes()
					checkSums(t, h, randomBytes("wiped", 2000), slices.Repeat([][3]int{{64, keySize, n}}, count))
					require.Equal(t, NewHashes(), h, "%d messages of %d bytes, keys of %d", count, n, keySize)
				}
			}
		}
	})
}

func FuzzHashes(f *testing.F) {
	f.Add([]byte("random"), []byte{32, 64, 0xe0, 3, 32, 64, 0xe0, 3, 32, 64, 0xe0, 3})
	f.Add([]byte("other"), []byte{16, 32, 176, 0, 16, 32, 176, 0, 64, 0, 0, 0})
	f.Fuzz(func(t *testing.T, name, bytes []byte) {
		var sizes [][3]int
		for ; len(bytes) >= 4 && len(sizes) < 40; bytes = bytes[4:] {
			sizes = append(sizes, [3]int{1 + int(bytes[0]%64), int(bytes[1] % 65), int(bytes[2]) | int(bytes[3]%16)<<8})
		}
		random := randomBytes(string(name), 1<<13)
		for _, implementation := range available() {
			use(t, implementation)
			checkSums(t, NewHashes(), random, sizes)
		}
	})
}

func BenchmarkHashes(b *testing.B) {
	for _, n := range []int{96, 176, 992, 32736} {
		for _, count := range []int{1, 2, 3, 4, 8} {
			b.Run(fmt.Sprintf("bytes=%d/messages=%d", n, count), func(b *testing.B) {
				var hashings []Hashing
				for range count {
					hashings = append(hashings, Hashing{make([]byte, 32), make([]byte, 64), make([]byte, n)})
				}
				h := NewHashes()
				for _, i := range available() {
					b.Run("by="+i.String(), func(b *testing.B) {
						use(b, i)
						b.SetBytes(int64(n * count))
						b.ReportAllocs()
						for b.Loop() {
							h.Sum(hashings)
						}
					})
				}
			})
		}
	}
}
