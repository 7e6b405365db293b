package symmetric

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/chacha20"
)

// keystream is x/crypto's.
func keystream(t testing.TB, key *[32]byte, n int) []byte {
	cipher, err := chacha20.NewUnauthenticatedCipher(key[:], make([]byte, chacha20.NonceSize))
	require.NoError(t, err)
	stream := make([]byte, n)
	cipher.XORKeyStream(stream, stream)
	return stream
}

func xor(a, b []byte) []byte {
	out := slices.Clone(a)
	for i := range out {
		out[i] ^= b[i]
	}
	return out
}

// lengths are those at which streams and messages are compared: all up to some passes of every kernel, and some large.
func lengths() []int {
	var all []int
	for n := range 2101 {
		all = append(all, n)
	}
	return append(all, 4096, 32736, 65504, 65504+77, 1<<20+1)
}

// TestXORKeyStream: RFC 8439, appendix A.1, the first vector, and x/crypto for all lengths, apart and in place, at all
// alignments, with nothing written outside dst and nothing to src.
func TestXORKeyStream(t *testing.T) {
	const guard = 96
	long := slices.Max(lengths())
	key := [32]byte(randomBytes("stream key", 32))
	stream := keystream(t, &key, long)
	plaintext := randomBytes("plaintext", long+guard)
	ciphertext := xor(plaintext[:long], stream)
	around := randomBytes("around", long+3*guard)
	memory, source := slices.Clone(around), make([]byte, long+guard)
	each(t, func(t *testing.T) {
		block := make([]byte, 64)
		XORKeyStream(block, block, new([32]byte))
		require.Equal(t, decode(t, "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"+
			"da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"), block)

		for _, n := range lengths() {
			at, from := guard+n*7%64, n*11%64
			dst, src := memory[at:at+n], source[from:from+n]
			copy(src, plaintext)
			XORKeyStream(dst, src, &key)
			if !slices.Equal(ciphertext[:n], dst) || !slices.Equal(plaintext[:n], src) {
				t.Fatalf("%d bytes", n)
			}
			copy(dst, plaintext)
			XORKeyStream(dst, dst, &key)
			if !slices.Equal(ciphertext[:n], dst) {
				t.Fatalf("%d bytes in place", n)
			}
			copy(dst, around[at:])
			if before, after := around[:at+n+guard], memory[:at+n+guard]; !slices.Equal(before, after) {
				t.Fatalf("%d bytes, and bytes around them changed", n)
			}
		}
	})
}

// TestXORKeyStreams: streams of like and unlike lengths, in place and apart, as many as fill some passes and not.
func TestXORKeyStreams(t *testing.T) {
	each(t, func(t *testing.T) {
		random := rand.New(rand.NewChaCha8(sha256.Sum256([]byte("streams"))))
		check := func(lengths []int) {
			t.Helper()
			const guard = 64
			total := guard
			for _, n := range lengths {
				total += n + guard
			}
			before := randomBytes(fmt.Sprint(lengths), total)
			memory, source, want := slices.Clone(before), slices.Clone(before), slices.Clone(before)
			var streams []Stream
			at := guard
			for i, n := range lengths {
				key := [32]byte(randomBytes(fmt.Sprint("key", i), 32))
				s := Stream{Dst: memory[at : at+n], Src: memory[at : at+n], Key: &key}
				if random.IntN(2) == 0 {
					s.Src = source[at : at+n]
				}
				streams = append(streams, s)
				copy(want[at:], xor(before[at:at+n], keystream(t, &key, n)))
				at += n + guard
			}
			XORKeyStreams(streams)
			if !slices.Equal(want, memory) || !slices.Equal(before, source) {
				t.Fatalf("streams of %d bytes", lengths)
			}
		}
		check(nil)
		for _, n := range []int{0, 1, 63, 64, 65, 208, 320, 767, 768, 769, 992, 1024, 1025, 2100} {
			for count := 1; count < 20; count++ {
				check(slices.Repeat([]int{n}, count))
			}
		}
		for range 300 {
			var lengths []int
			for range random.IntN(20) {
				lengths = append(lengths, random.IntN([]int{2, 64, 300, 1200}[random.IntN(4)]))
			}
			check(lengths)
		}
	})
}

