package tao_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"math/big"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// The targets below put bytes of the fuzzer's behind signatures that hold, so that they reach what takes a TPM's structures apart.

// FuzzStatement has the attestation key sign whatever there is, and wants nothing to be accepted but a quote of the scene: it may be of
// another time, and made by other firmware. What is taken for a quote has to be one for go-tpm, too, written in its one way.
func FuzzStatement(f *testing.F) {
	s := newScene(tao.TPM)
	e := s.evidence(f, change{})
	honest := e.Quote.Statement
	policy := asSigned(f, s.policy)
	f.Add(honest)
	for _, c := range quoteRefusals {
		if c.change.attest != nil {
			f.Add(newScene(tao.TPM).evidence(f, c.change).Quote.Statement)
		}
	}
	for _, c := range registerRefusals {
		if c.change.attest != nil {
			f.Add(newScene(tao.TPM).evidence(f, c.change).Quote.Statement)
		}
	}
	stored, err := tao.ParseEvidence(stored(f, "evidence"))
	require.NoError(f, err)
	f.Add(stored.Quote.Statement)
	f.Fuzz(func(t *testing.T, statement []byte) {
		if len(statement) > 1024 {
			return
		}
		e := *e
		e.Quote = tao.Quote{Statement: statement, Signature: s.key.sign(statement)}
		b, err := e.Encode()
		require.NoError(t, err)
		findings, _ := policy.Explain(b, &s.subject, s.now)
		if len(findings) == 1 {
			require.ErrorIs(t, findings[0].Err, tao.ErrEvidence)
			return
		}
		if origin := findings[slices.Index(ruleNames, byOrigin)].Err; !errors.Is(origin, tao.ErrType) && !errors.Is(origin, tao.ErrMagic) {
			attest, err := tpm2.Unmarshal[tpm2.TPMSAttest](statement)
			require.NoError(t, err)
			require.Equal(t, statement, tpm2.Marshal(*attest))
			_, err = attest.Attested.Quote()
			require.NoError(t, err)
			require.Equal(t, origin == nil, bytes.Equal(attest.QualifiedSigner.Buffer, qualifiedName(tpm2.TPMRHEndorsement, s.record.Key)))
		}
		if _, err := policy.Verify(b, &s.subject, s.now); err == nil {
			require.Equal(t, withoutTime(honest), withoutTime(statement))
		}
	})
}

// withoutTime returns a quote with its clock and its firmware's version cleared (TPM 2.0 Library, part 2, 10.12.8): they stand behind
// magic(4), type(2), the signer's name [2] of 34 bytes and a nonce [2] of 32.
func withoutTime(quote []byte) []byte {
	const clock = 4 + 2 + 2 + 34 + 2 + 32
	b := bytes.Clone(quote)
	if len(b) >= clock+25 {
		clear(b[clock : clock+25])
	}
	return b
}

// FuzzAttestationKey enrols whatever there is as an attestation key, and wants none to be believed but the one that signs. What is taken
// for one has to be one for go-tpm, too.
func FuzzAttestationKey(f *testing.F) {
	s := newScene(tao.TPM)
	honest := s.key.bytes()
	e := s.evidence(f, change{})
	policy := asSigned(f, s.policy)
	f.Add(honest)
	for _, c := range quoteRefusals {
		if c.err == tao.ErrKey {
			other := newScene(tao.TPM)
			c.change.before(other)
			f.Add(other.key.bytes())
		}
	}
	for _, area := range areas() {
		f.Add(tpm2.Marshal(area))
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		checked := tao.CheckAttestationKey(key)
		record := s.record
		record.Key = key
		signed, err := record.Sign(policyKey)
		if err != nil {
			require.ErrorIs(t, err, tao.ErrRecord)
			return
		}
		e := *e
		e.Record = signed
		b, err := e.Encode()
		require.NoError(t, err)
		findings, _ := policy.Explain(b, &s.subject, s.now)
		if len(findings) == 1 {
			require.ErrorIs(t, findings[0].Err, tao.ErrRecord)
			require.ErrorIs(t, checked, tao.ErrKey)
			return
		}
		require.Equal(t, checked, findings[slices.Index(ruleNames, byAttestationKey)].Err)
		if checked == nil {
			area, err := tpm2.Unmarshal[tpm2.TPMTPublic](key)
			require.NoError(t, err)
			require.Equal(t, key, tpm2.Marshal(*area))
			a := area.ObjectAttributes
			require.Equal(t, []bool{true, true, true, true, true, false},
				[]bool{a.FixedTPM, a.FixedParent, a.SensitiveDataOrigin, a.Restricted, a.SignEncrypt, a.Decrypt})
			require.Equal(t, tpm2.TPMAlgSHA256, area.NameAlg)
			require.Equal(t, tpm2.TPMECCNistP256, parametersOf(area).CurveID)
		}
		if _, err := policy.Verify(b, &s.subject, s.now); err == nil {
			require.Equal(t, honest, key)
		}
	})
}

