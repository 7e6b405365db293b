package tao_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"sphinxmix.example/tao"
)

// keyRefusal is a key that was enrolled by mistake, as it is not restricted to what a TPM says of itself. What it signs is a
// quote in all else.
func keyRefusal(name string, spoil func(*tpm2.TPMTPublic), also ...string) refusal {
	return refusal{
		name: name, kinds: onlyTPM, rule: byAttestationKey, err: tao.ErrKey, also: also,
		change: change{before: func(s *scene) { spoil(&s.key.public) }},
	}
}

// rewritten is a key whose public area, as it is written, has another number of two bytes at a place: one that no TPM would put there
// without changing what follows.
func rewritten(name string, at int, number uint16) refusal {
	return refusal{
		name: "a key " + name, kinds: onlyTPM, rule: byAttestationKey, err: tao.ErrKey, also: []string{bySignature},
		change: change{before: func(s *scene) {
			s.key.edit = func(b []byte) []byte { binary.BigEndian.PutUint16(b[at:], number); return b }
		}},
	}
}

// Where numbers stand in the public area of an attestation key (TPM 2.0 Library, part 2, 12.2.4), which has no policy.
const (
	atType       = 0
	atSymmetric  = 10
	atScheme     = 12
	atDerivation = 18
)

// parametersOf returns those of the forger's key, to be changed.
func parametersOf(public *tpm2.TPMTPublic) *tpm2.TPMSECCParms {
	parameters, err := public.Parameters.ECCDetail()
	if err != nil {
		panic(err)
	}
	return parameters
}

func pointOf(public *tpm2.TPMTPublic) *tpm2.TPMSECCPoint {
	point, err := public.Unique.ECC()
	if err != nil {
		panic(err)
	}
	return point
}

// otherType is a statement of another type, which says nothing else that could be compared.
func otherType(of tpm2.TPMST, attested tpm2.TPMUAttest) change {
	return change{attest: func(a *tpm2.TPMSAttest) { a.Type, a.Attested = of, attested }}
}

// afterOrigin are the rules that have nothing to look at where a statement is no quote.
var afterOrigin = []string{bySelection, byValues}