// TestXORKeyStreamPanics on what is the caller's mistake.
func TestXORKeyStreamPanics(t *testing.T) {
	key, memory := new([32]byte), make([]byte, 300)
	each(t, func(t *testing.T) {
		for _, mistake := range []struct{ dst, src []byte }{
			{memory[:10], memory[100:111]},
			{memory[:11], memory[100:110]},
			{nil, memory[:1]},
			{memory[:10], nil},
			{memory[:10], memory[1:11]},
			{memory[9:19], memory[:10]},
			{memory[10:], memory[:290]},
		} {
			require.Panics(t, func() { XORKeyStream(mistake.dst, mistake.src, key) })
			good := Stream{memory[200:], memory[200:], key}
			require.Panics(t, func() { XORKeyStreams([]Stream{good, {mistake.dst, mistake.src, key}}) })
			require.Equal(t, make([]byte, 300), memory, "nothing is done for the other streams either")
		}
		require.NotPanics(t, func() { XORKeyStream(memory[10:20], memory[20:30], key) })
		require.NotPanics(t, func() { XORKeyStream(memory[20:30], memory[10:20], key) })
		clear(memory)
	})
}

func FuzzXORKeyStreams(f *testing.F) {
	f.Add([]byte("key"), []byte{208, 0, 208, 0})
	f.Add([]byte("another key"), []byte{0x40, 1, 0x40, 1, 0x40, 1, 0xe0, 3, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, name, sizes []byte) {
		var streams []Stream
		var want [][]byte
		for i := 0; i+1 < len(sizes) && i < 64; i += 2 {
			n := int(sizes[i]) | int(sizes[i+1]%16)<<8
			key := [32]byte(randomBytes(fmt.Sprint(name, i), 32))
			message := randomBytes(fmt.Sprint(name, i, n), n)
			streams = append(streams, Stream{slices.Clone(message), nil, &key})
			want = append(want, xor(message, keystream(t, &key, n)))
		}
		for _, implementation := range available() {
			use(t, implementation)
			for i := range streams {
				streams[i].Src = slices.Clone(streams[i].Dst)
			}
			XORKeyStreams(streams)
			for i := range streams {
				require.Equal(t, want[i], streams[i].Dst)
				copy(streams[i].Dst, streams[i].Src)
				XORKeyStream(streams[i].Dst, streams[i].Dst, streams[i].Key)
				require.Equal(t, want[i], streams[i].Dst)
				copy(streams[i].Dst, streams[i].Src)
			}
		}
	})
}

func BenchmarkXORKeyStream(b *testing.B) {
	for _, n := range []int{32, 64, 208, 320, 512, 768, 992, 32736} {
		b.Run(fmt.Sprintf("bytes=%d", n), func(b *testing.B) {
			key, message := new([32]byte), make([]byte, n)
			for _, i := range available() {
				b.Run("by="+i.String(), func(b *testing.B) {
					use(b, i)
					b.SetBytes(int64(n))
					b.ReportAllocs()
					for b.Loop() {
						XORKeyStream(message, message, key)
					}
				})
			}
		})
	}
}

func BenchmarkXORKeyStreams(b *testing.B) {
	for _, n := range []int{32, 208, 320, 512, 640, 768, 992} {
		for _, count := range []int{1, 2, 3, 4, 8, 16} {
			b.Run(fmt.Sprintf("bytes=%d/streams=%d", n, count), func(b *testing.B) {
				var streams []Stream
				for range count {
					message := make([]byte, n)
					streams = append(streams, Stream{message, message, new([32]byte)})
				}
				for _, i := range available() {
					b.Run("by="+i.String(), func(b *testing.B) {
						use(b, i)
						b.SetBytes(int64(n * count))
						b.ReportAllocs()
						for b.Loop() {
							XORKeyStreams(streams)
						}
					})
				}
			})
		}
	}
}
