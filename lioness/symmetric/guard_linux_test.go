package symmetric

import (
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// guarded returns at least n bytes of memory, with pages on both sides that cannot be read or written.
func guarded(t *testing.T, n int) []byte {
	page := os.Getpagesize()
	n = (n + page - 1) / page * page
	all, err := syscall.Mmap(-1, 0, n+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Munmap(all)) })
	require.NoError(t, syscall.Mprotect(all[:page], syscall.PROT_NONE))
	require.NoError(t, syscall.Mprotect(all[page+n:], syscall.PROT_NONE))
	return all[page : page+n]
}

// ends are the first and the last n bytes of memory.
func ends(memory []byte, n int) [][]byte { return [][]byte{memory[:n:n], memory[len(memory)-n:]} }

// TestNothingOutsideIsTouched: not a byte before or behind a message, a key or a digest is read or written, or this
// dies of it.
func TestNothingOutsideIsTouched(t *testing.T) {
	const longest = 1200
	random := randomBytes("guarded", longest)
	var messages, keys, sums [3][]byte
	for i := range messages {
		messages[i], keys[i], sums[i] = guarded(t, longest), guarded(t, 64), guarded(t, 64)
	}
	streamKey := [32]byte(randomBytes("guarded key", 32))
	stream := keystream(t, &streamKey, longest)
	each(t, func(t *testing.T) {
		hashes := NewHashes()
		for n := range longest + 1 {
			for side := range 2 {
				var streams []Stream
				for i := range messages {
					message := ends(messages[i], n)[side]
					copy(message, random)
					key := (*[32]byte)(ends(keys[i], 32)[side])
					*key = streamKey
					streams = append(streams, Stream{message, message, key})
				}
				XORKeyStreams(streams)
				want := xor(random[:n], stream[:n])
				for i := range streams {
					require.True(t, slices.Equal(want, streams[i].Dst), "%d bytes", n)
					XORKeyStream(streams[i].Dst, streams[i].Dst, streams[i].Key)
					require.True(t, slices.Equal(random[:n], streams[i].Dst), "%d bytes", n)
				}
				if n > 600 {
					continue
				}
				size, keySize := 1+n%64, n*7%65
				var hashings []Hashing
				for i := range messages {
					hashings = append(hashings, Hashing{
						ends(sums[i], size)[side], ends(keys[i], keySize)[side], ends(messages[i], n)[side],
					})
				}
				hashes.Sum(hashings)
				for _, h := range hashings {
					require.Equal(t, digest(t, size, h.Key, h.Message), h.Sum, "%d bytes", n)
				}
			}
		}
	})
}
