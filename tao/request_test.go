package tao_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// asking is how a request is made, and what is different in it.
type asking struct {
	before    func(*tao.Request)     // before the attestor quotes it
	attest    func(*tpm2.TPMSAttest) // that a TPM's key signs
	after     func(*tao.Request)     // before the identity signs it
	key       *forger                // newForger(1) if nil
	signer    ed25519.PrivateKey     // nodeKey if nil
	signature func([]byte) []byte    // of the quote, as it is sent
}

// wish is what a request's quote is over.
func wish(r *tao.Request) []byte {
	return slices.Concat(r.Identity, []byte{byte(r.Kind), byte(r.Roles)}, prefixed(r.Key), prefixed(r.Endorsement.Public))
}

func requestBody(r *tao.Request) []byte {
	var certificates, registers []byte
	for _, c := range r.Endorsement.Certificates {
		certificates = append(certificates, prefixed(c)...)
	}
	for _, register := range r.Registers {
		registers = slices.Concat(registers, []byte{register.Index}, register.Value[:])
	}
	return slices.Concat(wish(r), prefixed(certificates), prefixed(registers), prefixed(r.Quote.Statement), prefixed(r.Quote.Signature))
}

// ask returns a request with one thing different. A TPM's is made with the forger's key, and an endorsement key that the maker
// with number 1 has certified.
func ask(t testing.TB, kind tao.Kind, a asking) []byte {
	t.Helper()
	s := newScene(kind)
	if a.key != nil {
		s.key = a.key
	}
	if a.signer == nil {
		a.signer = nodeKey
	}
	r := &tao.Request{
		Identity: public(nodeKey), Kind: kind, Key: s.attestationKey(), Roles: tao.RolesOf(tao.Mix, tao.Exit),
		Registers: []tao.Register{{Index: 0, Value: firmware}, {Index: 14}},
	}
	if kind == tao.TPM {
		r.Endorsement = newMaker(t, 1).endorsed(t, 2)
	}
	if a.before != nil {
		a.before(r)
	}
	qualifying := sha256.Sum256(slices.Concat([]byte("sphinxmix enrolment request quote v1\x00"), wish(r)))
	r.Quote.Statement = s.statement(t, qualifying, r.Registers, a.attest)
	r.Quote.Signature = s.sign(r.Quote.Statement)
	if a.signature != nil {
		r.Quote.Signature = a.signature(r.Quote.Signature)
	}
	if a.after != nil {
		a.after(r)
	}
	return signedWith(a.signer, requestContext, requestBody(r))
}

func TestRequestIsReadAsItWasMade(t *testing.T) {
	for _, kind := range anyKind {
		signed := ask(t, kind, asking{})
		r, err := tao.ParseRequest(signed)
		require.NoError(t, err)
		require.Equal(t, newScene(kind).clock, r.Clock)
		require.Equal(t, signed[ed25519.SignatureSize:], requestBody(r))
		clear(signed)
		require.Equal(t, public(nodeKey), r.Identity)
		require.Equal(t, newScene(kind).attestationKey(), r.Key)
	}
	a := tao.NewSoft(softKey)
	require.NoError(t, a.Extend(14, filled(1)))
	signed, err := tao.NewRequest(nodeKey, a, tao.Endorsement{}, tao.RolesOf(tao.Mix), []uint8{3, 14})
	require.NoError(t, err)
	r, err := tao.ParseRequest(signed)
	require.NoError(t, err)
	require.Equal(t, signedWith(nodeKey, requestContext, requestBody(r)), signed)
	require.Equal(t, []tao.Register{{Index: 3}, {Index: 14, Value: tao.Extend([32]byte{}, filled(1))}}, r.Registers)
}

