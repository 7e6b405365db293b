package tao_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
	"sphinxmix.example/tao/swtpm"
)

func asked(t testing.TB, kind tao.Kind, a asking) *tao.Request {
	t.Helper()
	r, err := tao.ParseRequest(ask(t, kind, a))
	require.NoError(t, err)
	return r
}

// rootsOf are those of an authority that knows one maker.
func rootsOf(m *maker) tao.Roots { return tao.Roots{Authorities: []*x509.Certificate{m.root}} }

// TestEndorsementsThatNobodyVouchesFor are refused with the error of the rule that evidence would break.
func TestEndorsementsThatNobodyVouchesFor(t *testing.T) {
	known := newMaker(t, 1)
	key := ecKey(2).Public()
	certificates := func(list ...[]byte) func(*tao.Request) {
		return func(r *tao.Request) { r.Endorsement.Certificates = list }
	}
	certified := func(edit func(*x509.Certificate)) func(*tao.Request) {
		return certificates(known.certify(t, key, edit))
	}
	lower, between := known.below(t, 4, nil)
	serving, betweenServing := known.below(t, 4, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	_, notBetween := known.below(t, 4, func(c *x509.Certificate) { c.IsCA = false })
	stranger, _ := newMaker(t, 5).below(t, 6, nil)
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)

	for name, spoil := range map[string]func(*tao.Request){
		"no certificate":                         certificates(),
		"what is no certificate":                 certificates([]byte("a certificate")),
		"a certificate with something behind it": certificates(append(known.certify(t, key, nil), 0)),
		"a certificate of an unknown maker":      certificates(newMaker(t, 5).certify(t, key, nil)),
		"a certificate of another key":           certificates(known.certify(t, ecKey(3).Public(), nil)),
		"a certificate of an Ed25519 key":        certificates(known.certify(t, public(nodeKey), nil)),
		"a certificate of a key on P-384":        certificates(known.certify(t, other.Public(), nil)),
		"a certificate for no purpose":           certified(func(c *x509.Certificate) { c.UnknownExtKeyUsage = nil }),
		"a certificate of a web server": certified(func(c *x509.Certificate) {
			c.UnknownExtKeyUsage, c.ExtKeyUsage = nil, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}),
		"a certificate of an attestation key": certified(func(c *x509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{2, 23, 133, 8, 3}} }),
		"a certificate that has expired":      certified(func(c *x509.Certificate) { c.NotAfter = start.Add(-time.Second) }),
		"a certificate that is not good yet":  certified(func(c *x509.Certificate) { c.NotBefore = start.Add(time.Second) }),
		"a certificate with a condition that nobody knows": certified(func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}})
		}),
		"a certificate whose authority is missing":              certificates(lower.certify(t, key, nil)),
		"certificates in another order":                         certificates(between, lower.certify(t, key, nil)),
		"a certificate of what is no authority":                 certificates(lower.certify(t, key, nil), notBetween),
		"a certificate of an authority of web servers":          certificates(serving.certify(t, key, nil), betweenServing),
		"a certificate of an unknown maker, and one of a known": certificates(stranger.certify(t, key, nil), between),
		"a certificate, and something else":                     certificates(known.certify(t, key, nil), []byte("something else")),
	} {
		t.Run(name, func(t *testing.T) {
			r := asked(t, tao.TPM, asking{before: spoil})
			_, _, err := tao.Grant(rand.Reader, r, policyKey, rootsOf(known), granted())
			require.ErrorIs(t, err, tao.ErrRequest)
			require.ErrorIs(t, err, tao.ErrRoot)
			if name == "a certificate that has expired" {
				require.ErrorContains(t, err, "expired")
			}
			_, _, err = tao.Grant(rand.Reader, r, policyKey, tao.Roots{}, granted())
			require.ErrorIs(t, err, tao.ErrRoot)
		})
	}
	limited, betweenLimited := known.below(t, 4, func(c *x509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{endorsementUse} })
	any, betweenAny := known.below(t, 4, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} })
	for name, good := range map[string]func(*tao.Request){
		"a certificate of an authority of endorsement keys": certificates(limited.certify(t, key, nil), betweenLimited),
		"a certificate of an authority of everything":       certificates(any.certify(t, key, nil), betweenAny),
		"as many certificates as there may be":              certificates(lower.certify(t, key, nil), between, between, between),
		"a certificate":                                     func(*tao.Request) {},
		"a certificate, and an authority":                   certificates(lower.certify(t, key, nil), between),
		"a certificate that expires now":                    certified(func(c *x509.Certificate) { c.NotAfter = start }),
		"a certificate that is good from now":               certified(func(c *x509.Certificate) { c.NotBefore = start }),
	} {
		t.Run(name, func(t *testing.T) {
			r := asked(t, tao.TPM, asking{before: good})
			_, record, err := tao.Grant(rand.Reader, r, policyKey, rootsOf(known), granted())
			require.NoError(t, err)
			require.Equal(t, sha256.Sum256(known.root.Raw), record.Root)
			require.Equal(t, r.Clock.Resets, record.Resets)
			require.Equal(t, tao.RolesOf(tao.Mix), record.Roles)
		})
	}
}

