package tao

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/go-tpm/tpm2"
	"golang.org/x/crypto/cryptobyte"
)

// Roots are who vouches for TPMs.
type Roots struct {
	Authorities  []*x509.Certificate // of TPMs' makers
	Endorsements [][32]byte          // EndorsementHash of TPMs that are known one by one, as many have no certificate
}

// Terms are what a node is enrolled for.
type Terms struct {
	Roles           Roles
	Issued, Expires time.Time
}

// Grant returns a grant of a request, which the record in it becomes of use by: [OpenGrant] gets it out with the help
// of the one TPM that has both the endorsement key and the attestation key (TPM 2.0 Library, part 1, 24: credential
// protection). It reads secrets from rand, which must be good. The error wraps ErrRequest, and ErrRoot where nobody
// vouches for the TPM, or ErrRole where the request does not ask for a role.
//
// Whoever calls it makes sure that no other node has this endorsement key.
func Grant(rand io.Reader, r *Request, signer ed25519.PrivateKey, roots Roots, terms Terms) (grant []byte, record *Record, err error) {
	record = &Record{
		Identity: r.Identity, Kind: r.Kind, Key: r.Key, Resets: r.Clock.Resets,
		Roles: terms.Roles, Issued: terms.Issued, Expires: terms.Expires,
		Signer: signer.Public().(ed25519.PublicKey),
	}
	if terms.Roles&^r.Roles != 0 {
		return nil, nil, fmt.Errorf("%w: %w: it asks to be: %v", ErrRequest, ErrRole, r.Roles)
	}
	if r.Kind != Soft {
		if record.Endorsement, err = EndorsementHash(r.Endorsement.Public); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrRequest, err)
		}
		if record.Root, err = roots.vouch(record.Endorsement, r.Endorsement, terms.Issued); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrRequest, err)
		}
	}
	signed, err := record.Sign(signer)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(uint8(r.Kind))
	if r.Kind == Soft {
		addBytes(b, signed)
	} else if err := seal(b, rand, r, signed); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	grant, err = b.Bytes()
	return grant, record, err
}

// seal adds a signed record, for the TPM of a request alone.
func seal(b *cryptobyte.Builder, rand io.Reader, r *Request, signed []byte) error {
	public, err := unmarshal[tpm2.TPMTPublic](r.Endorsement.Public)
	if err != nil {
		return err
	}
	to, err := tpm2.ImportEncapsulationKey(public)
	if err != nil {
		return err
	}
	key := make([]byte, 32)
	defer clear(key)
	if _, err := io.ReadFull(rand, key); err != nil {
		return err
	}
	credential, secret, err := tpm2.CreateCredential(rand, to, nameOf(r.Key), key)
	if err != nil {
		return err
	}
	box, err := boxOf(key)
	if err != nil {
		return err
	}
	addBytes(b, credential)
	addBytes(b, secret)
	addBytes(b, box.Seal(nil, make([]byte, box.NonceSize()), signed, nil)) // the key is used once
	return nil
}

func boxOf(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// OpenGrant returns the signed record of a grant. activate is TPM2_ActivateCredential with the endorsement key and the
// attestation key of the machine; it is not called for a soft attestor. The error wraps ErrRequest, or is that of
// activate.
func OpenGrant(grant []byte, activate func(credential, secret []byte) (key []byte, err error)) (record []byte, err error) {
	var (
		s                              = cryptobyte.String(grant)
		kind                           Kind
		credential, secret, box, plain cryptobyte.String
		malformed                      = fmt.Errorf("%w: the grant is malformed", ErrRequest)
	)
	if len(grant) > MaxRequestSize || !s.ReadUint8((*uint8)(&kind)) || !kind.valid() {
		return nil, malformed
	}
	if kind == Soft {
		if !s.ReadUint16LengthPrefixed(&plain) || !s.Empty() {
			return nil, malformed
		}
		record = bytes.Clone(plain)
	} else {
		if !s.ReadUint16LengthPrefixed(&credential) || !s.ReadUint16LengthPrefixed(&secret) || !s.ReadUint16LengthPrefixed(&box) || !s.Empty() {
			return nil, malformed
		}
		key, err := activate(credential, secret)
		if err != nil {
			return nil, fmt.Errorf("tao: this machine's TPM does not open the grant, was it made for another? %w", err)
		}
		defer clear(key)
		aead, err := boxOf(key)
		if err != nil {
			return nil, malformed
		}
		if record, err = aead.Open(nil, make([]byte, aead.NonceSize()), box, nil); err != nil {
			return nil, malformed
		}
	}
	if _, err := ParseRecord(record); err != nil {
		return nil, err
	}
	return record, nil
}

// oidEndorsement is the purpose of certificates of endorsement keys (TCG EK Credential Profile, 3.2.16).
var oidEndorsement = asn1.ObjectIdentifier{2, 23, 133, 8, 1}

// oidAlternativeName is where they name the TPM, in a way that crypto/x509 does not know, and critically so.
var oidAlternativeName = asn1.ObjectIdentifier{2, 5, 29, 17}

// vouch returns the root that vouches for an endorsement key at a time: its own hash, or that of an authority's
// certificate. The error wraps ErrRoot.
func (ro *Roots) vouch(hash [32]byte, e Endorsement, now time.Time) ([32]byte, error) {
	if slices.Contains(ro.Endorsements, hash) {
		return hash, nil
	}
	refuse := func(why string) ([32]byte, error) { return [32]byte{}, fmt.Errorf("%w: %x: %s", ErrRoot, hash, why) }
	if len(e.Certificates) == 0 {
		return refuse("it has no certificate: allow it by its hash")
	}
	var chain []*x509.Certificate
	for _, der := range e.Certificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return refuse("its certificate cannot be read: " + err.Error())
		}
		chain = append(chain, c)
	}
	leaf := chain[0]
	certified, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if key, err := endorsementKey(e.Public); err != nil || !ok || !certified.Equal(key) {
		return refuse("its certificate is of another key")
	}
	if leaf.IsCA || !slices.ContainsFunc(leaf.UnknownExtKeyUsage, oidEndorsement.Equal) {
		return refuse("its certificate is not one of an endorsement key")
	}
	leaf.UnhandledCriticalExtensions = slices.DeleteFunc(leaf.UnhandledCriticalExtensions, oidAlternativeName.Equal)
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range ro.Authorities {
		roots.AddCert(c)
	}
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return refuse("its certificate is of an authority that is no root: " + leaf.Issuer.String())
	case err != nil:
		return refuse(err.Error())
	}
	for _, chain := range chains {
		between := chain[1:max(1, len(chain)-1)] // a certificate may be a root itself
		if !slices.ContainsFunc(between, func(c *x509.Certificate) bool { return !certifiesTPMs(c) }) {
			return sha256.Sum256(chain[len(chain)-1].Raw), nil
		}
	}
	return refuse("an authority between its certificate and a root may not certify endorsement keys")
}

// certifiesTPMs reports whether an authority below a root may certify endorsement keys: it may where nothing limits
// what it certifies.
func certifiesTPMs(c *x509.Certificate) bool {
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny) ||
		slices.ContainsFunc(c.UnknownExtKeyUsage, oidEndorsement.Equal)
}
