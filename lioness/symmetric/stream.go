package symmetric

import (
	"unsafe"

	"golang.org/x/crypto/chacha20"
)

// StreamKeySize is the size of a ChaCha20 key in bytes.
const StreamKeySize = 32

// maxStream is how long a keystream is: 2³² blocks of 64 bytes, which its counter of 32 bits can tell apart.
const maxStream = 1 << 38

// XORKeyStream sets dst to src XOR the ChaCha20 keystream (RFC 8439) of key with nonce 0 from block 0.
// dst and src must have one length, at most 256 GiB, and overlap entirely or not at all; key must not be within dst. It
// panics where they do not, which is the caller's mistake, but does not see such a key.
func XORKeyStream(dst, src []byte, key *[StreamKeySize]byte) {
	check(dst, src)
	xorStream(dst, src, key)
}

// Stream is one keystream to be added to a message: Dst is set to Src XOR the ChaCha20 keystream of Key, as by
// XORKeyStream and with its conditions.
type Stream struct {
	Dst, Src []byte
	Key      *[StreamKeySize]byte
}

// XORKeyStreams is XORKeyStream for each of streams. The streams must not overlap each other, nor one's Dst another
// one's Key.
func XORKeyStreams(streams []Stream) {
	for i := range streams {
		check(streams[i].Dst, streams[i].Src)
	}
	xorStreams(streams)
}

// check panics on what a kernel must not be given.
func check(dst, src []byte) {
	if len(dst) != len(src) {
		panic("symmetric: caller's dst and src differ in length")
	}
	if uint64(len(src)) > maxStream {
		panic("symmetric: caller's stream is longer than 256 GiB")
	}
	to, from := uintptr(unsafe.Pointer(unsafe.SliceData(dst))), uintptr(unsafe.Pointer(unsafe.SliceData(src)))
	if length := uintptr(len(src)); to != from && to < from+length && from < to+length {
		panic("symmetric: caller's dst and src overlap, and not entirely")
	}
}

func xorStreamPortable(dst, src []byte, key *[StreamKeySize]byte) {
	var nonce [chacha20.NonceSize]byte
	cipher, err := chacha20.NewUnauthenticatedCipher(key[:], nonce[:])
	if err != nil {
		panic("symmetric: unreachable: key and nonce have their fixed sizes")
	}
	cipher.XORKeyStream(dst, src)
	*cipher = chacha20.Cipher{}
}