// TestRequestsThatNobodyIsToGrant are refused before an authority sees them: by the error of the rule that evidence would break.
func TestRequestsThatNobodyIsToGrant(t *testing.T) {
	spoiled := func(spoil func(*tpm2.TPMTPublic)) *forger {
		f := newForger(1)
		spoil(&f.public)
		return f
	}
	for _, c := range []struct {
		name  string
		kinds []tao.Kind
		ask   asking
		err   error // besides ErrRequest
	}{
		{"signed by another node", nil, asking{signer: otherNodeKey}, nil},
		{"no kind", onlySoft, asking{before: func(r *tao.Request) { r.Kind = 0 }}, nil},
		{"a kind that is not yet", nil, asking{before: func(r *tao.Request) { r.Kind = tao.Soft + 1 }}, nil},
		{"no role", nil, asking{before: func(r *tao.Request) { r.Roles = 0 }}, nil},
		{"a role that is not yet", nil, asking{before: func(r *tao.Request) { r.Roles = 8 }}, nil},
		{"five certificates", onlyTPM, asking{before: func(r *tao.Request) {
			r.Endorsement.Certificates = slices.Repeat([][]byte{{1}}, 5)
		}}, nil},
		{"a soft attestor with an endorsement key", onlySoft, asking{before: func(r *tao.Request) { r.Endorsement.Public = []byte{1} }}, nil},
		{"a soft attestor with a certificate", onlySoft, asking{before: func(r *tao.Request) { r.Endorsement.Certificates = [][]byte{{1}} }}, nil},
		{"no attestation key", nil, asking{before: func(r *tao.Request) { r.Key = nil }}, nil},
		{"an attestation key with something behind it", nil, asking{before: func(r *tao.Request) { r.Key = append(r.Key, 0) }}, nil},
		{"no statement", nil, asking{after: func(r *tao.Request) { r.Quote.Statement = nil }}, tao.ErrEvidence},
		{"a statement with something behind it", nil, asking{after: func(r *tao.Request) { r.Quote.Statement = append(r.Quote.Statement, 0) }}, tao.ErrEvidence},
		{"a statement that another key has signed", nil, asking{after: func(r *tao.Request) {
			other := newScene(r.Kind)
			other.key, other.softKey = newForger(9), strangerKey
			r.Quote.Signature = other.sign(r.Quote.Statement)
		}}, tao.ErrSignature},
		{"a signature with something behind it", nil, asking{signature: func(b []byte) []byte { return append(b, 0) }}, tao.ErrSignature},
		{"an attestation key that signs anything", onlyTPM, asking{key: spoiled(func(p *tpm2.TPMTPublic) { p.ObjectAttributes.Restricted = false })}, tao.ErrKey},
		{"an attestation key that may be elsewhere", onlyTPM, asking{key: spoiled(func(p *tpm2.TPMTPublic) { p.ObjectAttributes.FixedTPM = false })}, tao.ErrKey},
		{"an attestation key with a name of SHA-384", onlyTPM, asking{key: spoiled(func(p *tpm2.TPMTPublic) { p.NameAlg = tpm2.TPMAlgSHA384 })}, tao.ErrKey},
		{"wrong magic", onlyTPM, asking{attest: func(a *tpm2.TPMSAttest) { a.Magic++ }}, tao.ErrMagic},
		{"a certification", onlyTPM, asking{
			attest: otherType(tpm2.TPMSTAttestCertify, tpm2.NewTPMUAttest(tpm2.TPMSTAttestCertify, &tpm2.TPMSCertifyInfo{})).attest,
		}, tao.ErrType},
		{"a key of the owner's hierarchy", onlyTPM, asking{attest: signerIn(tpm2.TPMRHOwner)}, tao.ErrSigner},
		{"a quote of other registers", onlyTPM, asking{attest: quoted(bankOf(tpm2.TPMAlgSHA256, 0, 15)).attest}, tao.ErrSelection},
		{"a quote of another bank", onlyTPM, asking{attest: quoted(bankOf(tpm2.TPMAlgSHA1, 0, 14)).attest}, tao.ErrSelection},
		{"a register that was not quoted", nil, asking{after: func(r *tao.Request) { r.Registers = append(r.Registers, tao.Register{Index: 15}) }}, tao.ErrSelection},
		{"registers in another order", nil, asking{before: func(r *tao.Request) { slices.Reverse(r.Registers) }}, tao.ErrSelection},
		{"a register twice", nil, asking{before: func(r *tao.Request) { r.Registers = slices.Insert(r.Registers, 0, r.Registers[0]) }}, tao.ErrSelection},
		{"a value that was not quoted", nil, asking{after: func(r *tao.Request) { r.Registers[0].Value = newFirmware }}, tao.ErrDigest},
		{"a quote of another nonce", onlyTPM, asking{attest: nonce(func(b []byte) []byte { return b[:31] }).attest}, tao.ErrClaim},
		{"the quote of another node's request", nil, asking{
			before: func(r *tao.Request) { r.Identity = public(otherNodeKey) },
			after:  func(r *tao.Request) { r.Identity = public(nodeKey) },
		}, tao.ErrClaim},
		{"the quote of a request for another role", nil, asking{after: func(r *tao.Request) { r.Roles = tao.RolesOf(tao.Exit) }}, tao.ErrClaim},
		{"the quote of a request with another endorsement key", onlyTPM, asking{
			after: func(r *tao.Request) { r.Endorsement = newMaker(t, 1).endorsed(t, 3) },
		}, tao.ErrClaim},
	} {
		if c.kinds == nil {
			c.kinds = anyKind
		}
		for _, kind := range c.kinds {
			t.Run(c.name+", "+kind.String(), func(t *testing.T) {
				_, err := tao.ParseRequest(ask(t, kind, c.ask))
				require.ErrorIs(t, err, tao.ErrRequest)
				if c.err != nil {
					require.ErrorIs(t, err, c.err)
				}
			})
		}
	}
}

