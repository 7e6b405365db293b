package tao

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
	"golang.org/x/crypto/cryptobyte"
)

// Request is what a node asks to be enrolled with. Its quote shows that whoever has the attestation key wants this
// node to be known by it.
type Request struct {
	Identity    ed25519.PublicKey
	Kind        Kind
	Key         []byte // the attestation key: see [Attestor]
	Endorsement Endorsement
	Roles       Roles
	Registers   []Register // that the quote is over, which show what the machine is like: for people
	Quote       Quote
	Clock       Clock // of the quote; no part of what is sent
}

// Endorsement is what a TPM's maker has given it to be known by. It is zero for a soft attestor.
type Endorsement struct {
	Public       []byte   // TPMT_PUBLIC of the endorsement key
	Certificates [][]byte // DER: that of the key, and of authorities between it and a root; none if it has none
}

// The limits of a Request.
const (
	MaxRequestSize  = 16 << 10 // bytes
	MaxCertificates = 4
)

const (
	requestContext = "sphinxmix enrolment request v1\x00"
	requestQuote   = "sphinxmix enrolment request quote v1\x00"
)

// NewRequest returns a request as ParseRequest reads it, signed by the identity, with a quote of the registers that are
// given in ascending order.
func NewRequest(identity ed25519.PrivateKey, a Attestor, e Endorsement, roles Roles, registers []uint8) ([]byte, error) {
	r := &Request{Identity: identity.Public().(ed25519.PublicKey), Kind: a.Kind(), Key: a.Key(), Endorsement: e, Roles: roles}
	var err error
	if r.Quote, r.Registers, err = quote(a, r.quoted(), registers); err != nil {
		return nil, err
	}
	body, err := r.encode()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return sign(identity, requestContext, body), nil
}

// quoted returns what the quote of a request is over: all that it asks for.
func (r *Request) quoted() [32]byte {
	b := cryptobyte.NewBuilder(nil)
	r.addWish(b)
	return hash(requestQuote, b.BytesOrPanic())
}

func (r *Request) addWish(b *cryptobyte.Builder) {
	b.AddBytes(r.Identity)
	b.AddUint8(uint8(r.Kind))
	b.AddUint8(uint8(r.Roles))
	addBytes(b, r.Key)
	addBytes(b, r.Endorsement.Public)
}

func (r *Request) encode() ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	r.addWish(b)
	addList(b, r.Endorsement.Certificates, addBytes)
	addList(b, r.Registers, addRegister)
	addBytes(b, r.Quote.Statement)
	addBytes(b, r.Quote.Signature)
	return b.Bytes()
}

// ParseRequest returns the request in signed, of which it keeps no part, after it has checked that the identity signed
// it, that the attestation key is one, and that it quoted this request. Whether the TPM is one is for [Grant]. The
// error wraps ErrRequest.
func ParseRequest(signed []byte) (*Request, error) {
	if len(signed) < ed25519.SignatureSize+ed25519.PublicKeySize || len(signed) > MaxRequestSize {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrRequest, len(signed))
	}
	r, err := decodeRequest(bytes.Clone(signed[ed25519.SignatureSize:]))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if !verify(r.Identity, requestContext, signed) {
		return nil, fmt.Errorf("%w: it is not signed by the node's identity", ErrRequest)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return r, nil
}

func decodeRequest(body []byte) (*Request, error) {
	var (
		r                                 = &Request{Identity: make(ed25519.PublicKey, ed25519.PublicKeySize)}
		s                                 = cryptobyte.String(body)
		key, public, statement, signature cryptobyte.String
	)
	if !s.CopyBytes(r.Identity) || !s.ReadUint8((*uint8)(&r.Kind)) || !s.ReadUint8((*uint8)(&r.Roles)) ||
		!s.ReadUint16LengthPrefixed(&key) || !s.ReadUint16LengthPrefixed(&public) ||
		!readList(&s, &r.Endorsement.Certificates, readBytes) || !readList(&s, &r.Registers, readRegister) ||
		!s.ReadUint16LengthPrefixed(&statement) || !s.ReadUint16LengthPrefixed(&signature) || !s.Empty() {
		return nil, errors.New("its fields are not as long as it is")
	}
	r.Key, r.Endorsement.Public, r.Quote = key, public, Quote{statement, signature}
	return r, nil
}