// areas are public areas of every kind that TPMs have, as seeds.
func areas() []tpm2.TPMTPublic {
	keyed := func(scheme tpm2.TPMTKeyedHashScheme) tpm2.TPMTPublic {
		return tpm2.TPMTPublic{
			Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
			Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{Scheme: scheme}),
			Unique:     tpm2.NewTPMUPublicID(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BDigest{Buffer: make([]byte, 32)}),
		}
	}
	return []tpm2.TPMTPublic{
		tpm2.ECCEKTemplate, tpm2.RSAEKTemplate, tpm2.ECCSRKTemplate, endorsementArea(2),
		keyed(tpm2.TPMTKeyedHashScheme{Scheme: tpm2.TPMAlgNull}),
		keyed(tpm2.TPMTKeyedHashScheme{
			Scheme: tpm2.TPMAlgHMAC, Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgHMAC, &tpm2.TPMSSchemeHMAC{HashAlg: tpm2.TPMAlgSHA256}),
		}),
		keyed(tpm2.TPMTKeyedHashScheme{
			Scheme:  tpm2.TPMAlgXOR,
			Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgXOR, &tpm2.TPMSSchemeXOR{HashAlg: tpm2.TPMAlgSHA256, KDF: tpm2.TPMAlgKDF1SP800108}),
		}),
		{
			Type: tpm2.TPMAlgSymCipher, NameAlg: tpm2.TPMAlgSHA256,
			Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgSymCipher, &tpm2.TPMSSymCipherParms{Sym: tpm2.TPMTSymDefObject{
				Algorithm: tpm2.TPMAlgAES, KeyBits: tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(128)), Mode: tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB),
			}}),
			Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgSymCipher, &tpm2.TPM2BDigest{Buffer: make([]byte, 32)}),
		},
	}
}

// FuzzSignature wants none to hold but the one that was made: zeros before its numbers say nothing.
func FuzzSignature(f *testing.F) {
	s := newScene(tao.TPM)
	e := s.evidence(f, change{})
	honest := numbersOf(f, e.Quote.Signature)
	policy := asSigned(f, s.policy)
	f.Add(e.Quote.Signature)
	for _, c := range quoteRefusals {
		if c.change.signature != nil {
			f.Add(c.change.signature(bytes.Clone(e.Quote.Signature)))
		}
	}
	f.Add([]byte{0, byte(tpm2.TPMAlgHMAC), 0, byte(tpm2.TPMAlgSHA256)})
	f.Add(tpm2.Marshal(tpm2.TPMTSignature{
		SigAlg:    tpm2.TPMAlgRSASSA,
		Signature: tpm2.NewTPMUSignature(tpm2.TPMAlgRSASSA, &tpm2.TPMSSignatureRSA{Hash: tpm2.TPMAlgSHA256, Sig: tpm2.TPM2BPublicKeyRSA{Buffer: make([]byte, 256)}}),
	}))
	f.Fuzz(func(t *testing.T, signature []byte) {
		if len(signature) > 512 {
			return
		}
		e := *e
		e.Quote.Signature = signature
		b, err := e.Encode()
		require.NoError(t, err)
		if _, err := policy.Verify(b, &s.subject, s.now); err != nil {
			require.ErrorIs(t, err, tao.ErrSignature)
			return
		}
		require.Equal(t, honest, numbersOf(t, signature))
	})
}

