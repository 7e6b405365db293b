// Package lioness implements the wide-block cipher LIONESS (Anderson & Biham, 1996) with ChaCha20 and keyed
// BLAKE2b-256, as Sphinx uses it for payloads: change one bit of a ciphertext and the whole plaintext is noise.
//
// A block is any length above 32 bytes; L is its first 32 bytes and R the rest. The key is
// k1(32) ‖ k2(64) ‖ k3(32) ‖ k4(64), and encryption is
//
//	R ⊕= ChaCha20(L ⊕ k1)   L ⊕= BLAKE2b-256(k2, R)   R ⊕= ChaCha20(L ⊕ k3)   L ⊕= BLAKE2b-256(k4, R)
//
// It is a permutation, not authenticated encryption, and deterministic: a key serves one block.
package lioness

import (
	"errors"
	"fmt"
	"io"

	"sphinxmix.example/lioness/symmetric"
)

const (
	streamKeySize = symmetric.StreamKeySize // k1, k3; also the size of L
	hashKeySize   = 64                      // k2, k4

	k1At = 0
	k2At = k1At + streamKeySize
	k3At = k2At + hashKeySize
	k4At = k3At + streamKeySize

	// KeySize is the size of a key in bytes: 192.
	KeySize = k4At + hashKeySize

	// MinBlockSize is the size in bytes of the smallest block: 33.
	MinBlockSize = streamKeySize + 1
)

// ErrBlockSize is returned for a block shorter than MinBlockSize.
var ErrBlockSize = errors.New("lioness: block must be longer than 32 bytes")

// Cipher is LIONESS under one key at a time. It works in its own memory, so that no call allocates.
//
// Use New; the zero value is not usable. A Cipher is not safe for concurrent use.
type Cipher struct {
	w **workspace // fmt follows one pointer in the unexported fields of others' structs, and not two
}

// workspace is a Batch of one.
type workspace struct {
	key   [KeySize]byte
	batch *Batch
	keys  [1]*[KeySize]byte // the one above
	block [1][]byte
}

// New returns a Cipher under key, which is copied.
func New(key *[KeySize]byte) *Cipher {
	w := &workspace{batch: NewBatch()}
	w.keys[0] = &w.key
	c := &Cipher{&w}
	c.SetKey(key)
	return c
}

// SetKey changes the key, which is copied.
func (c *Cipher) SetKey(key *[KeySize]byte) { (*c.w).key = *key }

// Wipe forgets the key. The Cipher can be used again after SetKey.
func (c *Cipher) Wipe() { clear((*c.w).key[:]) }

// Format prints no part of the key, whatever the verb.
func (c Cipher) Format(s fmt.State, _ rune) { io.WriteString(s, "lioness.Cipher(secret)") }

// Encrypt encrypts block in place. The only error is ErrBlockSize, and then block is unchanged.
func (c *Cipher) Encrypt(block []byte) error { return c.turn(block, (*Batch).Encrypt) }

// Decrypt decrypts block in place. The only error is ErrBlockSize, and then block is unchanged.
func (c *Cipher) Decrypt(block []byte) error { return c.turn(block, (*Batch).Decrypt) }

func (c *Cipher) turn(block []byte, turn func(*Batch, []*[KeySize]byte, [][]byte) error) error {
	w := *c.w
	w.block[0] = block
	err := turn(w.batch, w.keys[:], w.block[:])
	w.block[0] = nil
	return err
}

// AppendEncrypt appends the encryption of block to dst and returns the extended slice. It allocates only where dst has
// no room for it.
func (c *Cipher) AppendEncrypt(dst, block []byte) ([]byte, error) {
	out := append(dst, block...)
	if err := c.Encrypt(out[len(dst):]); err != nil {
		return dst, err
	}
	return out, nil
}

// AppendDecrypt appends the decryption of block to dst and returns the extended slice. It allocates only where dst has
// no room for it.
func (c *Cipher) AppendDecrypt(dst, block []byte) ([]byte, error) {
	out := append(dst, block...)
	if err := c.Decrypt(out[len(dst):]); err != nil {
		return dst, err
	}
	return out, nil
}
