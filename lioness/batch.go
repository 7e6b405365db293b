package lioness

import (
	"crypto/subtle"
	"fmt"
	"io"

	"sphinxmix.example/lioness/symmetric"
)

// groupSize is how many blocks go through a round together: the lanes of BLAKE2b. More would only be further from the
// processor when the next round wants them.
const groupSize = 8

// Batch is LIONESS for many blocks at once, each under a key of its own. It works in its own memory, so that no call
// allocates, and erases that memory before a call returns.
//
// Use NewBatch; the zero value is not usable. A Batch is not safe for concurrent use.
type Batch struct {
	w **batchWorkspace // two pointers, as in Cipher
}

type batchWorkspace struct {
	hashes     *symmetric.Hashes
	streamKeys [groupSize][streamKeySize]byte // L ⊕ k1 or L ⊕ k3
	sums       [groupSize][streamKeySize]byte // what is added to L
	streams    [groupSize]symmetric.Stream
	hashings   [groupSize]symmetric.Hashing
}

// NewBatch returns a Batch.
func NewBatch() *Batch {
	w := &batchWorkspace{hashes: symmetric.NewHashes()}
	return &Batch{&w}
}

// Format prints nothing of keys and blocks, whatever the verb.
func (b Batch) Format(s fmt.State, _ rune) { io.WriteString(s, "lioness.Batch(secret)") }

// Encrypt encrypts blocks in place, each under the key at its index. It is fastest where all have one length. Blocks must
// not overlap; there must be as many keys as blocks, or the call panics. The only error is ErrBlockSize, where any block is
// too short, and then all of them are unchanged.
func (b *Batch) Encrypt(keys []*[KeySize]byte, blocks [][]byte) error {
	return b.each(keys, blocks, (*batchWorkspace).encrypt)
}

// Decrypt decrypts blocks in place, under the conditions of Encrypt.
func (b *Batch) Decrypt(keys []*[KeySize]byte, blocks [][]byte) error {
	return b.each(keys, blocks, (*batchWorkspace).decrypt)
}

// each turns one group after the other.
func (b *Batch) each(keys []*[KeySize]byte, blocks [][]byte, turn func(*batchWorkspace, []*[KeySize]byte, [][]byte)) error {
	if len(keys) != len(blocks) {
		panic("lioness: caller gives a batch more or fewer keys than blocks")
	}
	for _, block := range blocks {
		if len(block) < MinBlockSize {
			return ErrBlockSize
		}
	}
	w, used := *b.w, min(len(blocks), groupSize)
	for len(blocks) > 0 {
		n := min(len(blocks), groupSize)
		turn(w, keys[:n], blocks[:n])
		keys, blocks = keys[n:], blocks[n:]
	}
	w.wipe(used)
	return nil
}

// wipe erases what groups of up to n blocks left, pointers to them included.
func (w *batchWorkspace) wipe(n int) {
	clear(w.streamKeys[:n])
	clear(w.sums[:n])
	clear(w.streams[:n])
	clear(w.hashings[:n])
}

func (w *batchWorkspace) encrypt(keys []*[KeySize]byte, blocks [][]byte) {
	w.stream(keys, blocks, k1At)
	w.digest(keys, blocks, k2At)
	w.stream(keys, blocks, k3At)
	w.digest(keys, blocks, k4At)
}

func (w *batchWorkspace) decrypt(keys []*[KeySize]byte, blocks [][]byte) {
	w.digest(keys, blocks, k4At)
	w.stream(keys, blocks, k3At)
	w.digest(keys, blocks, k2At)
	w.stream(keys, blocks, k1At)
}

// stream is a round of R ⊕= ChaCha20(L ⊕ k) for each block of a group, with k at the given place of its key.
func (w *batchWorkspace) stream(keys []*[KeySize]byte, blocks [][]byte, at int) {
	for i, block := range blocks {
		l, r := block[:streamKeySize], block[streamKeySize:]
		subtle.XORBytes(w.streamKeys[i][:], l, keys[i][at:at+streamKeySize])
		w.streams[i] = symmetric.Stream{Dst: r, Src: r, Key: &w.streamKeys[i]}
	}
	symmetric.XORKeyStreams(w.streams[:len(blocks)])
}

// digest is a round of L ⊕= BLAKE2b-256(k, R) for each block of a group, with k at the given place of its key.
func (w *batchWorkspace) digest(keys []*[KeySize]byte, blocks [][]byte, at int) {
	for i, block := range blocks {
		w.hashings[i] = symmetric.Hashing{
			Sum: w.sums[i][:], Key: keys[i][at : at+hashKeySize], Message: block[streamKeySize:],
		}
	}
	w.hashes.Sum(w.hashings[:len(blocks)])
	for i, block := range blocks {
		l := block[:streamKeySize]
		subtle.XORBytes(l, l, w.sums[i][:])
	}
}
