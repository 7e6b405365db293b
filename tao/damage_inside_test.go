package tao_test

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// TestDamageThatIsSigned changes what is inside signatures before they are made: whoever signs does not know what is good.
func TestDamageThatIsSigned(t *testing.T) {
	s := newScene(tao.TPM)
	honest := s.evidence(t, change{})
	policy := asSigned(t, s.policy)
	judge := func(edit func(*tao.Evidence)) error {
		e := *honest
		edit(&e)
		b, err := e.Encode()
		if err != nil {
			return err
		}
		_, err = policy.Verify(b, &s.subject, s.now)
		return err
	}
	t.Run("a statement", func(t *testing.T) {
		eachDamage(t, honest.Quote.Statement, func(damaged []byte) error {
			err := judge(func(e *tao.Evidence) { e.Quote = tao.Quote{Statement: damaged, Signature: s.key.sign(damaged)} })
			if err == nil && slices.Equal(withoutTime(damaged), withoutTime(honest.Quote.Statement)) {
				return nil // of another time, or by other firmware
			}
			return wants(err, tao.ErrEvidence, tao.ErrMagic, tao.ErrType, tao.ErrSigner, tao.ErrSelection, tao.ErrDigest, tao.ErrClaim, tao.ErrCleared)
		})
	})
	t.Run("a signature", func(t *testing.T) {
		eachDamage(t, honest.Quote.Signature, func(damaged []byte) error {
			return wants(judge(func(e *tao.Evidence) { e.Quote.Signature = damaged }), tao.ErrSignature)
		})
	})
	t.Run("an attestation key", func(t *testing.T) {
		eachDamage(t, s.record.Key, func(damaged []byte) error {
			record := s.record
			record.Key = damaged
			signed, err := record.Sign(policyKey)
			if err == nil {
				err = judge(func(e *tao.Evidence) { e.Record = signed })
			}
			return wants(err, tao.ErrRecord, tao.ErrKey, tao.ErrSignature, tao.ErrSigner)
		})
		for n := range s.record.Key {
			require.ErrorIs(t, tao.CheckAttestationKey(s.record.Key[:n]), tao.ErrKey, "%d bytes", n)
		}
	})
}

// TestSignedBodiesAreWhole wants no beginning of a policy or a record to be one, and nothing behind it, whoever has signed that.
func TestSignedBodiesAreWhole(t *testing.T) {
	policy := goodPolicy()
	policy.Revoked = [][32]byte{filled(1)}
	r := goodRecord()
	r.Signer = public(policyKey)
	for name, c := range map[string]struct {
		body  []byte
		parse func([]byte) error
		err   error
	}{
		"policy": {signedPolicy(t, policy)[ed25519.SignatureSize:], func(b []byte) error {
			_, err := tao.ParsePolicy(signedWith(policyKey, policyContext, b), public(policyKey))
			return err
		}, tao.ErrPolicy},
		"record": {recordBody(&r), func(b []byte) error {
			_, err := tao.ParseRecord(signedWith(policyKey, recordContext, b))
			return err
		}, tao.ErrRecord},
		"request": {ask(t, tao.Soft, asking{})[ed25519.SignatureSize:], func(b []byte) error {
			_, err := tao.ParseRequest(signedWith(nodeKey, requestContext, b))
			return err
		}, tao.ErrRequest},
	} {
		require.NoError(t, c.parse(c.body), name)
		for n := range c.body {
			require.ErrorIs(t, c.parse(c.body[:n]), c.err, fmt.Sprintf("%d bytes of a %s", n, name))
		}
		require.ErrorIs(t, c.parse(append(slices.Clone(c.body), 0)), c.err, name)
	}
}
