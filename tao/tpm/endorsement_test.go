package tpm_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao/swtpm"
	"sphinxmix.example/tao/tpm"
)

func newFactory(t testing.TB) *swtpm.Factory {
	t.Helper()
	factory, err := swtpm.NewFactory(time.Now())
	require.NoError(t, err)
	return factory
}

// credential is what credentials of these tests say.
var credential = []byte("for the TPM that has both keys..")

// credentialFor encrypts credential for the TPM that has an endorsement key and an attestation key.
func credentialFor(t testing.TB, endorsed *tpm.Device, key []byte) (blob, secret []byte) {
	t.Helper()
	endorsement, err := endorsed.Endorsement()
	require.NoError(t, err)
	public, err := tpm2.Unmarshal[tpm2.TPMTPublic](endorsement.Public)
	require.NoError(t, err)
	to, err := tpm2.ImportEncapsulationKey(public)
	require.NoError(t, err)
	hash := sha256.Sum256(key)
	blob, secret, err = tpm2.CreateCredential(rand.Reader, to, append([]byte{0, byte(tpm2.TPMAlgSHA256)}, hash[:]...), credential)
	require.NoError(t, err)
	return blob, secret
}

// TestActivate: only the TPM that has both keys, the endorsement key and the attestation key, opens a credential.
func TestActivate(t *testing.T) {
	factory := newFactory(t)
	for name, certify := range map[string]func(*tpm.Device) error{
		"without certificate": func(*tpm.Device) error { return nil },
		"P-256":               factory.Certify,
		"RSA":                 factory.CertifyRSA,
	} {
		t.Run(name, func(t *testing.T) {
			device, other := start(t).Device(), start(t).Device()
			require.NoError(t, certify(device))
			require.NoError(t, certify(other))
			key := attestor(t, device).Key()
			blob, secret := credentialFor(t, device, key)
			opened, err := device.Activate(blob, secret)
			require.NoError(t, err)
			require.Equal(t, credential, opened)

			_, err = other.Activate(blob, secret)
			require.ErrorIs(t, err, tpm.ErrForeign)
			_, err = device.Activate(credentialFor(t, device, attestor(t, other).Key()))
			require.ErrorIs(t, err, tpm.ErrForeign, "for the endorsement key here and the attestation key there")
			_, err = device.Activate(credentialFor(t, other, key))
			require.ErrorIs(t, err, tpm.ErrForeign, "for the attestation key here and the endorsement key there")
		})
	}
}

// TestActivateDamaged: whatever stands in a credential, it is either the right one or refused.
func TestActivateDamaged(t *testing.T) {
	device := start(t).Device()
	blob, secret := credentialFor(t, device, attestor(t, device).Key())
	refused := func(blob, secret []byte) {
		t.Helper()
		_, err := device.Activate(blob, secret)
		require.ErrorIs(t, err, tpm.ErrForeign)
	}
	for i := range blob {
		refused(blob[:i], secret)
		refused(flipped(blob, i), secret)
	}
	for i := range secret {
		refused(blob, secret[:i])
		refused(blob, flipped(secret, i))
	}
	refused(append(slices.Clone(blob), 0), secret)
	refused(make([]byte, 4000), secret)
	refused(blob, make([]byte, 70000))
}

func flipped(b []byte, i int) []byte {
	b = slices.Clone(b)
	b[i] ^= 1
	return b
}

const (
	indexECC   = tpm2.TPMHandle(0x01c0000a)
	indexRSA   = tpm2.TPMHandle(0x01c00002)
	indexChain = tpm2.TPMHandle(0x01c00100)
)

var everybody = tpm2.TPMANV{PPWrite: true, AuthRead: true, OwnerRead: true, NoDA: true, PlatformCreate: true}

// put writes content into the TPM, as its maker.
func put(t testing.TB, d *tpm.Device, index tpm2.TPMHandle, attributes tpm2.TPMANV, content []byte) {
	t.Helper()
	_, err := tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHPlatform, PublicInfo: tpm2.New2B(tpm2.TPMSNVPublic{
		NVIndex: index, NameAlg: tpm2.TPMAlgSHA256, Attributes: attributes, DataSize: uint16(len(content)),
	})}.Execute(d)
	require.NoError(t, err)
	for offset := 0; offset < len(content); offset += 500 {
		public, err := tpm2.NVReadPublic{NVIndex: index}.Execute(d)
		require.NoError(t, err)
		_, err = tpm2.NVWrite{
			AuthHandle: tpm2.TPMRHPlatform,
			NVIndex:    tpm2.NamedHandle{Handle: index, Name: public.NVName},
			Data:       tpm2.TPM2BMaxNVBuffer{Buffer: content[offset:min(offset+500, len(content))]},
			Offset:     uint16(offset),
		}.Execute(d)
		require.NoError(t, err)
	}
}

