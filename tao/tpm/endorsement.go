package tpm

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"sphinxmix.example/tao"
)

// Where a TPM's maker puts certificates (TCG EK Credential Profile, 2.2.1.4 and 2.2.1.5).
const (
	indexECC   tpm2.TPMHandle = 0x01c0000a // of the endorsement key on P-256
	indexRSA   tpm2.TPMHandle = 0x01c00002 // of the one of 2048 bits
	indexChain tpm2.TPMHandle = 0x01c00100 // of authorities between it and a root: from here on, up to
	lastChain  tpm2.TPMHandle = 0x01c001ff
)

// Endorsement returns the endorsement key and what certificates the TPM has for it: the key on P-256 if there is one
// for that, else the RSA key of 2048 bits if there is one for that, else the key on P-256 without any. A certificate
// that crypto/x509 cannot read, or that is of a key made from another template, counts as none. It stays the same until
// somebody changes the certificates or the endorsement seed.
//
// An RSA key takes a chip some seconds to make.
func (d *Device) Endorsement() (_ tao.Endorsement, err error) {
	defer d.begin("making the endorsement key", &err)()
	key, certificates, err := d.endorsementKey()
	if err != nil {
		return tao.Endorsement{}, err
	}
	defer d.flush(key.handle, &err)
	return tao.Endorsement{Public: key.public, Certificates: certificates}, nil
}

// maxCredentialSize is more than either part of a credential for a key of 4096 bits has, in bytes.
const maxCredentialSize = 1024

// Activate is TPM2_ActivateCredential with the endorsement key that Endorsement returns and the attestation key: it
// returns what somebody has encrypted for the one TPM that has both. The error wraps ErrForeign where this is not that
// one.
func (d *Device) Activate(credential, secret []byte) (_ []byte, err error) {
	defer d.begin("activating", &err)()
	if max(len(credential), len(secret)) > maxCredentialSize {
		return nil, ErrForeign
	}
	endorsement, _, err := d.endorsementKey()
	if err != nil {
		return nil, err
	}
	defer d.flush(endorsement.handle, &err)
	attestation, err := d.attestationKey()
	if err != nil {
		return nil, err
	}
	defer d.flush(attestation.handle, &err)

	// What the templates of endorsement keys ask for: the right to use the endorsement hierarchy.
	session, _, err := tpm2.PolicySession(&d.connection, tpm2.TPMAlgSHA256, 16)
	if err != nil {
		return nil, err
	}
	defer d.flush(session.Handle(), &err)
	_, err = tpm2.PolicySecret{
		AuthHandle:    tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Auth: tpm2.PasswordAuth(nil)},
		PolicySession: session.Handle(),
		NonceTPM:      session.NonceTPM(),
	}.Execute(&d.connection)
	if err != nil {
		return nil, err
	}
	activated, err := tpm2.ActivateCredential{
		ActivateHandle: attestation.use(),
		KeyHandle:      tpm2.AuthHandle{Handle: endorsement.handle, Name: endorsement.name, Auth: session},
		CredentialBlob: tpm2.TPM2BIDObject{Buffer: credential},
		Secret:         tpm2.TPM2BEncryptedSecret{Buffer: secret},
	}.Execute(&d.connection)
	if err != nil {
		return nil, foreign(err)
	}
	return activated.CertInfo.Buffer, nil
}

// foreign tells apart that the TPM does not like what it was given, by the error of a command that has nothing else to
// dislike.
func foreign(err error) error {
	var wrong tpm2.TPMFmt1Error
	given := false
	if errors.As(err, &wrong) {
		given, _ = wrong.Parameter()
	}
	// libtpms has a failure, as others have when their self-test fails, where RSA does not decrypt.
	if given || errors.Is(err, tpm2.TPMRCFailure) {
		return fmt.Errorf("%w: %v", ErrForeign, err)
	}
	return err
}