// TestCertificateThatIsItselfARoot is one that stands where its authority should: an operator may name it as a root, and anybody can
// show a maker's root, with its key, as if it were a TPM's.
func TestCertificateThatIsItselfARoot(t *testing.T) {
	certificate, err := x509.ParseCertificate(newMaker(t, 1).certify(t, ecKey(2).Public(), nil))
	require.NoError(t, err)
	r := asked(t, tao.TPM, asking{before: func(r *tao.Request) { r.Endorsement.Certificates = [][]byte{certificate.Raw} }})
	_, record, err := tao.Grant(rand.Reader, r, policyKey, tao.Roots{Authorities: []*x509.Certificate{certificate}}, granted())
	require.NoError(t, err)
	require.Equal(t, sha256.Sum256(certificate.Raw), record.Root)

	own := authority("a maker whose root says that it is an endorsement key, too")
	own.UnknownExtKeyUsage = []asn1.ObjectIdentifier{endorsementUse}
	der, err := x509.CreateCertificate(rand.Reader, own, own, ecKey(2).Public(), ecKey(2))
	require.NoError(t, err)
	certificate, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	r = asked(t, tao.TPM, asking{before: func(r *tao.Request) { r.Endorsement.Certificates = [][]byte{der} }})
	_, _, err = tao.Grant(rand.Reader, r, policyKey, tao.Roots{Authorities: []*x509.Certificate{certificate}}, granted())
	require.ErrorIs(t, err, tao.ErrRoot)
}

func TestEndorsementKnownByItsHash(t *testing.T) {
	r := asked(t, tao.TPM, asking{before: func(r *tao.Request) { r.Endorsement.Certificates = nil }})
	der, err := x509.MarshalPKIXPublicKey(ecKey(2).Public())
	require.NoError(t, err)
	hash, err := tao.EndorsementHash(r.Endorsement.Public)
	require.NoError(t, err)
	require.Equal(t, sha256.Sum256(der), hash)
	_, record, err := tao.Grant(rand.Reader, r, policyKey, tao.Roots{Endorsements: [][32]byte{root, hash}}, granted())
	require.NoError(t, err)
	require.Equal(t, hash, record.Root)
	require.Equal(t, hash, record.Endorsement)
	_, _, err = tao.Grant(rand.Reader, r, policyKey, tao.Roots{Endorsements: [][32]byte{root}}, granted())
	require.ErrorIs(t, err, tao.ErrRoot)
}

