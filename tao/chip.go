package tao

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
)

// What a verifier needs of TPM 2.0 is three structures, of which it accepts one form each. They are read here field by
// field: package tpm2 does it by reflection, which takes longer than all signatures of a verification together, and
// leaves to its callers what may follow behind.

// Numbers of TPM 2.0 Library, part 2.
const (
	algSHA256 = 0x000b
	algNull   = 0x0010
	algECDSA  = 0x0018
	algECC    = 0x0023
	curveP256 = 0x0003

	magicGenerated  = 0xff544347 // TPM_GENERATED: before all that a TPM says of itself, and nothing else that its restricted keys sign
	attestQuote     = 0x8018     // TPM_ST_ATTEST_QUOTE
	endorsementRoot = 0x4000000b // TPM_RH_ENDORSEMENT

	// TPMA_OBJECT
	fixedTPM            = 1 << 1
	fixedParent         = 1 << 4
	sensitiveDataOrigin = 1 << 5
	restricted          = 1 << 16
	forDecryption       = 1 << 17
	forSigning          = 1 << 18
)

// tpmKey is a key in a TPM, or one that claims to be.
type tpmKey struct {
	bytes      []byte // TPMT_PUBLIC
	attributes uint32
	ecdsa      *ecdsa.PublicKey // nil where it is not one of ECDSA over P-256 with SHA-256
}

// CheckAttestationKey says what keeps a TPMT_PUBLIC from being an attestation key. It must be made by its TPM and
// never leave it, and be restricted: others sign whatever they are given, a quote that no TPM has made among them.
// ECDSA over P-256 with SHA-256 is the one kind. The error wraps ErrKey.
func CheckAttestationKey(public []byte) error {
	key, err := parseTPMKey(public)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	_, err = key.describe()
	return err
}

// parseTPMKey reads a TPMT_PUBLIC (part 2, 12.2.4).
func parseTPMKey(public []byte) (*tpmKey, error) {
	var (
		k                = &tpmKey{bytes: public}
		s                = cryptobyte.String(public)
		kind, name       uint16
		policy           cryptobyte.String
		symmetric, curve uint16
		scheme, hash     uint16
		derivation       uint16
		x, y             cryptobyte.String
	)
	if !s.ReadUint16(&kind) || !s.ReadUint16(&name) || !s.ReadUint32(&k.attributes) || !s.ReadUint16LengthPrefixed(&policy) {
		return nil, errors.New("the attestation key is not one of a TPM")
	}
	if kind != algECC || name != algSHA256 {
		return k, nil
	}
	if !s.ReadUint16(&symmetric) || symmetric != algNull || !s.ReadUint16(&scheme) || scheme != algECDSA ||
		!s.ReadUint16(&hash) || hash != algSHA256 || !s.ReadUint16(&curve) || curve != curveP256 ||
		!s.ReadUint16(&derivation) || derivation != algNull || !readNumber(&s, &x) || !readNumber(&s, &y) {
		return k, nil
	}
	if !s.Empty() {
		return nil, errors.New("something stands behind the attestation key")
	}
	var point [65]byte
	point[0] = 4 // uncompressed
	copy(point[33-len(x):], x)
	copy(point[65-len(y):], y)
	if public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point[:]); err == nil {
		k.ecdsa = public
	}
	return k, nil
}

// readNumber reads one of up to 32 bytes.
func readNumber(s *cryptobyte.String, n *cryptobyte.String) bool {
	return s.ReadUint16LengthPrefixed(n) && len(*n) <= 32
}

func (k *tpmKey) describe() (string, error) {
	switch a := k.attributes; {
	case a&restricted == 0:
		return "", fmt.Errorf("%w: it is not restricted", ErrKey)
	case a&forSigning == 0 || a&forDecryption != 0:
		return "", fmt.Errorf("%w: it is not for signing alone", ErrKey)
	case a&fixedTPM == 0 || a&fixedParent == 0 || a&sensitiveDataOrigin == 0:
		return "", fmt.Errorf("%w: it may be in other places than one TPM", ErrKey)
	case k.ecdsa == nil:
		return "", fmt.Errorf("%w: it is not one of ECDSA over P-256 with SHA-256", ErrKey)
	}
	return "restricted, in one TPM, ECDSA over P-256", nil
}