// quoteRefusals are about what may sign, and what it signs.
var quoteRefusals = []refusal{
	keyRefusal("a key that is not restricted", func(p *tpm2.TPMTPublic) { p.ObjectAttributes.Restricted = false }),
	keyRefusal("a key that decrypts too", func(p *tpm2.TPMTPublic) { p.ObjectAttributes.Decrypt = true }),
	keyRefusal("a key that does not sign", func(p *tpm2.TPMTPublic) { p.ObjectAttributes.SignEncrypt = false }),
	keyRefusal("a key that can be moved to another TPM", func(p *tpm2.TPMTPublic) { p.ObjectAttributes.FixedTPM = false }),
	keyRefusal("a key that can be moved below another key", func(p *tpm2.TPMTPublic) { p.ObjectAttributes.FixedParent = false }),
	keyRefusal("a key that was made outside", func(p *tpm2.TPMTPublic) { p.ObjectAttributes.SensitiveDataOrigin = false }),
	keyRefusal("a key with a name of SHA-384", func(p *tpm2.TPMTPublic) { p.NameAlg = tpm2.TPMAlgSHA384 }, bySignature),
	keyRefusal("a key on P-384", func(p *tpm2.TPMTPublic) { parametersOf(p).CurveID = tpm2.TPMECCNistP384 }, bySignature),
	keyRefusal("a key for SHA-1", func(p *tpm2.TPMTPublic) { parametersOf(p).Scheme = ecdsaWith(tpm2.TPMAlgSHA1) }, bySignature),
	keyRefusal("a key without a scheme", func(p *tpm2.TPMTPublic) { parametersOf(p).Scheme = tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgNull} }, bySignature),
	keyRefusal("a key for ECDAA", func(p *tpm2.TPMTPublic) {
		parametersOf(p).Scheme = tpm2.TPMTECCScheme{
			Scheme:  tpm2.TPMAlgECDAA,
			Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDAA, &tpm2.TPMSSchemeECDAA{HashAlg: tpm2.TPMAlgSHA256}),
		}
	}, bySignature),
	keyRefusal("a key that is no point of the curve", func(p *tpm2.TPMTPublic) { pointOf(p).Y.Buffer[31] ^= 1 }, bySignature),
	keyRefusal("a key at infinity", func(p *tpm2.TPMTPublic) { pointOf(p).X.Buffer, pointOf(p).Y.Buffer = nil, nil }, bySignature),
	keyRefusal("a key with a coordinate of 33 bytes", func(p *tpm2.TPMTPublic) {
		pointOf(p).X.Buffer = append([]byte{0}, pointOf(p).X.Buffer...)
	}, bySignature),
	keyRefusal("a key with an ordinate of 64 bytes", func(p *tpm2.TPMTPublic) {
		pointOf(p).Y.Buffer = append(make([]byte, 32), pointOf(p).Y.Buffer...)
	}, bySignature),
	keyRefusal("a key with an abscissa of 64 bytes", func(p *tpm2.TPMTPublic) {
		pointOf(p).X.Buffer = append(make([]byte, 32), pointOf(p).X.Buffer...)
	}, bySignature),
	rewritten("of RSA on a curve", atType, uint16(tpm2.TPMAlgRSA)),
	rewritten("that encrypts what it signs", atSymmetric, uint16(tpm2.TPMAlgXOR)),
	rewritten("for Schnorr's signatures", atScheme, uint16(tpm2.TPMAlgECSchnorr)),
	rewritten("for key exchange", atScheme, uint16(tpm2.TPMAlgECDH)),
	rewritten("that derives others", atDerivation, uint16(tpm2.TPMAlgKDF2)),
	keyRefusal("an RSA key", func(p *tpm2.TPMTPublic) {
		p.Type = tpm2.TPMAlgRSA
		p.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{
			Symmetric: tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgNull}, KeyBits: 2048,
			Scheme: tpm2.TPMTRSAScheme{
				Scheme:  tpm2.TPMAlgRSASSA,
				Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSASSA, &tpm2.TPMSSigSchemeRSASSA{HashAlg: tpm2.TPMAlgSHA256}),
			},
		})
		p.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: bytes.Repeat([]byte{0xaa}, 256)})
	}, bySignature),
	keyRefusal("a key of no type", func(p *tpm2.TPMTPublic) {
		*p = tpm2.TPMTPublic{Type: tpm2.TPMAlgNull, NameAlg: p.NameAlg, ObjectAttributes: p.ObjectAttributes}
	}, bySignature),
	{
		name: "a quote that another key has signed", rule: bySignature, err: tao.ErrSignature,
		change: change{before: func(s *scene) {
			s.record.Key = s.attestationKey()
			s.key.key, s.softKey = newForger(2).key, strangerKey
		}},
	},
	{
		name: "no signature", rule: bySignature, err: tao.ErrSignature,
		change: change{signature: func([]byte) []byte { return nil }},
	},
	{
		name: "a signature with something behind it", rule: bySignature, err: tao.ErrSignature,
		change: change{signature: func(b []byte) []byte { return append(b, 0) }},
	},
	{
		name: "a signature with a zero before a number of 32 bytes", kinds: onlyTPM, rule: bySignature, err: tao.ErrSignature,
		change: change{signature: func(b []byte) []byte {
			return slices.Concat(b[:4], number(2, 33), []byte{0}, b[6:])
		}},
	},
	{
		name: "a signature of zeros", rule: bySignature, err: tao.ErrSignature,
		change: change{signature: func(b []byte) []byte {
			if len(b) == 64 {
				return make([]byte, 64)
			}
			return append(slices.Clone(b[:6]), make([]byte, len(b)-6)...)
		}},
	},
	{
		name: "a signature that says it is of ECDAA", kinds: onlyTPM, rule: bySignature, err: tao.ErrSignature,
		change: change{signature: func(b []byte) []byte { b[1] = byte(tpm2.TPMAlgECDAA); return b }},
	},
	{
		name: "a signature that says it is over another hash", kinds: onlyTPM, rule: bySignature, err: tao.ErrSignature,
		change: change{signature: func(b []byte) []byte { b[3] = byte(tpm2.TPMAlgSHA384); return b }},
	},
	{
		name: "a signature that is a hash", kinds: onlyTPM, rule: bySignature, err: tao.ErrSignature,
		change: change{evidence: func(e *tao.Evidence) {
			sum := sha256.Sum256(e.Quote.Statement)
			e.Quote.Signature = append([]byte{0, byte(tpm2.TPMAlgHMAC), 0, byte(tpm2.TPMAlgSHA256)}, sum[:]...)
		}},
	},
	{
		name: "wrong magic, validly signed", kinds: onlyTPM, rule: byOrigin, err: tao.ErrMagic,
		change: change{attest: func(a *tpm2.TPMSAttest) { a.Magic = 0xff544348 }},
	},
	{
		name: "wrong magic, signed before it was changed", kinds: onlyTPM, rule: bySignature, err: tao.ErrSignature, also: []string{byOrigin},
		change: change{evidence: func(e *tao.Evidence) { e.Quote.Statement[3] ^= 1 }},
	},
	{
		name: "a certification of a key", kinds: onlyTPM, rule: byOrigin, err: tao.ErrType, also: afterOrigin,
		change: otherType(tpm2.TPMSTAttestCertify, tpm2.NewTPMUAttest(tpm2.TPMSTAttestCertify, &tpm2.TPMSCertifyInfo{})),
	},
	{
		name: "a statement of the time", kinds: onlyTPM, rule: byOrigin, err: tao.ErrType, also: afterOrigin,
		change: otherType(tpm2.TPMSTAttestTime, tpm2.NewTPMUAttest(tpm2.TPMSTAttestTime, &tpm2.TPMSTimeAttestInfo{})),
	},
	{
		name: "a certification of a memory", kinds: onlyTPM, rule: byOrigin, err: tao.ErrType, also: afterOrigin,
		change: otherType(tpm2.TPMSTAttestNV, tpm2.NewTPMUAttest(tpm2.TPMSTAttestNV, &tpm2.TPMSNVCertifyInfo{})),
	},
	{
		name: "a statement of no type", kinds: onlyTPM, rule: byOrigin, err: tao.ErrType, also: afterOrigin,
		change: otherType(tpm2.TPMST(tpm2.TPMAlgNull), tpm2.TPMUAttest{}),
	},
	{
		name: "a key of the owner's hierarchy", kinds: onlyTPM, rule: byOrigin, err: tao.ErrSigner,
		change: change{before: func(s *scene) { s.record.Key = s.key.bytes() }, attest: signerIn(tpm2.TPMRHOwner)},
	},
	{
		name: "a key of the platform's hierarchy", kinds: onlyTPM, rule: byOrigin, err: tao.ErrSigner,
		change: change{attest: signerIn(tpm2.TPMRHPlatform)},
	},
	{
		name: "a key of no hierarchy", kinds: onlyTPM, rule: byOrigin, err: tao.ErrSigner,
		change: change{attest: signerIn(tpm2.TPMRHNull)},
	},
	{
		name: "no signer", kinds: onlyTPM, rule: byOrigin, err: tao.ErrSigner,
		change: change{attest: func(a *tpm2.TPMSAttest) { a.QualifiedSigner.Buffer = nil }},
	},
}

func signerIn(hierarchy tpm2.TPMHandle) func(*tpm2.TPMSAttest) {
	return func(a *tpm2.TPMSAttest) {
		a.QualifiedSigner.Buffer = qualifiedName(hierarchy, newForger(1).bytes())
	}
}
