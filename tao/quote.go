package tao

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/google/go-tpm/tpm2"
)

// said is what a quote's statement says, whoever has signed it.
type said struct {
	qualifying [32]byte
	selection  []byte   // the registers, as selectionOf writes them, where they are of the SHA-256 bank alone
	registers  [32]byte // digest of their values
	clock      Clock

	origin string // who can have made the statement, for people
	wrong  error  // why nobody should believe that; wraps ErrMagic, ErrType or ErrSigner
}

// attestationKey is the public half of an attestor's key.
type attestationKey interface {
	// describe returns what the key is, or an error that wraps ErrKey where it may sign what its TPM did not make.
	describe() (string, error)
	// verify reports whether the key signed the quote.
	verify(*Quote) bool
	// read takes a statement apart. The error wraps ErrEvidence.
	read(statement []byte) (*said, error)
}

// parseKey returns the attestation key of an attestor of that kind. The error wraps ErrRecord.
func parseKey(kind Kind, key []byte) (attestationKey, error) {
	if kind == Soft {
		if len(key) != ed25519.PublicKeySize || lowOrder(key) {
			return nil, fmt.Errorf("%w: its attestation key is no Ed25519 key", ErrRecord)
		}
		return softKey(key), nil
	}
	public, err := unmarshal[tpm2.TPMTPublic](key)
	if err != nil {
		return nil, fmt.Errorf("%w: its attestation key: %w", ErrRecord, err)
	}
	return &tpmKey{public, key}, nil
}

// unmarshal reads a TPM structure that takes up the whole of b, and of which there is no other way to write it.
func unmarshal[T tpm2.Marshallable, P interface {
	*T
	tpm2.Unmarshallable
}](b []byte) (*T, error) {
	value, err := tpm2.Unmarshal[T, P](b)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(tpm2.Marshal(*value), b) {
		return nil, fmt.Errorf("it is not written as a TPM writes it")
	}
	return value, nil
}

type softKey ed25519.PublicKey

func (k softKey) describe() (string, error) { return "a key in a program's memory", nil }

func (k softKey) verify(q *Quote) bool {
	return ed25519.Verify(ed25519.PublicKey(k), q.Statement, q.Signature)
}

func (k softKey) read(statement []byte) (*said, error) {
	rest, ok := bytes.CutPrefix(statement, []byte(softContext))
	if !ok || len(rest) < 32 || (len(rest)-32)%33 != 0 {
		return nil, fmt.Errorf("%w: it has no statement of a soft attestor", ErrEvidence)
	}
	s := &said{qualifying: [32]byte(rest), origin: "a program, which can say anything"}
	var registers []Register
	var indexes []uint8
	for rest = rest[32:]; len(rest) > 0; rest = rest[33:] {
		registers = append(registers, Register{rest[0], [32]byte(rest[1:])})
		indexes = append(indexes, rest[0])
	}
	s.selection, s.registers = selectionOf(indexes), digestOf(registers)
	return s, nil
}

// tpmKey is a key in a TPM, or one that claims to be.
type tpmKey struct {
	public *tpm2.TPMTPublic
	bytes  []byte
}

// CheckAttestationKey says what keeps a TPMT_PUBLIC from being an attestation key. It must be made by its TPM and never leave
// it, and be restricted: others sign whatever they are given, a quote that no TPM has made among them. ECDSA over P-256 with
// SHA-256 is the one kind. The error wraps ErrKey.
func CheckAttestationKey(public []byte) error {
	key, err := parseKey(TPM, public)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	_, err = key.describe()
	return err
}

func (k *tpmKey) describe() (string, error) {
	switch a := k.public.ObjectAttributes; {
	case !a.Restricted:
		return "", fmt.Errorf("%w: it is not restricted", ErrKey)
	case !a.SignEncrypt || a.Decrypt:
		return "", fmt.Errorf("%w: it is not for signing alone", ErrKey)
	case !a.FixedTPM || !a.FixedParent || !a.SensitiveDataOrigin:
		return "", fmt.Errorf("%w: it may be in other places than one TPM", ErrKey)
	}
	if _, err := k.ecdsa(); err != nil {
		return "", fmt.Errorf("%w: %w", ErrKey, err)
	}
	return "restricted, in one TPM, ECDSA over P-256", nil
}