// TestEndorsementKeysAreOfATemplate wants nothing to be encrypted for a key that its owner could have described as it likes: one that
// signs, or that wants its secrets in the clear.
func TestEndorsementKeysAreOfATemplate(t *testing.T) {
	detail := func(p *tpm2.TPMTPublic) *tpm2.TPMSECCParms {
		copied := *parametersOf(p)
		p.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &copied)
		return parametersOf(p)
	}
	for name, spoil := range map[string]func(*tpm2.TPMTPublic){
		"signs":                        func(p *tpm2.TPMTPublic) { p.ObjectAttributes.SignEncrypt, p.ObjectAttributes.Decrypt = true, false },
		"signs too":                    func(p *tpm2.TPMTPublic) { p.ObjectAttributes.SignEncrypt = true },
		"is not restricted":            func(p *tpm2.TPMTPublic) { p.ObjectAttributes.Restricted = false },
		"may be elsewhere":             func(p *tpm2.TPMTPublic) { p.ObjectAttributes.FixedTPM = false },
		"may have been made elsewhere": func(p *tpm2.TPMTPublic) { p.ObjectAttributes.SensitiveDataOrigin = false },
		"has another policy":           func(p *tpm2.TPMTPublic) { p.AuthPolicy.Buffer = make([]byte, 32) },
		"has a name of SHA-1":          func(p *tpm2.TPMTPublic) { p.NameAlg = tpm2.TPMAlgSHA1 },
		"encrypts nothing":             func(p *tpm2.TPMTPublic) { detail(p).Symmetric = tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgNull} },
		"is on another curve":          func(p *tpm2.TPMTPublic) { detail(p).CurveID = tpm2.TPMECCNistP384 },
		"is no point of the curve":     func(p *tpm2.TPMTPublic) { pointOf(p).Y.Buffer[31] ^= 1 },
		"is at infinity":               func(p *tpm2.TPMTPublic) { pointOf(p).X.Buffer, pointOf(p).Y.Buffer = nil, nil },
		"has a coordinate beyond all":  func(p *tpm2.TPMTPublic) { pointOf(p).X.Buffer = slices.Repeat([]byte{0xff}, 64) },
		"is a storage key":             func(p *tpm2.TPMTPublic) { unique := p.Unique; *p = tpm2.ECCSRKTemplate; p.Unique = unique },
		"is a storage key of RSA":      func(p *tpm2.TPMTPublic) { *p = tpm2.RSASRKTemplate },
		"is the attestation key":       func(p *tpm2.TPMTPublic) { *p = newForger(1).public },
		"is a secret with a public half": func(p *tpm2.TPMTPublic) {
			p.Type = tpm2.TPMAlgNull
			p.Parameters = tpm2.TPMUPublicParms{}
			p.Unique = tpm2.TPMUPublicID{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			area := endorsementArea(2)
			spoil(&area)
			r := asked(t, tao.TPM, asking{before: func(r *tao.Request) { r.Endorsement.Public = tpm2.Marshal(area) }})
			_, _, err := tao.Grant(rand.Reader, r, policyKey, rootsOf(newMaker(t, 1)), granted())
			require.ErrorIs(t, err, tao.ErrRequest)
			_, err = tao.EndorsementHash(r.Endorsement.Public)
			require.Error(t, err)
		})
	}
	area := tpm2.Marshal(endorsementArea(2))
	for name, b := range map[string][]byte{"nothing": nil, "half a key": area[:len(area)/2], "something behind it": append(slices.Clone(area), 0)} {
		_, err := tao.EndorsementHash(b)
		require.Error(t, err, name)
	}
}

// TestEndorsementKeyThatNothingIsEncryptedFor is one that an authority knows by its hash.
func TestEndorsementKeyThatNothingIsEncryptedFor(t *testing.T) {
	for name, modulus := range map[string][]byte{"zero": make([]byte, 256), "even": slices.Repeat([]byte{0xaa}, 256), "of 8 bits": {0xff}, "none": nil} {
		area := tpm2.RSAEKTemplate
		area.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: modulus})
		r := asked(t, tao.TPM, asking{before: func(r *tao.Request) { r.Endorsement.Public = tpm2.Marshal(area) }})
		hash, err := tao.EndorsementHash(r.Endorsement.Public)
		if err == nil {
			_, _, err = tao.Grant(rand.Reader, r, policyKey, tao.Roots{Endorsements: [][32]byte{hash}}, granted())
			require.ErrorIs(t, err, tao.ErrRequest, name)
		}
		require.Error(t, err, name)
	}
}

