package tao_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// addSeeds wants every seed to be accepted: one that is refused at its first byte leads the fuzzer nowhere.
func addSeeds(f *testing.F, accepted func([]byte) error, seeds ...[]byte) {
	f.Helper()
	require.NotEmpty(f, seeds)
	for _, seed := range seeds {
		require.NoError(f, accepted(seed))
		f.Add(seed)
	}
}

// FuzzParseEvidence wants what is accepted to be the one encoding of its meaning, and the policy to be quiet about all of it.
func FuzzParseEvidence(f *testing.F) {
	s := storedScene(f)
	soft := newScene(tao.Soft)
	addSeeds(f, func(b []byte) error { _, err := tao.ParseEvidence(b); return err },
		stored(f, "evidence"), soft.show(f, change{}), newScene(tao.TPM).show(f, change{}))
	policy := asSigned(f, s.policy)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := tao.ParseEvidence(b)
		findings, _ := policy.Explain(b, &s.subject, s.now)
		if err != nil {
			require.ErrorIs(t, err, tao.ErrEvidence)
			require.Len(t, findings, 1)
			return
		}
		again, err := e.Encode()
		require.NoError(t, err)
		require.Equal(t, b, again)
	})
}

// FuzzParseRecord parses the input as it is, and once more signed by a key that the test has, to reach what is behind the signature.
func FuzzParseRecord(f *testing.F) {
	r := goodRecord()
	good, err := r.Sign(policyKey)
	require.NoError(f, err)
	e, err := tao.ParseEvidence(stored(f, "evidence"))
	require.NoError(f, err)
	addSeeds(f, func(b []byte) error { _, err := tao.ParseRecord(b); return err }, good, e.Record)
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := tao.ParseRecord(b)
		require.True(t, err == nil || errors.Is(err, tao.ErrRecord), "%v", err)
		if len(b) < ed25519.SignatureSize+ed25519.PublicKeySize {
			return
		}
		body := slices.Concat([]byte(public(policyKey)), b[ed25519.SignatureSize+ed25519.PublicKeySize:])
		own := signedWith(policyKey, recordContext, body)
		if r, err := tao.ParseRecord(own); err == nil {
			require.Equal(t, body, recordBody(r))
			again, err := r.Sign(policyKey)
			require.NoError(t, err)
			require.Equal(t, own, again)
		}
	})
}

func FuzzParsePolicy(f *testing.F) {
	rich := goodPolicy()
	rich.Revoked = [][32]byte{filled(1), filled(2)}
	rich.Registers = append(rich.Registers, tao.RegisterRule{Index: 14, Values: [][32]byte{{}, filled(1)}})
	addSeeds(f, func(b []byte) error { _, err := tao.ParsePolicy(b, public(policyKey)); return err },
		stored(f, "policy"), signedPolicy(f, rich))
	s := storedScene(f)
	evidence := stored(f, "evidence")
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := tao.ParsePolicy(b, public(policyKey))
		require.True(t, err == nil || errors.Is(err, tao.ErrPolicy), "%v", err)
		if len(b) < ed25519.SignatureSize {
			return
		}
		own := signedWith(policyKey, policyContext, b[ed25519.SignatureSize:])
		p, err := tao.ParsePolicy(own, public(policyKey))
		if err != nil {
			return
		}
		require.Equal(t, own[ed25519.SignatureSize:], policyBody(p))
		again, err := p.Sign(policyKey)
		require.NoError(t, err)
		require.Equal(t, own, again)
		require.True(t, slices.IsSorted(p.Quoted(tao.TPM)))
		p.Explain(evidence, &s.subject, s.now)
	})
}

// FuzzParseRequest has the identity of the tests sign the input anew, so that the quote is what has to stand.
func FuzzParseRequest(f *testing.F) {
	addSeeds(f, func(b []byte) error { _, err := tao.ParseRequest(b); return err },
		stored(f, "request"), ask(f, tao.Soft, asking{}), ask(f, tao.TPM, asking{}))
	roots := rootsOf(newMaker(f, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := tao.ParseRequest(b)
		require.True(t, err == nil || errors.Is(err, tao.ErrRequest), "%v", err)
		if len(b) < ed25519.SignatureSize+ed25519.PublicKeySize {
			return
		}
		own := signedWith(nodeKey, requestContext, slices.Concat(public(nodeKey), b[ed25519.SignatureSize+ed25519.PublicKeySize:]))
		r, err := tao.ParseRequest(own)
		if err != nil {
			return
		}
		require.Equal(t, own[ed25519.SignatureSize:], requestBody(r))
		_, _, err = tao.Grant(bytes.NewReader(make([]byte, 4096)), r, policyKey, roots, granted())
		require.True(t, err == nil || errors.Is(err, tao.ErrRequest), "%v", err)
	})
}

// FuzzOpenGrant opens the input as it is, and once more with the input as what the TPM's secret is for.
func FuzzOpenGrant(f *testing.F) {
	soft, _, err := tao.Grant(noRandomness{}, asked(f, tao.Soft, asking{}), policyKey, tao.Roots{}, granted())
	require.NoError(f, err)
	activate := func([]byte, []byte) ([]byte, error) { return make([]byte, 32), nil }
	addSeeds(f, func(b []byte) error { _, err := tao.OpenGrant(b, activate); return err }, soft)
	f.Add(stored(f, "grant"))
	f.Add(soft[3:])
	block, err := aes.NewCipher(make([]byte, 32))
	require.NoError(f, err)
	box, err := cipher.NewGCM(block)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, b []byte) {
		requireRecord(t, b, activate)
		sealed := box.Seal(nil, make([]byte, box.NonceSize()), b, nil)
		if len(sealed) < 1<<16 {
			requireRecord(t, slices.Concat([]byte{byte(tao.TPM)}, prefixed([]byte("a credential")), prefixed(nil), prefixed(sealed)), activate)
		}
	})
}

func requireRecord(t *testing.T, grant []byte, activate func(credential, secret []byte) ([]byte, error)) {
	t.Helper()
	record, err := tao.OpenGrant(grant, activate)
	if err != nil {
		require.True(t, errors.Is(err, tao.ErrRequest) || errors.Is(err, tao.ErrRecord), "%v", err)
		return
	}
	_, err = tao.ParseRecord(record)
	require.NoError(t, err)
}

func FuzzParseLog(f *testing.F) {
	addSeeds(f, func(b []byte) error { _, err := tao.ParseLog(b); return err }, newScene(tao.TPM).log.Encode(), nil)
	f.Fuzz(func(t *testing.T, b []byte) {
		if log, err := tao.ParseLog(b); err == nil {
			require.True(t, bytes.Equal(b, log.Encode()))
		}
	})
}
