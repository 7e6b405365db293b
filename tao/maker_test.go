package tao_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// maker is a maker of TPMs that certifies whatever a test wants.
type maker struct {
	key  *ecdsa.PrivateKey
	root *x509.Certificate
}

func ecKey(n byte) *ecdsa.PrivateKey {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{n}, 32))
	if err != nil {
		panic(err)
	}
	return key
}

func newMaker(t testing.TB, n byte) *maker {
	t.Helper()
	m := &maker{key: ecKey(n)}
	own := authority("a maker of TPMs")
	m.root = own
	der, err := x509.CreateCertificate(rand.Reader, own, own, m.key.Public(), m.key)
	require.NoError(t, err)
	m.root, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	return m
}

func authority(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: start.Add(-day), NotAfter: start.Add(1000 * day),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
}

// below returns an authority between the maker and its TPMs, and its certificate.
func (m *maker) below(t testing.TB, n byte, edit func(*x509.Certificate)) (*maker, []byte) {
	t.Helper()
	own := authority("a factory of that maker")
	if edit != nil {
		edit(own)
	}
	lower := &maker{key: ecKey(n)}
	der, err := x509.CreateCertificate(rand.Reader, own, m.root, lower.key.Public(), m.key)
	require.NoError(t, err)
	lower.root, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	return lower, der
}

// The names of certificates of endorsement keys (TCG EK Credential Profile, 3.2).
var (
	endorsementUse  = asn1.ObjectIdentifier{2, 23, 133, 8, 1}
	alternativeName = asn1.ObjectIdentifier{2, 5, 29, 17}
)

// certify returns the certificate of a key as that of an endorsement key.
func (m *maker) certify(t testing.TB, key any, edit func(*x509.Certificate)) []byte {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: start.Add(-day), NotAfter: start.Add(100 * day), KeyUsage: x509.KeyUsageKeyAgreement,
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{endorsementUse},
		// The name of a TPM is of a kind that crypto/x509 does not know, and stands in a critical extension.
		ExtraExtensions: []pkix.Extension{{Id: alternativeName, Critical: true, Value: []byte{0x30, 0x04, 0xa4, 0x02, 0x30, 0x00}}},
	}
	if edit != nil {
		edit(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, m.root, key, m.key)
	require.NoError(t, err)
	return der
}

// endorsementArea returns the public area of an endorsement key whose private half the test has.
func endorsementArea(n byte) tpm2.TPMTPublic {
	key := ecKey(n)
	area := tpm2.ECCEKTemplate
	area.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
		X: tpm2.TPM2BECCParameter{Buffer: key.X.FillBytes(make([]byte, 32))},
		Y: tpm2.TPM2BECCParameter{Buffer: key.Y.FillBytes(make([]byte, 32))},
	})
	return area
}

// endorsed returns an endorsement key that the maker has certified.
func (m *maker) endorsed(t testing.TB, n byte) tao.Endorsement {
	t.Helper()
	area := endorsementArea(n)
	return tao.Endorsement{Public: tpm2.Marshal(area), Certificates: [][]byte{m.certify(t, ecKey(n).Public(), nil)}}
}

// noRandomness is what nothing may be encrypted with.
type noRandomness struct{}

func (noRandomness) Read([]byte) (int, error) { return 0, errors.New("there is no randomness") }

// granted is for how long records are good in these tests.
func granted() tao.Terms {
	return tao.Terms{Roles: tao.RolesOf(tao.Mix), Issued: start, Expires: start.Add(30 * day).Truncate(time.Second)}
}
