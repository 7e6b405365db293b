package symmetric

import (
	"encoding"
	"encoding/binary"
	"hash"

	"golang.org/x/crypto/blake2b"
)

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
	parameters := parameters(size, len(key))
	clear(h.state[counterAt:])
	for i, word := range iv {
		if i == 0 {
			word ^= parameters
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

// parameters is the word of parameters for a digest and a key of these sizes in bytes (RFC 7693, §2.8).
func parameters(size, keySize int) uint64 {
	if size < 1 || size > blake2b.Size || keySize > blake2b.Size {
		panic("symmetric: caller asks for a BLAKE2b digest or key outside 64 bytes")
	}
	return uint64(size) | uint64(keySize)<<8 | 1<<16 | 1<<24
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
