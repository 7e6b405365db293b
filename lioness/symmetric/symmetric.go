// Package symmetric holds the two keyed primitives under LIONESS and Sphinx, in the form in which both need them:
// without an allocation per key, and wiped after use.
package symmetric

import (
	"encoding"
	"encoding/binary"
	"hash"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/chacha20"
)

// StreamKeySize is the size of a ChaCha20 key in bytes.
const StreamKeySize = 32

// XORKeyStream sets dst to src XOR the ChaCha20 keystream (RFC 8439) of key with nonce 0 from block 0.
// dst and src must have one length, at most 256 GiB, and overlap entirely or not at all.
func XORKeyStream(dst, src []byte, key *[StreamKeySize]byte) {
	var nonce [chacha20.NonceSize]byte
	cipher, err := chacha20.NewUnauthenticatedCipher(key[:], nonce[:])
	if err != nil {
		panic("symmetric: unreachable: key and nonce have their fixed sizes")
	}
	cipher.XORKeyStream(dst, src)
	*cipher = chacha20.Cipher{}
}

// Stream is one keystream to be added to a message: Dst is set to Src XOR the ChaCha20 keystream of Key, as by
// XORKeyStream and with its conditions.
type Stream struct {
	Dst, Src []byte
	Key      *[StreamKeySize]byte
}

// XORKeyStreams is XORKeyStream for each of streams. The streams must not overlap each other.
func XORKeyStreams(streams []Stream) {
	for i := range streams {
		XORKeyStream(streams[i].Dst, streams[i].Src, streams[i].Key)
	}
}

// The serialised state of an x/crypto BLAKE2b digest: a magic word, h (8 words), the byte counter (2 words), the digest
// size, the pending block and how much of it is filled.
const (
	stateMagic  = "b2b"
	chainAt     = len(stateMagic)
	counterAt   = chainAt + 8*8
	sizeAt      = counterAt + 2*8
	blockAt     = sizeAt + 1
	filledAt    = blockAt + blake2b.BlockSize
	stateLength = filledAt + 1
)

// iv is BLAKE2b's initialisation vector (RFC 7693, §2.6).
var iv = [8]uint64{
	0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
	0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
}

// Hash is BLAKE2b (RFC 7693), keyed or not, whose key can change without an allocation. x/crypto fixes the key when it
// allocates the digest; loading the state that a keyed digest starts from gives the same bytes.
//
// Use NewHash; the zero value is not usable. A Hash is not safe for concurrent use.
type Hash struct {
	digest interface {
		hash.Hash
		encoding.BinaryUnmarshaler
	}
	state *[stateLength]byte
}

// NewHash returns a Hash on which Reset must be called before anything else.
func NewHash() *Hash {
	digest, err := blake2b.New(blake2b.Size, nil)
	if err != nil {
		panic("symmetric: unreachable: an unkeyed digest of full size")
	}
	h := &Hash{state: new([stateLength]byte)}
	h.digest = digest.(interface {
		hash.Hash
		encoding.BinaryUnmarshaler
	})
	h.Wipe()
	return h
}

// Reset starts a new digest of size bytes (1 to 64) under key (0 to 64 bytes; none for the plain hash).
// It panics on other sizes, which are the caller's mistake.
func (h *Hash) Reset(size int, key []byte) {
	if size < 1 || size > blake2b.Size || len(key) > blake2b.Size {
		panic("symmetric: caller asks for a BLAKE2b digest or key outside 64 bytes")
	}
	clear(h.state[counterAt:])
	for i, word := range iv {
		if i == 0 {
			word ^= uint64(size) | uint64(len(key))<<8 | 1<<16 | 1<<24
		}
		binary.BigEndian.PutUint64(h.state[chainAt+8*i:], word)
	}
	h.state[sizeAt] = byte(size)
	if len(key) > 0 {
		copy(h.state[blockAt:], key)
		h.state[filledAt] = blake2b.BlockSize
	}
	h.load()
}

// Write adds p to the digest. It never fails.
func (h *Hash) Write(p []byte) (int, error) { return h.digest.Write(p) }

// Sum appends the digest of what was written since Reset to dst.
func (h *Hash) Sum(dst []byte) []byte { return h.digest.Sum(dst) }

// Wipe forgets the key and the chaining value.
func (h *Hash) Wipe() {
	clear(h.state[:])
	copy(h.state[:], stateMagic)
	h.load()
}

func (h *Hash) load() {
	if err := h.digest.UnmarshalBinary(h.state[:]); err != nil {
		panic("symmetric: unreachable: the digest refuses its own state: " + err.Error())
	}
}

// Hashing is one BLAKE2b to be computed: Sum, 1 to 64 bytes, is set to the digest of its own size of Message under Key (0
// to 64 bytes; none for the plain hash).
type Hashing struct{ Sum, Key, Message []byte }

// Hashes computes many BLAKE2b at once. It works in its own memory, so that no call allocates, and erases that memory
// before a call returns.
//
// Use NewHashes. Hashes is not safe for concurrent use.
type Hashes struct{ one *Hash }

// NewHashes returns a Hashes.
func NewHashes() *Hashes { return &Hashes{NewHash()} }

// Sum computes all hashings. It is fastest where they agree in all three sizes.
func (h *Hashes) Sum(all []Hashing) {
	for i := range all {
		h.one.Reset(len(all[i].Sum), all[i].Key)
		h.one.Write(all[i].Message)
		h.one.Sum(all[i].Sum[:0])
	}
	h.one.Wipe()
}
