package tao_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// stored returns a file of testdata, of which its README says what it is.
func stored(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return b
}

// storedScene returns the machine that the stored evidence is of, as its readers see it.
func storedScene(t testing.TB) *scene {
	t.Helper()
	s := newScene(tao.TPM)
	var err error
	s.policy, err = tao.ParsePolicy(stored(t, "policy"), public(policyKey))
	require.NoError(t, err)
	return s
}

// TestStoredEvidenceIsStillAccepted shows that what nodes have made stays good, and that it takes no TPM to see it.
func TestStoredEvidenceIsStillAccepted(t *testing.T) {
	s := storedScene(t)
	j := s.judge(t, stored(t, "evidence"))
	j.requireAccepted(t)
	require.Equal(t, tao.TPM, j.verdict.Record.Kind)
	r, err := tao.ParseRequest(stored(t, "request"))
	require.NoError(t, err)
	require.Equal(t, j.verdict.Record.Key, r.Key)
	require.Len(t, r.Endorsement.Certificates, 1)
	hash, err := tao.EndorsementHash(r.Endorsement.Public)
	require.NoError(t, err)
	require.Equal(t, j.verdict.Record.Endorsement, hash)
	_, err = tao.OpenGrant(stored(t, "grant"), func(credential, secret []byte) ([]byte, error) {
		require.NotEmpty(t, credential)
		require.NotEmpty(t, secret)
		return nil, errForeign // as the TPM is gone
	})
	require.ErrorIs(t, err, errForeign)
}

// TestWriteStored writes testdata anew where SPHINXMIX_WRITE_TESTDATA is set: for a new version of an encoding.
func TestWriteStored(t *testing.T) {
	if os.Getenv("SPHINXMIX_WRITE_TESTDATA") == "" {
		t.Skip("SPHINXMIX_WRITE_TESTDATA is not set")
	}
	m := newMachine(t)
	request := m.request(t)
	r, err := tao.ParseRequest(request)
	require.NoError(t, err)
	grant, _, err := tao.Grant(rand.Reader, r, policyKey, m.roots, granted())
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll("testdata", 0o755))
	for name, b := range map[string][]byte{
		"evidence": m.attest(t, m.prover(t)), "policy": signedPolicy(t, m.policy), "request": request, "grant": grant,
	} {
		require.NoError(t, os.WriteFile(filepath.Join("testdata", name), b, 0o644))
	}
}
