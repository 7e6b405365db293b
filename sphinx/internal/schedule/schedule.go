// Package schedule derives everything a hop needs from its shared secret: key schedules 1 and 0 of testvectors/README.md.
package schedule

import (
	"sphinxmix.example/lioness"
	"sphinxmix.example/lioness/symmetric"
	"sphinxmix.example/sphinx/internal/x25519"
)

const (
	// Label is the key of every BLAKE2b in schedule 1; its last byte is the schedule's number.
	Label = "sphinx-x25519-chacha20-blake2b-1"

	// SeedSize is the size in bytes of a Seed.
	SeedSize = 32
	// TagSize is the size in bytes of τ.
	TagSize = 32
	// MACSize is the size in bytes of γ: κ.
	MACSize = 16

	streamAt   = 0
	macAt      = streamAt + symmetric.StreamKeySize
	payloadAt  = macAt + 32
	blindingAt = payloadAt + lioness.KeySize
	tagAt      = blindingAt + x25519.Size
	// Size is the length in bytes of all keys of one hop: 320.
	Size = tagAt + TagSize
)

// The prefixes of schedule 0's hashes.
const (
	blindingPrefix = 0x11
	streamPrefix   = 0x22
	macPrefix      = 0x33
	tagPrefix      = 0x55
)

// Keys are the keys of one hop: ρ key(32) ‖ μ key(32) ‖ π key(192) ‖ b(32) ‖ τ(32).
type Keys [Size]byte

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
type Seed [SeedSize]byte

// Schedule derives keys. It works in its own memory, so that no call allocates, and is not safe for concurrent use.
type Schedule struct {
	insecure bool // schedule 0
	hash     *symmetric.Hash
	input    [3 * x25519.Size]byte
	seed     Seed
}

// New returns schedule 1, or schedule 0 where insecureReference is set.
func New(insecureReference bool) *Schedule {
	return &Schedule{insecure: insecureReference, hash: symmetric.NewHash()}
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
	d.hash.Reset(MACSize, d.MACKey(k))
	d.hash.Write(beta)
	return d.hash.Sum(dst)
}

// Derive sets keys to those of a hop with public key y that shares s with the sender of α, and returns the seed of its
// payload key.
func (d *Schedule) Derive(keys *Keys, alpha, y, s *x25519.Key) Seed {
	if d.insecure {
		d.deriveReference(keys, alpha, s)
	} else {
		copy(d.input[:32], alpha[:])
		copy(d.input[32:64], y[:])
		copy(d.input[64:], s[:])
		d.digest(d.seed[:0], 32, Label, d.input[:])
		clear(keys[:])
		symmetric.XORKeyStream(keys[:], keys[:], (*[32]byte)(&d.seed))
		x25519.Clamp(keys.Blinding())
	}
	return d.seed
}

// deriveReference is schedule 0: what sphinxmixcrypto 0.0.4 computes.
func (d *Schedule) deriveReference(keys *Keys, alpha, s *x25519.Key) {
	clear(keys[:])
	prefixed := func(dst []byte, size int, prefix byte, parts ...[]byte) {
		input := append(d.input[:0], prefix)
		for _, part := range parts {
			input = append(input, part...)
		}
		d.digest(dst[:0], size, "", input)
	}
	prefixed(keys.Stream()[:], 32, streamPrefix, s[:])
	prefixed(keys[macAt:macAt+16], 16, macPrefix, s[:])
	prefixed(keys.Blinding()[:], 32, blindingPrefix, alpha[:], s[:])
	prefixed(keys.Tag()[:], 32, tagPrefix, s[:])
	x25519.Clamp(keys.Blinding())
	copy(d.seed[:], keys.Stream()[:])
	d.PayloadKey(keys.Payload(), &d.seed)
}

// PayloadKey expands a seed that Derive returned to that hop's π key.
func (d *Schedule) PayloadKey(key *[lioness.KeySize]byte, seed *Seed) {
	if d.insecure {
		expand(key[:], seed)
		return
	}
	var keys Keys
	expand(keys[:blindingAt], seed)
	*key = *keys.Payload()
	clear(keys[:])
}

// ReplyKey sets key to the LIONESS key of a SURB's k̃.
func (d *Schedule) ReplyKey(key *[lioness.KeySize]byte, ktilde *[32]byte) {
	if d.insecure {
		d.input[0] = streamPrefix
		copy(d.input[1:], ktilde[:])
		d.digest(d.seed[:0], 32, "", d.input[:1+32])
	} else {
		n := copy(d.input[:], "reply")
		n += copy(d.input[n:], ktilde[:])
		d.digest(d.seed[:0], 32, Label, d.input[:n])
	}
	expand(key[:], &d.seed)
}

func (d *Schedule) digest(dst []byte, size int, key string, input []byte) {
	var k [len(Label)]byte
	d.hash.Reset(size, k[:copy(k[:], key)])
	d.hash.Write(input)
	d.hash.Sum(dst)
}

// expand sets dst to the ChaCha20 keystream of seed.
func expand(dst []byte, seed *Seed) {
	clear(dst)
	symmetric.XORKeyStream(dst, dst, (*[32]byte)(seed))
}

// Wipe forgets what the last calls left in the working memory.
func (d *Schedule) Wipe() {
	clear(d.input[:])
	clear(d.seed[:])
	d.hash.Wipe()
}