func numbersOf(t testing.TB, signature []byte) [2]string {
	t.Helper()
	parsed, err := tpm2.Unmarshal[tpm2.TPMTSignature](signature)
	require.NoError(t, err)
	ec, err := parsed.Signature.ECDSA()
	require.NoError(t, err)
	return [2]string{new(big.Int).SetBytes(ec.SignatureR.Buffer).String(), new(big.Int).SetBytes(ec.SignatureS.Buffer).String()}
}

// FuzzEndorsement has an authority that trusts every endorsement key grant a request with whatever there is as one, and with
// whatever there is as its certificate.
func FuzzEndorsement(f *testing.F) {
	m := newMaker(f, 1)
	good := asked(f, tao.TPM, asking{})
	certificate := good.Endorsement.Certificates[0]
	f.Add(good.Endorsement.Public, certificate)
	for _, area := range areas() {
		f.Add(tpm2.Marshal(area), certificate)
	}
	f.Fuzz(func(t *testing.T, public, certificate []byte) {
		r := *good
		r.Endorsement = tao.Endorsement{Public: public, Certificates: [][]byte{certificate}}
		_, record, err := tao.Grant(rand.Reader, &r, policyKey, rootsOf(m), granted())
		if err != nil {
			require.ErrorIs(t, err, tao.ErrRequest)
		} else {
			require.Equal(t, good.Endorsement.Public, public, "no other key is certified")
		}
		hash, err := tao.EndorsementHash(public)
		if err != nil {
			require.Nil(t, record)
			return
		}
		_, _, err = tao.Grant(rand.Reader, &r, policyKey, tao.Roots{Endorsements: [][32]byte{hash}}, granted())
		if err != nil {
			require.ErrorIs(t, err, tao.ErrRequest) // as nothing can be encrypted for it
		}
	})
}

// TestLengthsThatLie wants no more memory to be taken than the bytes that say how much there is could fill.
func TestLengthsThatLie(t *testing.T) {
	s := newScene(tao.TPM)
	e := s.evidence(t, change{})
	policy := asSigned(t, s.policy)
	head := e.Quote.Statement[:len(e.Quote.Statement)-(4+2+1+3+2+32)] // up to the selection
	for name, spoil := range map[string]func(*tao.Evidence){
		"4096 banks":           func(e *tao.Evidence) { e.Quote.Statement = slices.Concat(head, number(4, 4096), make([]byte, 800)) },
		"4097 banks":           func(e *tao.Evidence) { e.Quote.Statement = slices.Concat(head, number(4, 4097), make([]byte, 800)) },
		"4294967295 banks":     func(e *tao.Evidence) { e.Quote.Statement = slices.Concat(head, number(4, 1<<32-1), make([]byte, 800)) },
		"a nonce of 64 KiB":    func(e *tao.Evidence) { e.Quote.Statement = slices.Concat(head[:42], number(2, 1<<16-1)) },
		"a number of 64 KiB":   func(e *tao.Evidence) { e.Quote.Signature = []byte{0, 0x18, 0, 0x0b, 0xff, 0xff} },
		"a hash without bytes": func(e *tao.Evidence) { e.Quote.Signature = []byte{0, 5, 0, 0x0b} },
	} {
		e := *e
		spoil(&e)
		e.Quote.Statement = bytes.Clone(e.Quote.Statement)
		b, err := e.Encode()
		require.NoError(t, err)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = policy.Verify(b, &s.subject, s.now)
		runtime.ReadMemStats(&after)
		require.Error(t, err, name)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<19), name)
	}
}