// TestRequestOfTheLargestSize is about the limits of all of it, and of its certificates.
func TestRequestOfTheLargestSize(t *testing.T) {
	filledUp := func(size int) []byte {
		return ask(t, tao.TPM, asking{before: func(r *tao.Request) { r.Endorsement.Certificates = [][]byte{make([]byte, size)} }})
	}
	room := tao.MaxRequestSize - len(filledUp(0))
	_, err := tao.ParseRequest(filledUp(room))
	require.NoError(t, err)
	_, err = tao.ParseRequest(filledUp(room + 1))
	require.ErrorIs(t, err, tao.ErrRequest)
	endorsement := tao.Endorsement{Public: make([]byte, 1<<15), Certificates: [][]byte{make([]byte, 1<<16)}}
	_, err = tao.NewRequest(nodeKey, tao.NewSoft(softKey), endorsement, tao.RolesOf(tao.Mix), []uint8{14})
	require.ErrorIs(t, err, tao.ErrRequest)
	_, err = tao.NewRequest(nodeKey, tao.NewSoft(softKey), tao.Endorsement{}, tao.RolesOf(tao.Mix), []uint8{24})
	require.ErrorContains(t, err, "no such register")
}

func TestRequestsThatAreNone(t *testing.T) {
	good := ask(t, tao.Soft, asking{})
	for name, b := range map[string][]byte{
		"nothing": nil, "a signature": good[:64], "a signature and an identity": good[:96], "something behind it": append(slices.Clone(good), 0),
		"more than there is room for": make([]byte, tao.MaxRequestSize+1),
	} {
		_, err := tao.ParseRequest(b)
		require.ErrorIs(t, err, tao.ErrRequest, name)
	}
	for _, key := range keysOfLowOrder(t) {
		signed := forgeFor(t, key, requestContext, func(n uint32) []byte {
			r := &tao.Request{Identity: key, Kind: tao.Soft, Roles: tao.RolesOf(tao.Mix), Key: public(softKey), Registers: []tao.Register{{Index: 14}}}
			r.Registers[0].Value = [32]byte(append(number(8, uint64(n)), make([]byte, 24)...))
			qualifying := sha256.Sum256(slices.Concat([]byte("sphinxmix enrolment request quote v1\x00"), wish(r)))
			s := newScene(tao.Soft)
			r.Quote.Statement = s.statement(t, qualifying, r.Registers, nil)
			r.Quote.Signature = s.sign(r.Quote.Statement)
			return requestBody(r)
		})
		_, err := tao.ParseRequest(signed)
		require.ErrorIs(t, err, tao.ErrRequest, "%x", key)
	}
}
