package swtpm

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-tpm/tpm2"

	"sphinxmix.example/tao/tpm"
)

// Factory stands for a maker of TPMs: an authority whose key is in memory, and that certifies what it is given.
type Factory struct {
	key   *ecdsa.PrivateKey
	root  *x509.Certificate
	start time.Time // of certificates
}

const validity = 20 * 365 * 24 * time.Hour

// NewFactory returns one with a new key, whose certificates are good from an hour before now on, for about 20 years.
func NewFactory(now time.Time) (*Factory, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	f := &Factory{key: key, start: now.Add(-time.Hour)}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Factory of software TPMs, which prove nothing"},
		NotBefore:             f.start,
		NotAfter:              f.start.Add(validity),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	f.root, err = x509.ParseCertificate(der)
	return f, err
}

// Root returns the factory's own certificate.
func (f *Factory) Root() *x509.Certificate { return f.root }

// Where a TPM's maker puts the certificate of an endorsement key (TCG EK Credential Profile, 2.2.1.4).
const (
	indexECC tpm2.TPMHandle = 0x01c0000a
	indexRSA tpm2.TPMHandle = 0x01c00002
)

// Certify puts a certificate of the endorsement key on P-256 into a TPM whose platform hierarchy has no password, as is
// so until firmware sets one. One that is there gives way.
func (f *Factory) Certify(d *tpm.Device) error {
	return f.certify(d, tpm2.ECCEKTemplate, indexECC, x509.KeyUsageKeyAgreement)
}

// CertifyRSA does the same for the RSA key of 2048 bits, which takes some 100 ms to make.
func (f *Factory) CertifyRSA(d *tpm.Device) error {
	return f.certify(d, tpm2.RSAEKTemplate, indexRSA, x509.KeyUsageKeyEncipherment)
}

func (f *Factory) certify(d *tpm.Device, template tpm2.TPMTPublic, index tpm2.TPMHandle, usage x509.KeyUsage) error {
	key, err := endorsementKey(d, template)
	if err != nil {
		return fmt.Errorf("swtpm: making the endorsement key: %w", err)
	}
	certificate, err := f.issue(key, usage)
	if err != nil {
		return fmt.Errorf("swtpm: %w", err)
	}
	if err := write(d, index, certificate); err != nil {
		return fmt.Errorf("swtpm: writing the certificate: %w", err)
	}
	return nil
}

func endorsementKey(d *tpm.Device, template tpm2.TPMTPublic) (any, error) {
	made, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(template)}.Execute(d)
	if err != nil {
		return nil, err
	}
	if _, err := (tpm2.FlushContext{FlushHandle: made.ObjectHandle}).Execute(d); err != nil {
		return nil, err
	}
	public, err := made.OutPublic.Contents()
	if err != nil {
		return nil, err
	}
	return tpm2.Pub(*public)
}

// The names of the TCG (TCG EK Credential Profile, 3.1.2 and 3.2.16).
var (
	oidManufacturer = asn1.ObjectIdentifier{2, 23, 133, 2, 1}
	oidModel        = asn1.ObjectIdentifier{2, 23, 133, 2, 2}
	oidVersion      = asn1.ObjectIdentifier{2, 23, 133, 2, 3}
	oidEndorsement  = asn1.ObjectIdentifier{2, 23, 133, 8, 1}

	oidAlternativeName = asn1.ObjectIdentifier{2, 5, 29, 17}
)

// issue returns the certificate of an endorsement key as the profile wants it: it has no subject, and says what it is
// about in an alternative name, which is critical for that and of a kind that crypto/x509 does not know.
func (f *Factory) issue(key any, usage x509.KeyUsage) ([]byte, error) {
	name, err := asn1.Marshal(pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
		{Type: oidManufacturer, Value: "id:00001014"}, // IBM, which wrote it
		{Type: oidModel, Value: "swtpm"},
		{Type: oidVersion, Value: "id:20191023"},
	}}.ToRDNSequence())
	if err != nil {
		return nil, err
	}
	const directoryName = 4 // of GeneralName (RFC 5280, 4.2.1.6)
	alternative, err := asn1.Marshal([]asn1.RawValue{
		{Class: asn1.ClassContextSpecific, Tag: directoryName, IsCompound: true, Bytes: name},
	})
	if err != nil {
		return nil, err
	}
	return x509.CreateCertificate(rand.Reader, &x509.Certificate{
		NotBefore:             f.start,
		NotAfter:              f.start.Add(validity),
		KeyUsage:              usage,
		BasicConstraintsValid: true,
		UnknownExtKeyUsage:    []asn1.ObjectIdentifier{oidEndorsement},
		ExtraExtensions:       []pkix.Extension{{Id: oidAlternativeName, Critical: true, Value: alternative}},
	}, f.root, key, f.key)
}

// chunk is how much is written at once, in bytes.
const chunk = 512

// write puts content into the TPM under an index that everybody can read and nobody but the maker can write.
func write(d *tpm.Device, index tpm2.TPMHandle, content []byte) error {
	old, err := tpm2.NVReadPublic{NVIndex: index}.Execute(d)
	if err == nil {
		_, err = tpm2.NVUndefineSpace{
			AuthHandle: tpm2.TPMRHPlatform,
			NVIndex:    tpm2.NamedHandle{Handle: index, Name: old.NVName},
		}.Execute(d)
	}
	if err != nil && !errors.Is(err, tpm2.TPMRCHandle) {
		return err
	}
	_, err = tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHPlatform, PublicInfo: tpm2.New2B(tpm2.TPMSNVPublic{
		NVIndex: index,
		NameAlg: tpm2.TPMAlgSHA256,
		Attributes: tpm2.TPMANV{
			PPWrite: true, PPRead: true, OwnerRead: true, AuthRead: true, NoDA: true, PlatformCreate: true,
		},
		DataSize: uint16(len(content)),
	})}.Execute(d)
	for offset := 0; offset < len(content) && err == nil; {
		var now *tpm2.NVReadPublicResponse // the first write changes the name
		if now, err = (tpm2.NVReadPublic{NVIndex: index}).Execute(d); err != nil {
			break
		}
		part := content[offset:min(offset+chunk, len(content))]
		_, err = tpm2.NVWrite{
			AuthHandle: tpm2.TPMRHPlatform,
			NVIndex:    tpm2.NamedHandle{Handle: index, Name: now.NVName},
			Data:       tpm2.TPM2BMaxNVBuffer{Buffer: part},
			Offset:     uint16(offset),
		}.Execute(d)
		offset += len(part)
	}
	return err
}