func TestTermsThatAreNotGranted(t *testing.T) {
	for _, kind := range anyKind {
		r := asked(t, kind, asking{})
		for name, terms := range map[string]tao.Terms{
			"a role that was not asked for": {Roles: tao.RolesOf(tao.Mix, tao.Directory), Issued: start, Expires: start.Add(day)},
			"no role":                       {Issued: start, Expires: start.Add(day)},
			"for ever":                      {Roles: tao.RolesOf(tao.Mix), Issued: start, Expires: year9999.Add(time.Second)},
		} {
			grant, record, err := tao.Grant(rand.Reader, r, policyKey, rootsOf(newMaker(t, 1)), terms)
			require.ErrorIs(t, err, tao.ErrRequest, name)
			require.Nil(t, grant)
			require.Nil(t, record)
		}
	}
	_, _, err := tao.Grant(rand.Reader, asked(t, tao.Soft, asking{}), policyKey, tao.Roots{}, tao.Terms{Roles: tao.RolesOf(tao.Directory)})
	require.ErrorIs(t, err, tao.ErrRole)
	_, _, err = tao.Grant(noRandomness{}, asked(t, tao.TPM, asking{}), policyKey, rootsOf(newMaker(t, 1)), granted())
	require.ErrorIs(t, err, tao.ErrRequest)
	require.ErrorContains(t, err, "no randomness")
}

// TestGrantIsLaidOutAsDocumented makes one by hand.
func TestGrantIsLaidOutAsDocumented(t *testing.T) {
	r := goodRecord()
	record, err := r.Sign(policyKey)
	require.NoError(t, err)
	opened, err := tao.OpenGrant(append([]byte{byte(tao.Soft)}, prefixed(record)...), nil)
	require.NoError(t, err)
	require.Equal(t, record, opened)
	soft, _, err := tao.Grant(nil, asked(t, tao.Soft, asking{}), policyKey, tao.Roots{}, granted())
	require.NoError(t, err)
	require.Equal(t, append([]byte{byte(tao.Soft)}, prefixed(soft[3:])...), soft)

	key := filled(3)
	block, err := aes.NewCipher(key[:])
	require.NoError(t, err)
	box, err := cipher.NewGCM(block)
	require.NoError(t, err)
	hard := slices.Concat([]byte{byte(tao.TPM)}, prefixed([]byte("a credential")), prefixed([]byte("a secret")),
		prefixed(box.Seal(nil, make([]byte, 12), record, nil)))
	opened, err = tao.OpenGrant(hard, func(credential, secret []byte) ([]byte, error) {
		require.Equal(t, "a credential", string(credential))
		require.Equal(t, "a secret", string(secret))
		return slices.Clone(key[:]), nil
	})
	require.NoError(t, err)
	require.Equal(t, record, opened)
}

var errForeign = errors.New("made for another TPM")

// TestGrantsThatDoNotOpen are refused without a panic, and a soft one without a TPM.
func TestGrantsThatDoNotOpen(t *testing.T) {
	soft, record, err := tao.Grant(rand.Reader, asked(t, tao.Soft, asking{}), policyKey, tao.Roots{}, granted())
	require.NoError(t, err)
	noTPM := func([]byte, []byte) ([]byte, error) { require.Fail(t, "a soft grant needs no TPM"); return nil, nil }
	opened, err := tao.OpenGrant(soft, noTPM)
	require.NoError(t, err)
	parsed, err := tao.ParseRecord(opened)
	require.NoError(t, err)
	require.Equal(t, record, parsed)
	clear(soft[1:])
	_, err = tao.ParseRecord(opened)
	require.NoError(t, err, "it keeps a part of what it was read from")
	soft, _, err = tao.Grant(rand.Reader, asked(t, tao.Soft, asking{}), policyKey, tao.Roots{}, granted())
	require.NoError(t, err)

	hard, _, err := tao.Grant(rand.Reader, asked(t, tao.TPM, asking{}), policyKey, rootsOf(newMaker(t, 1)), granted())
	require.NoError(t, err)
	require.NotContains(t, string(hard), string(public(nodeKey)), "the record can be read")
	for name, grant := range map[string][]byte{
		"nothing": nil, "a kind alone": {byte(tao.TPM)}, "a soft kind alone": {byte(tao.Soft)}, "no kind": append([]byte{0}, soft[1:]...),
		"a kind that is not yet": append([]byte{3}, soft[1:]...), "something behind it": append(slices.Clone(soft), 0),
		"a TPM's, with something behind it": append(slices.Clone(hard), 0), "a TPM's that says it is soft": append([]byte{byte(tao.Soft)}, hard[1:]...),
		"more than there is room for": append([]byte{byte(tao.Soft)}, make([]byte, tao.MaxRequestSize)...),
		"an empty record":             {byte(tao.Soft), 0, 0},
	} {
		_, err := tao.OpenGrant(grant, func([]byte, []byte) ([]byte, error) { return make([]byte, 32), nil })
		require.Error(t, err, name)
		require.True(t, errors.Is(err, tao.ErrRequest) || errors.Is(err, tao.ErrRecord), "%s: %v", name, err)
	}
	for _, size := range []int{0, 1, 15, 16, 24, 31, 32, 33, 64} {
		_, err := tao.OpenGrant(hard, func([]byte, []byte) ([]byte, error) { return make([]byte, size), nil })
		require.ErrorIs(t, err, tao.ErrRequest, "a secret of %d bytes", size)
	}
	_, err = tao.OpenGrant(hard, func([]byte, []byte) ([]byte, error) { return nil, errForeign })
	require.ErrorIs(t, err, errForeign)
	for over, want := range []error{errForeign, tao.ErrRequest} { // what is too long does not reach the TPM
		long := slices.Concat([]byte{byte(tao.TPM)}, prefixed(make([]byte, tao.MaxRequestSize-7+over)), prefixed(nil), prefixed(nil))
		_, err = tao.OpenGrant(long, func([]byte, []byte) ([]byte, error) { return nil, errForeign })
		require.ErrorIs(t, err, want)
	}
}