// ecdsa returns the key where it is one of ECDSA over P-256 with SHA-256.
func (k *tpmKey) ecdsa() (*ecdsa.PublicKey, error) {
	wrong := fmt.Errorf("it is not one of ECDSA over P-256 with SHA-256")
	if k.public.Type != tpm2.TPMAlgECC || k.public.NameAlg != tpm2.TPMAlgSHA256 {
		return nil, wrong
	}
	parameters, err := k.public.Parameters.ECCDetail()
	if err != nil || parameters.CurveID != tpm2.TPMECCNistP256 || parameters.Scheme.Scheme != tpm2.TPMAlgECDSA {
		return nil, wrong
	}
	scheme, err := parameters.Scheme.Details.ECDSA()
	if err != nil || scheme.HashAlg != tpm2.TPMAlgSHA256 {
		return nil, wrong
	}
	point, err := k.public.Unique.ECC()
	if err != nil || len(point.X.Buffer) > 32 || len(point.Y.Buffer) > 32 {
		return nil, wrong
	}
	uncompressed := make([]byte, 65)
	uncompressed[0] = 4
	new(big.Int).SetBytes(point.X.Buffer).FillBytes(uncompressed[1:33])
	new(big.Int).SetBytes(point.Y.Buffer).FillBytes(uncompressed[33:])
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), uncompressed)
	if err != nil {
		return nil, fmt.Errorf("it is no point of P-256")
	}
	return public, nil
}

func (k *tpmKey) verify(q *Quote) bool {
	public, err := k.ecdsa()
	if err != nil {
		return false
	}
	signature, err := unmarshal[tpm2.TPMTSignature](q.Signature)
	if err != nil || signature.SigAlg != tpm2.TPMAlgECDSA {
		return false
	}
	ec, err := signature.Signature.ECDSA()
	if err != nil || ec.Hash != tpm2.TPMAlgSHA256 {
		return false
	}
	digest := sha256.Sum256(q.Statement)
	return ecdsa.Verify(public, digest[:],
		new(big.Int).SetBytes(ec.SignatureR.Buffer), new(big.Int).SetBytes(ec.SignatureS.Buffer))
}

// read takes a TPMS_ATTEST apart (TPM 2.0 Library, part 2, 10.12.8).
func (k *tpmKey) read(statement []byte) (*said, error) {
	attest, err := unmarshal[tpm2.TPMSAttest](statement)
	if err != nil {
		return nil, fmt.Errorf("%w: its statement: %w", ErrEvidence, err)
	}
	s := &said{origin: "made by a TPM, with a key of its endorsement hierarchy", clock: Clock{
		attest.ClockInfo.Clock, attest.ClockInfo.ResetCount, attest.ClockInfo.RestartCount, bool(attest.ClockInfo.Safe),
	}}
	if attest.Magic.Check() != nil {
		s.wrong = ErrMagic
		return s, nil
	}
	quote, err := attest.Attested.Quote()
	if attest.Type != tpm2.TPMSTAttestQuote || err != nil {
		s.wrong = fmt.Errorf("%w: it is of type %#x", ErrType, uint16(attest.Type))
		return s, nil
	}
	if !bytes.Equal(attest.QualifiedSigner.Buffer, k.qualifiedName()) {
		s.wrong = ErrSigner
	}
	// What has another length matches nothing that is compared with it.
	if len(attest.ExtraData.Buffer) == 32 {
		s.qualifying = [32]byte(attest.ExtraData.Buffer)
	}
	if len(quote.PCRDigest.Buffer) == 32 {
		s.registers = [32]byte(quote.PCRDigest.Buffer)
	}
	s.selection = tpm2.Marshal(quote.PCRSelect)
	return s, nil
}

// qualifiedName returns the name that ties the key to the endorsement hierarchy, of which it is a primary key (part 1,
// 16): SHA-256(handle of the hierarchy ‖ name), with the number of SHA-256 before it.
func (k *tpmKey) qualifiedName() []byte {
	name := append([]byte{0, 0x0b}, hashOf(k.bytes)...)
	b := binary.BigEndian.AppendUint32(nil, uint32(tpm2.TPMRHEndorsement))
	return append([]byte{0, 0x0b}, hashOf(append(b, name...))...)
}

func hashOf(b []byte) []byte {
	h := sha256.Sum256(b)
	return h[:]
}

// selectionOf returns a TPML_PCR_SELECTION of registers of the SHA-256 bank alone: count(4) = 1 ‖ bank(2) ‖ size(1) = 3 ‖ a bit
// for each register.
func selectionOf(registers []uint8) []byte {
	b := []byte{0, 0, 0, 1, 0, 0x0b, 3, 0, 0, 0}
	for _, r := range registers {
		if r <= lastRegister {
			b[7+r/8] |= 1 << (r % 8)
		}
	}
	return b
}