// check says what is wrong with a request, but for its endorsement.
func (r *Request) check() error {
	switch {
	case !r.Kind.valid():
		return fmt.Errorf("there is no attestor of %v", r.Kind)
	case !r.Roles.valid():
		return errors.New("it asks for no role")
	case len(r.Endorsement.Certificates) > MaxCertificates:
		return fmt.Errorf("it has more than %d certificates", MaxCertificates)
	case r.Kind == Soft && (len(r.Endorsement.Public) > 0 || len(r.Endorsement.Certificates) > 0):
		return errors.New("a soft attestor has no endorsement key")
	}
	key, err := parseKey(r.Kind, r.Key)
	if err != nil {
		return err
	}
	if _, err := key.describe(); err != nil {
		return err
	}
	said, err := key.read(r.Quote.Statement)
	if err != nil {
		return err
	}
	r.Clock = said.clock
	indexes := make([]uint8, len(r.Registers))
	for i, register := range r.Registers {
		indexes[i] = register.Index
	}
	switch {
	case !key.verify(&r.Quote):
		return ErrSignature
	case said.wrong != nil:
		return said.wrong
	case !ascending(indexes, cmp.Compare[uint8]) || !said.covers(indexes):
		return ErrSelection
	case digestOf(r.Registers) != said.registers:
		return ErrDigest
	case said.qualifying != r.quoted():
		return ErrClaim
	}
	return nil
}

// EndorsementHash stands for an endorsement key, a TPMT_PUBLIC, in records and policies: the SHA-256 of the key alone
// (SubjectPublicKeyInfo, DER), so that one key has one, whatever is written around it.
func EndorsementHash(public []byte) ([32]byte, error) {
	key, err := endorsementKey(public)
	if err != nil {
		return [32]byte{}, err
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return [32]byte{}, err
	}
	return sha256.Sum256(der), nil
}

func endorsementKey(public []byte) (crypto.PublicKey, error) {
	parsed, err := unmarshal[tpm2.TPMTPublic](public)
	if err != nil {
		return nil, fmt.Errorf("its endorsement key: %w", err)
	}
	if !isTemplate(*parsed, tpm2.ECCEKTemplate) && !isTemplate(*parsed, tpm2.RSAEKTemplate) {
		return nil, errors.New("its endorsement key is not one of those that all TPMs have (TCG EK Credential Profile, templates L-1 and L-2)")
	}
	key, err := tpm2.Pub(*parsed)
	if err != nil {
		return nil, fmt.Errorf("its endorsement key: %w", err)
	}
	return key, nil
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

// isTemplate reports whether a key was made by a template. All of it counts: how a credential is encrypted for a key
// stands beside the key, where whoever asks to be enrolled could have written that it is not encrypted at all.
func isTemplate(key, template tpm2.TPMTPublic) bool {
	if key.Type != template.Type {
		return false
	}
	key.Unique = template.Unique
	return bytes.Equal(tpm2.Marshal(key), tpm2.Marshal(template))
}

func addRegister(b *cryptobyte.Builder, r Register) {
	b.AddUint8(r.Index)
	b.AddBytes(r.Value[:])
}

func readRegister(s *cryptobyte.String, r *Register) bool {
	return s.ReadUint8(&r.Index) && r.Index <= LastRegister && s.CopyBytes(r.Value[:])
}

func readBytes(s *cryptobyte.String, b *[]byte) bool {
	return s.ReadUint16LengthPrefixed((*cryptobyte.String)(b))
}
