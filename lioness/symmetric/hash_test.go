package symmetric

import (
	"encoding"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/blake2b"
)

// TestHashVectors: RFC 7693, appendix A, and the first keyed vector of BLAKE2's own test suite.
func TestHashVectors(t *testing.T) {
	h := NewHash()
	h.Reset(64, nil)
	h.Write([]byte("abc"))
	require.Equal(t, decode(t, "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"+
		"7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"), h.Sum(nil))
	key := make([]byte, 64)
	for i := range key {
		key[i] = byte(i)
	}
	h.Reset(64, key)
	require.Equal(t, decode(t, "10ebb67700b1868efb4417987acf4690ae9d972fb7a590c2f02871799aaa4786"+
		"b5e996e8f0f4eb981fc214b005f42d2ff4233499391653df7aefcbc13fc51568"), h.Sum(nil))
}

// TestHashIsBLAKE2b compares one Hash, under key after key, with x/crypto's digests: all sizes of keys and digests, and
// messages around every block's end, in one write and in several.
func TestHashIsBLAKE2b(t *testing.T) {
	bytes := randomBytes("BLAKE2b", 1000)
	var lengths []int
	for n := range 401 {
		if m := n % 128; m < 3 || m > 125 || n%19 == 0 {
			lengths = append(lengths, n)
		}
	}
	h := NewHash()
	check := func(size, keySize, length, cut int) {
		t.Helper()
		key, message := bytes[1:1+keySize], bytes[100:100+length]
		reference, err := blake2b.New(size, key)
		require.NoError(t, err)
		reference.Write(message)
		h.Reset(size, key)
		h.Write(message[:cut])
		n, err := h.Write(message[cut:])
		require.NoError(t, err)
		require.Equal(t, length-cut, n)
		got := h.Sum([]byte("x"))
		if want := reference.Sum([]byte("x")); !slices.Equal(want, got) {
			t.Fatalf("digest of %d bytes, key of %d, message of %d cut at %d: %x, want %x", size, keySize, length, cut, got, want)
		}
		require.Equal(t, got, h.Sum([]byte("x")), "Sum changes the digest")
	}
	for keySize := range 65 {
		for size := 1; size <= 64; size++ {
			for i := range 6 {
				length := lengths[(i*11+keySize*7+size*3)%len(lengths)]
				check(size, keySize, length, (keySize*size)%(length+1))
			}
		}
	}
	for _, keySize := range []int{0, 1, 16, 32, 63, 64} {
		for length := range 401 {
			check(32, keySize, length, length/2)
			check(16, keySize, length, min(length, 128))
		}
	}
	for cut := range 301 {
		check(32, 64, 300, cut)
		check(32, 0, 300, cut)
	}
}

// TestHashResetForgets what was written and an unfinished block of it.
func TestHashResetForgets(t *testing.T) {
	h := NewHash()
	h.Reset(32, []byte("key"))
	want := h.Sum(nil)
	for n := range 300 {
		h.Reset(64, []byte("another key"))
		h.Write(make([]byte, n))
		h.Reset(32, []byte("key"))
		require.Equal(t, want, h.Sum(nil))
	}
}

func TestHashPanicsOnSizes(t *testing.T) {
	h := NewHash()
	for _, size := range []int{-1, 0, 65} {
		require.Panics(t, func() { h.Reset(size, nil) })
	}
	require.Panics(t, func() { h.Reset(32, make([]byte, 65)) })
}

// TestHashWipe: neither the key, nor the chaining value, nor what waits in the block is left.
func TestHashWipe(t *testing.T) {
	states := func(h *Hash) []byte {
		inner, err := h.digest.(encoding.BinaryMarshaler).MarshalBinary()
		require.NoError(t, err)
		return append(inner, h.state[:]...)
	}
	h := NewHash()
	unused := states(h)
	for _, n := range []int{0, 1, 127, 128, 300} {
		key, message := randomBytes("a key", 64), randomBytes("a message", n)
		h.Reset(32, key)
		require.Contains(t, string(states(h)), string(key))
		h.Write(message)
		h.Sum(nil)
		require.NotEqual(t, unused, states(h))
		h.Wipe()
		require.Equal(t, unused, states(h))
	}
}