// remove takes it away again.
func remove(t testing.TB, d *tpm.Device, index tpm2.TPMHandle) {
	t.Helper()
	public, err := tpm2.NVReadPublic{NVIndex: index}.Execute(d)
	require.NoError(t, err)
	_, err = tpm2.NVUndefineSpace{
		AuthHandle: tpm2.TPMRHPlatform, NVIndex: tpm2.NamedHandle{Handle: index, Name: public.NVName},
	}.Execute(d)
	require.NoError(t, err)
}

// TestCertificates: which endorsement key a TPM is known by, and by which certificates, whatever its maker has left in
// it.
func TestCertificates(t *testing.T) {
	factory := newFactory(t)
	device, other := start(t).Device(), start(t).Device()
	require.NoError(t, factory.CertifyRSA(device))
	rsa, err := device.Endorsement()
	require.NoError(t, err)
	remove(t, device, indexRSA)
	require.NoError(t, factory.Certify(device))
	ecc, err := device.Endorsement()
	require.NoError(t, err)
	remove(t, device, indexECC)
	require.NoError(t, factory.Certify(other))
	others, err := other.Endorsement()
	require.NoError(t, err)
	require.NotEqual(t, ecc.Public, rsa.Public)
	ofECC, ofRSA, ofOther, root := ecc.Certificates[0], rsa.Certificates[0], others.Certificates[0], factory.Root().Raw

	zeros := make([]byte, 300)
	hidden, ownersOnly := everybody, everybody
	hidden.AuthRead, hidden.OwnerRead, hidden.PPRead = false, false, true
	ownersOnly.AuthRead = false
	type content struct {
		index      tpm2.TPMHandle
		attributes tpm2.TPMANV
		bytes      []byte
	}
	for _, test := range []struct {
		name         string
		in           []content
		key          []byte
		certificates [][]byte
	}{
		{"none", nil, ecc.Public, nil},
		{"P-256", []content{{indexECC, everybody, ofECC}}, ecc.Public, [][]byte{ofECC}},
		{"RSA", []content{{indexRSA, everybody, ofRSA}}, rsa.Public, [][]byte{ofRSA}},
		{"both", []content{{indexECC, everybody, ofECC}, {indexRSA, everybody, ofRSA}}, ecc.Public, [][]byte{ofECC}},
		{"filled up with zeros", []content{{indexECC, everybody, append(bytes.Clone(ofECC), zeros...)}}, ecc.Public, [][]byte{ofECC}},
		{"filled up with ones", []content{{indexECC, everybody, append(bytes.Clone(ofECC), 0xff)}}, ecc.Public, [][]byte{ofECC}},
		{"cut off", []content{{indexECC, everybody, ofECC[:len(ofECC)-1]}, {indexRSA, everybody, ofRSA}}, rsa.Public, [][]byte{ofRSA}},
		{"zeros", []content{{indexECC, everybody, zeros}}, ecc.Public, nil},
		{"of another TPM", []content{{indexECC, everybody, ofOther}, {indexRSA, everybody, ofRSA}}, rsa.Public, [][]byte{ofRSA}},
		{"of other keys", []content{{indexECC, everybody, ofRSA}, {indexRSA, everybody, ofECC}}, ecc.Public, nil},
		{"not to be read", []content{{indexECC, hidden, ofECC}}, ecc.Public, nil},
		{"to be read as an owner", []content{{indexECC, ownersOnly, ofECC}}, ecc.Public, [][]byte{ofECC}},
		{
			"with authorities",
			[]content{{indexECC, everybody, ofECC}, {indexChain, everybody, root}, {indexChain + 1, everybody, ofOther}},
			ecc.Public,
			[][]byte{ofECC, root, ofOther},
		},
		{
			"with what is of no authority",
			[]content{{indexECC, everybody, ofECC}, {indexChain + 0x100, everybody, root}},
			ecc.Public,
			[][]byte{ofECC},
		},
		{
			"with an authority in two parts",
			[]content{{indexECC, everybody, ofECC}, {indexChain, everybody, root[:100]}, {indexChain + 1, everybody, root[100:]}},
			ecc.Public,
			[][]byte{ofECC, root},
		},
		{
			"with more authorities than there is room for",
			[]content{
				{indexECC, everybody, ofECC},
				{indexChain + 5, everybody, bytes.Repeat(root, 3)},
				{indexChain + 0xff, everybody, root},
			},
			ecc.Public,
			[][]byte{ofECC, root, root, root},
		},
	} {
		for _, c := range test.in {
			put(t, device, c.index, c.attributes, c.bytes)
		}
		got, err := device.Endorsement()
		require.NoError(t, err, test.name)
		require.Equal(t, test.key, got.Public, test.name)
		require.Equal(t, test.certificates, got.Certificates, test.name)
		for _, c := range test.in {
			remove(t, device, c.index)
		}
		require.Empty(t, slots(t, device), test.name)
	}
}
