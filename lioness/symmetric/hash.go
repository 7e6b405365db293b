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

// portableHash is x/crypto's BLAKE2b, whose key can change without an allocation. x/crypto fixes the key when it allocates
// the digest; loading the state that a keyed digest starts from gives the same bytes.
type portableHash struct {
	digest interface {
		hash.Hash
		encoding.BinaryUnmarshaler
	}
	state *[stateLength]byte
}

func newPortableHash() *portableHash {
	digest, err := blake2b.New(blake2b.Size, nil)
	if err != nil {
		panic("symmetric: unreachable: an unkeyed digest of full size")
	}
	h := &portableHash{state: new([stateLength]byte)}
	h.digest = digest.(interface {
		hash.Hash
		encoding.BinaryUnmarshaler
	})
	h.wipe()
	return h
}

// sum computes one hashing. It leaves the key and the chaining value in its memory.
func (h *portableHash) sum(one *Hashing) {
	parameters := parameters(len(one.Sum), len(one.Key))
	clear(h.state[counterAt:])
	for i, word := range iv {
		if i == 0 {
			word ^= parameters
		}
		binary.BigEndian.PutUint64(h.state[chainAt+8*i:], word)
	}
	h.state[sizeAt] = byte(len(one.Sum))
	if len(one.Key) > 0 {
		copy(h.state[blockAt:], one.Key)
		h.state[filledAt] = blake2b.BlockSize
	}
	h.load()
	h.digest.Write(one.Message)
	h.digest.Sum(one.Sum[:0])
}

// wipe forgets the key and the chaining value.
func (h *portableHash) wipe() {
	clear(h.state[:])
	copy(h.state[:], stateMagic)
	h.load()
}

func (h *portableHash) load() {
	if err := h.digest.UnmarshalBinary(h.state[:]); err != nil {
		panic("symmetric: unreachable: the digest refuses its own state: " + err.Error())
	}
}

// parameters is the word of parameters for a digest and a key of these sizes in bytes (RFC 7693, §2.8).
func parameters(size, keySize int) uint64 {
	if size < 1 || size > blake2b.Size || keySize > blake2b.Size {
		panic("symmetric: caller asks for a BLAKE2b digest or key outside 64 bytes")
	}
	return uint64(size) | uint64(keySize)<<8 | 1<<16 | 1<<24
}