// TestOneChipOpensAGrant gives the grant of one machine to another.
func TestOneChipOpensAGrant(t *testing.T) {
	m, other := newMachine(t), newMachine(t)
	r, err := tao.ParseRequest(m.request(t))
	require.NoError(t, err)
	grant, record, err := tao.Grant(rand.Reader, r, enrollerKey, m.roots, granted())
	require.NoError(t, err)
	signed, err := tao.OpenGrant(grant, m.tpm.Device().Activate)
	require.NoError(t, err)
	parsed, err := tao.ParseRecord(signed)
	require.NoError(t, err)
	require.Equal(t, record, parsed)
	require.Equal(t, public(enrollerKey), parsed.Signer)
	_, err = tao.OpenGrant(grant, other.tpm.Device().Activate)
	require.ErrorContains(t, err, "another")

	// What a machine says of another one's endorsement key is opened by neither.
	stolen, err := other.tpm.Device().Endorsement()
	require.NoError(t, err)
	request, err := tao.NewRequest(nodeKey, m.attestor, stolen, tao.RolesOf(tao.Mix), []uint8{14})
	require.NoError(t, err)
	r, err = tao.ParseRequest(request)
	require.NoError(t, err)
	grant, _, err = tao.Grant(rand.Reader, r, policyKey, m.roots, granted())
	require.NoError(t, err, "to tell takes the TPM")
	_, err = tao.OpenGrant(grant, m.tpm.Device().Activate)
	require.Error(t, err)
	_, err = tao.OpenGrant(grant, other.tpm.Device().Activate)
	require.Error(t, err)
}

func TestChipWithAnRSAKey(t *testing.T) {
	needTPM(t)
	chip, err := swtpm.Start(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, chip.Close()) })
	require.NoError(t, factory().CertifyRSA(chip.Device()))
	m := newMachineOf(t, chip)
	require.NotEqual(t, m.record.Root, m.record.Endorsement)
	m.judge(t, m.attest(t, m.prover(t))).requireAccepted(t)
}

// TestChipWithoutACertificate is enrolled by the hash of its key.
func TestChipWithoutACertificate(t *testing.T) {
	needTPM(t)
	chip, err := swtpm.Start(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, chip.Close()) })
	e, err := chip.Device().Endorsement()
	require.NoError(t, err)
	require.Empty(t, e.Certificates)
	hash, err := tao.EndorsementHash(e.Public)
	require.NoError(t, err)
	m := newMachineOf(t, chip, hash)
	require.Equal(t, hash, m.record.Root)
	evidence := m.attest(t, m.prover(t))
	m.judge(t, evidence).requireRefused(t, byRoot, tao.ErrRoot)
	m.policy.Roots = [][32]byte{hash}
	m.judge(t, evidence).requireAccepted(t)
	m.policy.Revoked = [][32]byte{hash}
	m.judge(t, evidence).requireRefused(t, byRevocations, tao.ErrRevoked)
}
