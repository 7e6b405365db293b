// Package wire is the two small codes inside a Sphinx packet: the prefix-free routing block (testvectors/README.md)
// and the padding of payloads (paper §3.5).
package wire

import "encoding/binary"

const (
	// BlockSize is κ, the size in bytes of a routing block, of γ and of a message id.
	BlockSize = 16

	// RelayPrefix is the first byte of the block of a hop that relays.
	RelayPrefix = 0xff
	// ExitPrefix is the first byte of the block of a hop that the payload is for.
	ExitPrefix = 0x00
	// MaxIDSize is the length in bytes of the longest client id or destination.
	MaxIDSize = 127

	// PaddingOverhead is the size in bytes of the shortest padding: its own length.
	PaddingOverhead = 2
)

// Route is what a prefix-free code says to do with a packet.
type Route uint8

// The routes. The zero Route is none of them.
const (
	_     Route = iota
	Relay       // to the hop of the value, 16 bytes
	Exit        // here; no value
	Reply       // to the client of the value, 1 to 127 bytes
)

// Decode reads a prefix-free code from the start of b: the route, its value and what follows. It reports false for a
// reserved first byte and for a value that does not fit in b.
func Decode(b []byte) (route Route, value, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, nil, false
	}
	from, to := 0, 0
	switch first := b[0]; {
	case first == ExitPrefix:
		route, from, to = Exit, 1, 1
	case first <= MaxIDSize:
		route, from, to = Reply, 1, 1+int(first)
	case first == RelayPrefix:
		route, from, to = Relay, 0, BlockSize
	default:
		return 0, nil, nil, false
	}
	if to > len(b) {
		return 0, nil, nil, false
	}
	return route, b[from:to:to], b[to:], true
}

// Pad fills block behind its first n bytes with zeros and the little-endian count of the bytes it filled. It reports
// false where block has no room for the count, or the count none for its value.
func Pad(block []byte, n int) bool {
	filled := len(block) - n
	if n < 0 || filled < PaddingOverhead || filled > 1<<16-1 {
		return false
	}
	clear(block[n:])
	binary.LittleEndian.PutUint16(block[len(block)-2:], uint16(filled))
	return true
}

// Unpad returns how many bytes of block come before its padding. It reports false for a padding that does not hold its
// own count or is longer than block.
func Unpad(block []byte) (n int, ok bool) {
	if len(block) < PaddingOverhead {
		return 0, false
	}
	filled := int(binary.LittleEndian.Uint16(block[len(block)-2:]))
	if filled < PaddingOverhead || filled > len(block) {
		return 0, false
	}
	return len(block) - filled, true
}
