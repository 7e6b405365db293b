package tao

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// Record says that an attestation key is a node's: whoever enrols nodes has made sure that the key is in the TPM of
// that endorsement key, and signs this. Everything that ties a node to a machine is in this one statement.
type Record struct {
	Identity    ed25519.PublicKey // of the node
	Kind        Kind
	Key         []byte   // the attestation key: see [Attestor]; up to MaxKeySize bytes
	Endorsement [32]byte // EndorsementHash of the TPM's endorsement key; zero for a soft attestor
	Root        [32]byte // which root of the policy vouches for that; zero for a soft attestor
	Resets      uint32   // of the TPM when it was enrolled: one that shows fewer has been cleared
	Roles       Roles    // that the node may have
	Issued      time.Time
	Expires     time.Time         // from when on the record is worth nothing
	Signer      ed25519.PublicKey // the policy key, or one that the policy delegates to
}

// The limits of a Record, in bytes.
const (
	MaxKeySize    = 512
	MaxRecordSize = ed25519.SignatureSize + recordFixedSize + MaxKeySize

	recordFixedSize = 32 + 32 + 1 + 2 + 32 + 32 + 4 + 1 + 8 + 8
)

const recordContext = "sphinxmix enrolment v1\x00"

// Sign returns the record as ParseRecord reads it, signed by key: the record's Signer is not looked at. Times are cut
// down to the second.
func (r *Record) Sign(key ed25519.PrivateKey) ([]byte, error) {
	signed := *r
	signed.Signer = key.Public().(ed25519.PublicKey)
	if err := signed.check(); err != nil {
		return nil, err
	}
	return sign(key, recordContext, signed.encode()), nil
}

// ParseRecord returns the record in signed, of which it keeps no part, and checks the signature by the record's own
// signer: whether that one may sign records is for a policy to say. The error wraps ErrRecord.
func ParseRecord(signed []byte) (*Record, error) {
	if len(signed) < ed25519.SignatureSize+recordFixedSize || len(signed) > MaxRecordSize {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrRecord, len(signed))
	}
	r, err := decodeRecord(signed[ed25519.SignatureSize:])
	if err != nil {
		return nil, err
	}
	if !verify(r.Signer, recordContext, signed) {
		return nil, fmt.Errorf("%w: its signature is wrong", ErrRecord)
	}
	return r, nil
}

func (r *Record) check() error {
	switch {
	case len(r.Identity) != ed25519.PublicKeySize || len(r.Signer) != ed25519.PublicKeySize:
		return fmt.Errorf("%w: its identity or its signer is no Ed25519 key", ErrRecord)
	case lowOrder(r.Identity) || lowOrder(r.Signer):
		return fmt.Errorf("%w: its identity or its signer is a key of low order", ErrRecord)
	case !r.Kind.valid():
		return fmt.Errorf("%w: there is no attestor of %v", ErrRecord, r.Kind)
	case len(r.Key) == 0 || len(r.Key) > MaxKeySize:
		return fmt.Errorf("%w: its attestation key has %d bytes", ErrRecord, len(r.Key))
	case !r.Roles.valid():
		return fmt.Errorf("%w: it is for no role", ErrRecord)
	case !validTime(r.Issued) || !validTime(r.Expires):
		return fmt.Errorf("%w: its dates are not between the years 1970 and 9999", ErrRecord)
	}
	return nil
}

func (r *Record) encode() []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, recordFixedSize+len(r.Key)))
	b.AddBytes(r.Signer)
	b.AddBytes(r.Identity)
	b.AddUint8(uint8(r.Kind))
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(r.Key) })
	b.AddBytes(r.Endorsement[:])
	b.AddBytes(r.Root[:])
	b.AddUint32(r.Resets)
	b.AddUint8(uint8(r.Roles))
	addTime(b, r.Issued)
	addTime(b, r.Expires)
	return b.BytesOrPanic()
}

func decodeRecord(body []byte) (*Record, error) {
	var (
		r     = &Record{Signer: make(ed25519.PublicKey, ed25519.PublicKeySize), Identity: make(ed25519.PublicKey, ed25519.PublicKeySize)}
		s     = cryptobyte.String(body)
		kind  uint8
		roles uint8
		key   cryptobyte.String
	)
	if !s.CopyBytes(r.Signer) || !s.CopyBytes(r.Identity) || !s.ReadUint8(&kind) || !s.ReadUint16LengthPrefixed(&key) ||
		!s.CopyBytes(r.Endorsement[:]) || !s.CopyBytes(r.Root[:]) || !s.ReadUint32(&r.Resets) || !s.ReadUint8(&roles) ||
		!readTime(&s, &r.Issued) || !readTime(&s, &r.Expires) || !s.Empty() {
		return nil, fmt.Errorf("%w: its fields are not as long as it is", ErrRecord)
	}
	r.Kind, r.Roles, r.Key = Kind(kind), Roles(roles), bytes.Clone(key)
	return r, r.check()
}

// KeyHash stands for an attestation key in revocations: the SHA-256 of it, which for a TPM is its name without the two
// bytes of the algorithm.
func (r *Record) KeyHash() [32]byte { return sha256.Sum256(r.Key) }

// Hash stands for the record itself in revocations: the SHA-256 of all of it but the signature.
func (r *Record) Hash() [32]byte { return sha256.Sum256(r.encode()) }

// IdentityHash stands for a node in revocations.
func IdentityHash(identity ed25519.PublicKey) [32]byte { return sha256.Sum256(identity) }
