package lioness

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// randomBatch is n keys and blocks of the given sizes, taken in turn.
func randomBatch(name string, n int, sizes ...int) (keys []*[KeySize]byte, blocks [][]byte) {
	for i := range n {
		keys = append(keys, randomKey(fmt.Sprint(name, " key ", i)))
		blocks = append(blocks, randomBytes(fmt.Sprint(name, " block ", i), sizes[i%len(sizes)]))
	}
	return keys, blocks
}

func clones(blocks [][]byte) [][]byte {
	out := make([][]byte, len(blocks))
	for i, block := range blocks {
		out[i] = slices.Clone(block)
	}
	return out
}

// requireBatch encrypts and decrypts a batch, and compares with the cipher as it was written down.
func requireBatch(t *testing.T, b *Batch, keys []*[KeySize]byte, blocks [][]byte) {
	t.Helper()
	for _, turn := range []struct {
		batch func([]*[KeySize]byte, [][]byte) error
		block func(t testing.TB, key, block []byte, rounds int) []byte
	}{{b.Encrypt, encrypt}, {b.Decrypt, decrypt}} {
		got := clones(blocks)
		require.NoError(t, turn.batch(keys, got))
		for i, block := range blocks {
			require.Equal(t, turn.block(t, keys[i][:], block, 4), got[i], "block %d of %d, of %d bytes", i, len(blocks), len(block))
		}
	}
}

// TestBatchIsLIONESS for batches of all sizes up to some groups, of blocks of one size and of several, through one Batch.
func TestBatchIsLIONESS(t *testing.T) {
	b := NewBatch()
	for n := range 4*groupSize + 3 {
		for _, sizes := range [][]int{{33}, {1024}, {40, 97, 1024}, {160, 160, 160, 160, 161}} {
			keys, blocks := randomBatch(fmt.Sprint("batch ", n), n, sizes...)
			requireBatch(t, b, keys, blocks)
		}
	}
	for _, size := range []int{16384, 65535, 65536} {
		keys, blocks := randomBatch("large", groupSize+1, size)
		requireBatch(t, b, keys, blocks)
	}
	for size := MinBlockSize; size < 600; size++ {
		keys, blocks := randomBatch("sizes", groupSize, size)
		requireBatch(t, b, keys, blocks)
	}
}

// TestBatchOfOneKey: a key may stand in several places.
func TestBatchOfOneKey(t *testing.T) {
	key := randomKey("shared")
	_, blocks := randomBatch("shared", 2*groupSize, 100)
	requireBatch(t, NewBatch(), slices.Repeat([]*[KeySize]byte{key}, len(blocks)), blocks)
	require.Equal(t, randomKey("shared"), key)
}

// TestBatchWithAShortBlockIsRefusedWhole, wherever that block is.
func TestBatchWithAShortBlockIsRefusedWhole(t *testing.T) {
	b := NewBatch()
	for short := range 2*groupSize + 1 {
		keys, blocks := randomBatch("short", 2*groupSize+1, 80)
		blocks[short] = blocks[short][:short*MinBlockSize/(2*groupSize+1)]
		before := clones(blocks)
		require.Equal(t, ErrBlockSize, b.Encrypt(keys, blocks))
		require.Equal(t, ErrBlockSize, b.Decrypt(keys, blocks))
		require.Equal(t, before, blocks)
	}
}

func TestBatchPanicsOnUnequalLengths(t *testing.T) {
	keys, blocks := randomBatch("lengths", 3, 80)
	b := NewBatch()
	for _, turn := range []func([]*[KeySize]byte, [][]byte) error{b.Encrypt, b.Decrypt} {
		require.Panics(t, func() { _ = turn(keys[:2], blocks) })
		require.Panics(t, func() { _ = turn(keys, blocks[:2]) })
		require.Panics(t, func() { _ = turn(nil, blocks) })
	}
}

// TestBatchForgets: after a call nothing of keys and blocks is left, nor a pointer to them.
func TestBatchForgets(t *testing.T) {
	b := NewBatch()
	for _, n := range []int{1, 3, groupSize, 2*groupSize + 3} {
		keys, blocks := randomBatch("forget", n, 100, 101)
		require.NoError(t, b.Encrypt(keys, blocks))
		require.Equal(t, NewBatch(), b)
		require.NoError(t, b.Decrypt(keys, blocks))
		require.Equal(t, NewBatch(), b)
		require.Equal(t, ErrBlockSize, b.Decrypt(keys[:1], [][]byte{nil}))
		require.Equal(t, NewBatch(), b)
	}
}

// TestBatchIsNeverPrinted: neither it nor a struct with one shows what a call would leave behind if it were not wiped.
func TestBatchIsNeverPrinted(t *testing.T) {
	b := NewBatch()
	w := *b.w
	w.sums[0] = [32]byte{0xab, 0xab, 0xab, 0xab}
	type holder struct{ b *Batch }
	type inside struct{ b Batch }
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d", "%s"} {
		for _, v := range []any{b, *b, holder{b}, inside{*b}, &holder{b}, []holder{{b}}} {
			text := fmt.Sprintf(verb, v)
			require.NotContains(t, text, "abab")
			require.NotContains(t, text, "171 171")
			require.NotContains(t, text, "0xab, 0xab")
		}
	}
	require.Equal(t, "lioness.Batch(secret)", fmt.Sprint(b))
	require.Contains(t, fmt.Sprintf("%x", w.sums), "abab", "the search finds what is not guarded")
}

func TestBatchAllocatesNothing(t *testing.T) {
	b := NewBatch()
	for _, size := range []int{33, 1024, 65536} {
		keys, blocks := randomBatch("allocations", 2*groupSize+1, size)
		require.Zero(t, testing.AllocsPerRun(5, func() {
			if b.Encrypt(keys, blocks) != nil || b.Decrypt(keys, blocks) != nil {
				t.Error("refused")
			}
		}), "blocks of %d", size)
	}
}

// FuzzBatch: what Encrypt and Decrypt make of any blocks is LIONESS of each; one that is too short has all
// refused, unchanged.
func FuzzBatch(f *testing.F) {
	for _, n := range []uint8{0, 1, 7, 8, 9, 40} {
		for _, seed := range []uint64{0, 1, 1 << 40} {
			f.Add(n, seed, uint16(100), []byte("the start of the first block"))
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, seed uint64, limit uint16, start []byte) {
		choose := rand.New(rand.NewPCG(seed, uint64(n)))
		var keys []*[KeySize]byte
		var blocks [][]byte
		short := false
		for i := range int(n) % 40 {
			size := int(limit) % 3000
			if seed%2 == 1 {
				size = choose.IntN(size + 1)
			}
			size += MinBlockSize - choose.IntN(40)/39
			short = short || size < MinBlockSize
			key, block := new([KeySize]byte), make([]byte, size)
			for at := range key {
				key[at] = byte(choose.Uint32())
			}
			for at := range block {
				block[at] = byte(choose.Uint32())
			}
			if i == 0 {
				copy(block, start)
			}
			keys, blocks = append(keys, key), append(blocks, block)
		}
		b := NewBatch()
		for _, encrypts := range []bool{true, false} {
			got, want := clones(blocks), clones(blocks)
			turn, one := b.Decrypt, decrypt
			if encrypts {
				turn, one = b.Encrypt, encrypt
			}
			err := turn(keys, got)
			if short {
				require.Equal(t, ErrBlockSize, err)
			} else {
				require.NoError(t, err)
				for i := range want {
					want[i] = one(t, keys[i][:], want[i], 4)
				}
			}
			require.Equal(t, want, got)
		}
	})
}