// verify reads a TPMT_SIGNATURE (part 2, 11.3.4).
func (k *tpmKey) verify(q *Quote) bool {
	var (
		sig             = cryptobyte.String(q.Signature)
		algorithm, hash uint16
		r, s            cryptobyte.String
	)
	if k.ecdsa == nil || !sig.ReadUint16(&algorithm) || algorithm != algECDSA || !sig.ReadUint16(&hash) || hash != algSHA256 ||
		!readNumber(&sig, &r) || !readNumber(&sig, &s) || !sig.Empty() {
		return false
	}
	digest := sha256.Sum256(q.Statement)
	return ecdsa.Verify(k.ecdsa, digest[:], new(big.Int).SetBytes(r), new(big.Int).SetBytes(s))
}

var errStatement = errors.New("its statement is not one of a TPM")

// read takes a TPMS_ATTEST apart (part 2, 10.12.12).
func (k *tpmKey) read(statement []byte) (*said, error) {
	var (
		s             = cryptobyte.String(statement)
		magic         uint32
		kind          uint16
		signer, extra cryptobyte.String
		clock         Clock
		safe          bool
		firmware      uint64
	)
	if !s.ReadUint32(&magic) || !s.ReadUint16(&kind) || !s.ReadUint16LengthPrefixed(&signer) || !s.ReadUint16LengthPrefixed(&extra) ||
		!s.ReadUint64(&clock.Time) || !s.ReadUint32(&clock.Resets) || !s.ReadUint32(&clock.Restarts) || !readBool(&s, &safe) ||
		!s.ReadUint64(&firmware) {
		return nil, fmt.Errorf("%w: %w", ErrEvidence, errStatement)
	}
	said := &said{origin: "made by a TPM, with a key of its endorsement hierarchy", clock: clock}
	copyHash(&said.qualifying, extra)
	switch {
	case magic != magicGenerated:
		said.wrong = ErrMagic
	case kind != attestQuote:
		said.wrong = fmt.Errorf("%w: it is of type %#x", ErrType, kind)
	case !bytes.Equal(signer, k.qualifiedName()):
		said.wrong = ErrSigner
	}
	if kind != attestQuote {
		return said, nil // the rest has another form
	}
	var digest cryptobyte.String
	selection, ok := readSelection(&s)
	if !ok || !s.ReadUint16LengthPrefixed(&digest) || !s.Empty() {
		return nil, fmt.Errorf("%w: %w", ErrEvidence, errStatement)
	}
	said.selection = selection
	copyHash(&said.registers, digest)
	return said, nil
}

// copyHash copies a hash. What has another length is left as zeros, which nothing is the hash of.
func copyHash(to *[32]byte, from []byte) {
	if len(from) == len(to) {
		copy(to[:], from)
	}
}

// readSelection returns a TPML_PCR_SELECTION as it stands in s.
func readSelection(s *cryptobyte.String) ([]byte, bool) {
	start := *s
	var banks uint32
	if !s.ReadUint32(&banks) || banks > 16 {
		return nil, false
	}
	for range banks {
		var bank uint16
		var registers cryptobyte.String
		if !s.ReadUint16(&bank) || !s.ReadUint8LengthPrefixed(&registers) {
			return nil, false
		}
	}
	return start[:len(start)-len(*s)], true
}

// qualifiedName returns the name that ties the key to the endorsement hierarchy, of which it is a primary key (part 1,
// 16): SHA-256(handle of the hierarchy ‖ name), with the number of SHA-256 before it.
func (k *tpmKey) qualifiedName() []byte {
	return nameOf(append(binary.BigEndian.AppendUint32(nil, endorsementRoot), nameOf(k.bytes)...))
}

// nameOf returns the name of an object: the number of SHA-256, and that of its public area.
func nameOf(public []byte) []byte {
	sum := sha256.Sum256(public)
	return append([]byte{algSHA256 >> 8, algSHA256}, sum[:]...)
}
