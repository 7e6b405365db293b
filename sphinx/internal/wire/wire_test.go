package wire

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDecode tries every first byte with everything from nothing to more than enough behind it.
func TestDecode(t *testing.T) {
	whole := make([]byte, 160)
	for i := range whole {
		whole[i] = byte(i)
	}
	for first := range 256 {
		whole[0] = byte(first)
		for n := range whole {
			b := whole[:n]
			route, value, rest, ok := Decode(b)
			wantRoute, from, to := Route(0), 0, 0
			switch {
			case n > 0 && first == 0:
				wantRoute, from, to = Exit, 1, 1
			case first > 0 && first < 0x80 && n >= 1+first:
				wantRoute, from, to = Reply, 1, 1+first
			case first == 0xff && n >= 16:
				wantRoute, from, to = Relay, 0, 16
			}
			require.Equal(t, wantRoute != 0, ok, "%#02x and %d bytes", first, n)
			require.Equal(t, wantRoute, route)
			if !ok {
				require.Nil(t, value)
				require.Nil(t, rest)
				continue
			}
			require.Equal(t, b[from:to], value)
			require.Equal(t, b[to:], rest)
		}
	}
}

// TestPadRoundTrip: what Pad fills is zeros and their count, itself included, and Unpad finds where it starts.
func TestPadRoundTrip(t *testing.T) {
	for _, size := range []int{2, 3, 64, 257, 1024, 65535, 65536, 70000} {
		for _, n := range []int{-1, 0, 1, 2, 61, 62, 63, size - 257, size - 256, size - 3, size - 2, size - 1, size, size + 1, size - 65535, size - 65536} {
			if n > size {
				continue
			}
			block := bytes.Repeat([]byte{0xa5}, size)
			fits := n >= 0 && size-n >= 2 && size-n <= 65535
			require.Equal(t, fits, Pad(block, n), "%d of %d bytes", n, size)
			if !fits {
				require.Equal(t, bytes.Repeat([]byte{0xa5}, size), block)
				continue
			}
			require.Equal(t, bytes.Repeat([]byte{0xa5}, n), block[:n])
			require.Equal(t, make([]byte, size-n-2), block[n:size-2])
			require.Equal(t, []byte{byte(size - n), byte((size - n) >> 8)}, block[size-2:])
			got, ok := Unpad(block)
			require.True(t, ok)
			require.Equal(t, n, got)
		}
	}
}

// TestUnpad: every count in blocks of several sizes; it must hold itself and fit.
func TestUnpad(t *testing.T) {
	for _, size := range []int{0, 1, 2, 3, 64, 300} {
		block := make([]byte, size)
		for count := range 1 << 16 {
			if size >= 2 {
				block[size-2], block[size-1] = byte(count), byte(count>>8)
			}
			n, ok := Unpad(block)
			if size >= 2 && count >= 2 && count <= size {
				if !ok || n != size-count {
					t.Fatalf("count %d in %d bytes: %d, %t", count, size, n, ok)
				}
			} else if ok || n != 0 {
				t.Fatalf("count %d in %d bytes was accepted: %d", count, size, n)
			}
		}
	}
}
