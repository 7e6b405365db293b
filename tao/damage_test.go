package tao_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// eachDamage calls refuse with every way in which one byte of good is another one, by three flips, with every beginning of it, and with
// something behind it.
func eachDamage(t *testing.T, good []byte, refuse func(damaged []byte) error) {
	t.Helper()
	damaged := make([]byte, len(good))
	for i := range good {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			copy(damaged, good)
			damaged[i] ^= flip
			require.NoError(t, refuse(damaged), "byte %d of %d, flipped by %#x", i, len(good), flip)
		}
		require.NoError(t, refuse(slices.Clone(good[:i])), "%d bytes of %d", i, len(good))
	}
	require.NoError(t, refuse(append(bytes.Clone(good), 0)))
	require.NoError(t, refuse(append(bytes.Clone(good), good...)))
}

// wants returns an error where err is none of these.
func wants(err error, these ...error) error {
	if slices.ContainsFunc(these, func(one error) bool { return errors.Is(err, one) }) {
		return nil
	}
	return fmt.Errorf("it ended with: %w", err)
}

// TestDamagedEvidence is about that of a TPM, and of a soft attestor.
func TestDamagedEvidence(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	chip, soft := storedScene(t), newScene(tao.Soft)
	for _, c := range []struct {
		name string
		*scene
		good []byte
	}{{"of a TPM", chip, stored(t, "evidence")}, {"soft", soft, soft.show(t, change{})}} {
		t.Run(c.name, func(t *testing.T) {
			c.judge(t, c.good).requireAccepted(t)
			p := asSigned(t, c.policy)
			eachDamage(t, c.good, func(damaged []byte) error {
				verdict, err := p.Verify(damaged, &c.subject, c.now)
				if verdict != nil {
					return fmt.Errorf("it was accepted")
				}
				return wants(err, ruleErrors...)
			})
		})
	}
}

func TestDamagedRecord(t *testing.T) {
	r := goodRecord()
	good, err := r.Sign(policyKey)
	require.NoError(t, err)
	eachDamage(t, good, func(damaged []byte) error {
		_, err := tao.ParseRecord(damaged)
		return wants(err, tao.ErrRecord)
	})
}

func TestDamagedPolicy(t *testing.T) {
	eachDamage(t, signedPolicy(t, goodPolicy()), func(damaged []byte) error {
		_, err := tao.ParsePolicy(damaged, public(policyKey))
		return wants(err, tao.ErrPolicy)
	})
}

// TestDamagedRequest flips its bytes before the node's identity signs them, and after.
func TestDamagedRequest(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	for _, kind := range anyKind {
		good := ask(t, kind, asking{before: func(r *tao.Request) { r.Endorsement.Certificates = nil }})
		eachDamage(t, good, func(damaged []byte) error {
			_, err := tao.ParseRequest(damaged)
			return wants(err, tao.ErrRequest)
		})
		eachDamage(t, good[ed25519.SignatureSize:], func(damaged []byte) error {
			_, err := tao.ParseRequest(signedWith(nodeKey, requestContext, damaged))
			return wants(err, tao.ErrRequest)
		})
	}
}

// TestDamagedCertificate is about what is no part of what a request's quote is over: it speaks for itself.
func TestDamagedCertificate(t *testing.T) {
	roots, good := rootsOf(newMaker(t, 1)), asked(t, tao.TPM, asking{})
	certificate := good.Endorsement.Certificates[0]
	for i := range certificate {
		damaged := *good
		damaged.Endorsement.Certificates = [][]byte{bytes.Clone(certificate)}
		damaged.Endorsement.Certificates[0][i] ^= 0x04
		_, _, err := tao.Grant(rand.Reader, &damaged, policyKey, roots, granted())
		require.ErrorIs(t, err, tao.ErrRoot, "byte %d", i)
	}
}

// TestDamagedGrant flips its bytes, a TPM's with the secret that its TPM would find in it.
func TestDamagedGrant(t *testing.T) {
	soft, _, err := tao.Grant(rand.Reader, asked(t, tao.Soft, asking{}), policyKey, tao.Roots{}, granted())
	require.NoError(t, err)
	eachDamage(t, soft, func(damaged []byte) error {
		_, err := tao.OpenGrant(damaged, func([]byte, []byte) ([]byte, error) { return nil, errForeign })
		return wants(err, tao.ErrRequest, tao.ErrRecord, errForeign)
	})

	m := newMachine(t)
	r, err := tao.ParseRequest(m.request(t))
	require.NoError(t, err)
	hard, _, err := tao.Grant(rand.Reader, r, policyKey, m.roots, granted())
	require.NoError(t, err)
	var credential, secret, key []byte
	_, err = tao.OpenGrant(hard, func(c, s []byte) ([]byte, error) {
		credential, secret = bytes.Clone(c), bytes.Clone(s)
		k, err := m.tpm.Device().Activate(c, s)
		key = bytes.Clone(k)
		return k, err
	})
	require.NoError(t, err)
	eachDamage(t, hard, func(damaged []byte) error {
		_, err := tao.OpenGrant(damaged, func(c, s []byte) ([]byte, error) {
			if bytes.Equal(c, credential) && bytes.Equal(s, secret) {
				return bytes.Clone(key), nil
			}
			return nil, errForeign
		})
		return wants(err, tao.ErrRequest, tao.ErrRecord, errForeign)
	})
	for i := 0; i < len(hard); i += 7 { // as the TPM sees it: it takes longer
		damaged := bytes.Clone(hard)
		damaged[i] ^= 0x10
		_, err := tao.OpenGrant(damaged, m.tpm.Device().Activate)
		require.Error(t, err, "byte %d", i)
	}
	_, err = tao.OpenGrant(hard, m.tpm.Device().Activate)
	require.NoError(t, err)
}

func TestDamagedLogIsNoLog(t *testing.T) {
	log := newScene(tao.TPM).log
	good := log.Encode()
	read, err := tao.ParseLog(good)
	require.NoError(t, err)
	require.Equal(t, log, read)
	for n := range good {
		if read, err := tao.ParseLog(good[:n]); err == nil {
			require.Equal(t, good[:n], read.Encode())
		}
	}
	for _, kind := range []byte{0, 4, 255} {
		_, err := tao.ParseLog(append([]byte{kind}, make([]byte, 40)...))
		require.Error(t, err)
	}
}