// endorsementKey makes the key that Endorsement returns. Whoever calls it flushes the handle.
func (d *Device) endorsementKey() (key *object, certificates [][]byte, err error) {
	for _, kind := range []struct {
		index    tpm2.TPMHandle
		template tpm2.TPMTPublic
	}{{indexECC, tpm2.ECCEKTemplate}, {indexRSA, tpm2.RSAEKTemplate}} {
		content, err := d.readIndex(kind.index)
		if err != nil {
			return nil, nil, err
		}
		certificates := splitCertificates(content)
		if len(certificates) == 0 {
			continue
		}
		key, err := d.primary(tpm2.TPMRHEndorsement, kind.template)
		if err != nil {
			return nil, nil, err
		}
		if certifies(certificates[0], key.public) {
			chain, err := d.chain()
			if err != nil {
				d.flush(key.handle, &err)
				return nil, nil, err
			}
			certificates = append(certificates[:1], chain...)
			return key, certificates[:min(len(certificates), tao.MaxCertificates)], nil
		}
		if d.flush(key.handle, &err); err != nil {
			return nil, nil, err
		}
	}
	key, err = d.primary(tpm2.TPMRHEndorsement, tpm2.ECCEKTemplate)
	return key, nil, err
}

// certifies reports whether a certificate is of a TPMT_PUBLIC's key.
func certifies(der, public []byte) bool {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return false
	}
	area, err := tpm2.Unmarshal[tpm2.TPMTPublic](public)
	if err != nil {
		return false
	}
	key, err := tpm2.Pub(*area)
	if err != nil {
		return false
	}
	certified, ok := certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && certified.Equal(key)
}

// splitCertificates returns the DER objects that stand one after the other at the start of b: some TPMs fill up the
// rest.
func splitCertificates(b []byte) (all [][]byte) {
	for len(b) > 0 {
		var one asn1.RawValue
		rest, err := asn1.Unmarshal(b, &one)
		if err != nil || one.Tag != asn1.TagSequence || one.Class != asn1.ClassUniversal {
			break
		}
		all, b = append(all, one.FullBytes), rest
	}
	return all
}

// chain returns the certificates of authorities that the TPM's maker has left in it.
func (d *Device) chain() ([][]byte, error) {
	got, err := tpm2.GetCapability{
		Capability: tpm2.TPMCapHandles, Property: uint32(indexChain), PropertyCount: tao.MaxCertificates,
	}.Execute(&d.connection)
	if err != nil {
		return nil, err
	}
	indexes, err := got.CapabilityData.Data.Handles()
	if err != nil {
		return nil, err
	}
	var content []byte // a certificate may go on in the next index
	for _, index := range indexes.Handle {
		if index > lastChain {
			break
		}
		part, err := d.readIndex(index)
		if err != nil {
			return nil, err
		}
		content = append(content, part...)
	}
	return splitCertificates(content), nil
}

// chunk is how much every TPM gives at once of what an index holds, in bytes.
const chunk = 256

// readIndex returns what the TPM's memory holds under an index, nil where there is nothing to be read without a
// password.
func (d *Device) readIndex(index tpm2.TPMHandle) ([]byte, error) {
	got, err := tpm2.NVReadPublic{NVIndex: index}.Execute(&d.connection)
	if errors.Is(err, tpm2.TPMRCHandle) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	public, err := got.NVPublic.Contents()
	if err != nil {
		return nil, err
	}
	reader := tpm2.AuthHandle{Handle: index, Name: got.NVName, Auth: tpm2.PasswordAuth(nil)}
	switch a := public.Attributes; {
	case !a.Written || a.ReadLocked || !a.AuthRead && !a.OwnerRead:
		return nil, nil
	case !a.AuthRead:
		reader = tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)}
	}
	content := make([]byte, 0, public.DataSize)
	for len(content) < int(public.DataSize) {
		read, err := tpm2.NVRead{
			AuthHandle: reader,
			NVIndex:    tpm2.NamedHandle{Handle: index, Name: got.NVName},
			Size:       min(public.DataSize-uint16(len(content)), chunk),
			Offset:     uint16(len(content)),
		}.Execute(&d.connection)
		if err != nil {
			return nil, err
		}
		if len(read.Data.Buffer) == 0 {
			return nil, fmt.Errorf("index %#x ends before its end", uint32(index))
		}
		content = append(content, read.Data.Buffer...)
	}
	return content, nil
}
