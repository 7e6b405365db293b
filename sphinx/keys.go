package sphinx

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"

	"sphinxmix.example/sphinx/internal/schedule"
	"sphinxmix.example/sphinx/internal/wire"
	"sphinxmix.example/sphinx/internal/x25519"
)

// Sizes in bytes of the fixed-size values.
const (
	KeySize       = x25519.Size    // of a PrivateKey and a PublicKey
	AddressSize   = wire.BlockSize // of an Address
	MessageIDSize = wire.BlockSize // of a MessageID
	TagSize       = schedule.TagSize
)

// PublicKey is a hop's public key y: the u-coordinate of a point on Curve25519 (RFC 7748).
type PublicKey [KeySize]byte

// String returns the key in hexadecimal.
func (k PublicKey) String() string { return hex.EncodeToString(k[:]) }

// Address names a hop to the hop before it. It is opaque here but for its first byte, which must be 0xff.
type Address [AddressSize]byte

// String returns the address in hexadecimal.
func (a Address) String() string { return hex.EncodeToString(a[:]) }

// MessageID tells the maker of SURBs which of them a reply came through.
type MessageID [MessageIDSize]byte

// Tag is τ: two packets with one tag under one key are the same packet.
type Tag [TagSize]byte

// String returns the tag in hexadecimal. It is a trace of a packet, and has no place in a log.
func (t Tag) String() string { return hex.EncodeToString(t[:]) }

// Hop is one stop of a path: what the hop before calls it, and its key.
type Hop struct {
	Address Address
	Key     PublicKey
}

// PrivateKey is a hop's private key x. It is never printed. The zero value is not usable.
type PrivateKey struct {
	scalar secret[x25519.Key] // clamped
	public PublicKey
}

// GenerateKey makes a private key of 32 bytes from random, or from crypto/rand where random is nil.
func GenerateKey(random io.Reader) (*PrivateKey, error) {
	var raw [KeySize]byte
	defer clear(raw[:])
	if err := draw(random, raw[:]); err != nil {
		return nil, err
	}
	return NewPrivateKey(raw[:])
}

// NewPrivateKey returns the private key of 32 bytes, which are copied and clamped (RFC 7748 §5). It returns ErrKey for
// another length.
func NewPrivateKey(raw []byte) (*PrivateKey, error) {
	if len(raw) != KeySize {
		return nil, fmt.Errorf("%w: a private key has %d bytes, not %d", ErrKey, KeySize, len(raw))
	}
	scalar := x25519.Key(raw)
	x25519.Clamp(&scalar)
	k := &PrivateKey{scalar: hide(&scalar)}
	x25519.Public((*x25519.Key)(&k.public), &scalar)
	return k, nil
}

// Public returns the public key y = X25519(x, 9).
func (k *PrivateKey) Public() PublicKey { return k.public }

// Bytes returns a copy of the 32 bytes of the clamped private key.
func (k *PrivateKey) Bytes() []byte { return append([]byte(nil), k.scalar.get()[:]...) }

// Equal reports, in constant time, whether k and other are one key.
func (k *PrivateKey) Equal(other *PrivateKey) bool {
	return subtle.ConstantTimeCompare(k.scalar.get()[:], other.scalar.get()[:]) == 1
}

// Wipe forgets the key, which is not usable from then on.
func (k *PrivateKey) Wipe() { clear(k.scalar.get()[:]) }

// Format prints no part of the key, whatever the verb.
func (k PrivateKey) Format(s fmt.State, _ rune) { io.WriteString(s, "sphinx.PrivateKey(secret)") }

// draw fills b from random, or from crypto/rand where random is nil.
func draw(random io.Reader, b []byte) error {
	if random == nil {
		random = rand.Reader
	}
	if _, err := io.ReadFull(random, b); err != nil {
		return fmt.Errorf("sphinx: reading randomness: %w", err)
	}
	return nil
}
