// Package schedule derives everything a hop needs from its shared secret: key schedules 1 and 0 of testvectors/README.md.
package schedule

import (
	"sphinxmix.example/lioness"
	"sphinxmix.example/lioness/symmetric"
	"sphinxmix.example/sphinx/internal/x25519"
)

const (
	// TagSize is the size in bytes of τ.
	TagSize = 32
	// MACSize is the size in bytes of γ: κ.
	MACSize = 16

	streamAt   = 0
	macAt      = streamAt + symmetric.StreamKeySize
	payloadAt  = macAt + 32
	blindingAt = payloadAt + lioness.KeySize
	tagAt      = blindingAt + x25519.Size
	size       = tagAt + TagSize
)

// label is the key of every BLAKE2b in schedule 1; its last byte is the schedule's number.
var label = []byte("sphinx-x25519-chacha20-blake2b-1")

// The prefixes of schedule 0's hashes.
const (
	blindingPrefix = 0x11
	streamPrefix   = 0x22
	macPrefix      = 0x33
	tagPrefix      = 0x55
)

// Keys are the keys of one hop, 320 bytes: ρ key(32) ‖ μ key(32) ‖ π key(192) ‖ b(32) ‖ τ(32).
type Keys [size]byte

// Stream is the ρ key, under which β is encrypted.
func (k *Keys) Stream() *[32]byte { return (*[32]byte)(k[streamAt:]) }

// Payload is the π key, under which LIONESS encrypts δ.
func (k *Keys) Payload() *[lioness.KeySize]byte { return (*[lioness.KeySize]byte)(k[payloadAt:]) }

// Blinding is b, the clamped scalar that takes α to the next hop's α.
func (k *Keys) Blinding() *x25519.Key { return (*x25519.Key)(k[blindingAt:]) }

// Tag is τ, by which a replay is known.
func (k *Keys) Tag() *[TagSize]byte { return (*[TagSize]byte)(k[tagAt:]) }

// Seed is what the payload key of one hop, or of a SURB's k̃, is expanded from. It lets the creator of a SURB keep 32
// bytes a hop in place of 192.
type Seed [symmetric.StreamKeySize]byte

// Schedule derives keys. It works in its own memory, so that no call but Derive allocates, and is not safe for concurrent
// use. Calls leave secrets in that memory until Wipe.
type Schedule struct {
	insecure bool // schedule 0
	hashes   *symmetric.Hashes
	seed     Seed // of ReplyKey
	keys     Keys // of PayloadKey
	group
}

// New returns schedule 1, or schedule 0 where insecureReference is set.
func New(insecureReference bool) *Schedule {
	return &Schedule{insecure: insecureReference, hashes: symmetric.NewHashes()}
}

// MACKey is the μ key of k: 32 bytes in schedule 1, 16 in schedule 0.
func (d *Schedule) MACKey(k *Keys) []byte {
	if d.insecure {
		return k[macAt : macAt+16]
	}
	return k[macAt:payloadAt]
}

// MAC appends γ, the tag over β under the μ key of k, to dst.
func (d *Schedule) MAC(dst []byte, k *Keys, beta []byte) []byte {
	d.digest(d.gamma[:], d.MACKey(k), beta)
	return append(dst, d.gamma[:]...)
}

// Derive is DeriveAll for one hop, and returns its seed.
func (d *Schedule) Derive(keys *Keys, alpha, y, s *x25519.Key) (seed Seed) {
	d.DeriveAll([]Derivation{{keys, &seed, alpha, y, s}})
	return seed
}

// deriveReference is schedule 0: what sphinxmixcrypto 0.0.4 computes.
func (d *Schedule) deriveReference(keys *Keys, alpha, s *x25519.Key) (seed Seed) {
	clear(keys[:])
	prefixed := func(dst []byte, prefix byte, parts ...[]byte) {
		input := append(d.inputs[0][:0], prefix)
		for _, part := range parts {
			input = append(input, part...)
		}
		d.digest(dst, nil, input)
	}
	prefixed(keys.Stream()[:], streamPrefix, s[:])
	prefixed(keys[macAt:macAt+16], macPrefix, s[:])
	prefixed(keys.Blinding()[:], blindingPrefix, alpha[:], s[:])
	prefixed(keys.Tag()[:], tagPrefix, s[:])
	x25519.Clamp(keys.Blinding())
	seed = Seed(*keys.Stream())
	d.PayloadKey(keys.Payload(), &seed)
	return seed
}

// PayloadKey expands a seed of DeriveAll to that hop's π key.
func (d *Schedule) PayloadKey(key *[lioness.KeySize]byte, seed *Seed) {
	if d.insecure {
		expand(key[:], seed)
		return
	}
	expand(d.keys[:blindingAt], seed)
	*key = *d.keys.Payload()
}

// ReplyKey sets key to the LIONESS key of a SURB's k̃.
func (d *Schedule) ReplyKey(key *[lioness.KeySize]byte, ktilde *[32]byte) {
	input := d.inputs[0][:0]
	if d.insecure {
		input = append(append(input, streamPrefix), ktilde[:]...)
		d.digest(d.seed[:], nil, input)
	} else {
		input = append(append(input, "reply"...), ktilde[:]...)
		d.digest(d.seed[:], label, input)
	}
	expand(key[:], &d.seed)
}

// digest sets sum to the BLAKE2b of its size.
func (d *Schedule) digest(sum, key, message []byte) {
	d.hashings[0] = symmetric.Hashing{Sum: sum, Key: key, Message: message}
	d.sum(1)
}

// expand sets dst to the ChaCha20 keystream of seed.
func expand(dst []byte, seed *Seed) {
	clear(dst)
	symmetric.XORKeyStream(dst, dst, (*[32]byte)(seed))
}

// Wipe forgets what the last calls left in the working memory.
func (d *Schedule) Wipe() {
	clear(d.seed[:])
	clear(d.keys[:])
	d.group.wipe()
}
