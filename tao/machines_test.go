package tao_test

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
	"sphinxmix.example/tao/swtpm"
)

// factory has made all TPMs of these tests.
var factory = sync.OnceValue(func() *swtpm.Factory {
	f, err := swtpm.NewFactory(start)
	if err != nil {
		panic(err)
	}
	return f
})

// machine is a computer with a TPM, and a node that an authority has enrolled.
type machine struct {
	*scene
	tpm      *swtpm.TPM
	attestor tao.Attestor
	roots    tao.Roots // of the authority
	signed   []byte    // the record
	logFile  string
}

// needTPM leaves out a test where there are no software TPMs, but not where everything is to be tested.
func needTPM(t testing.TB) {
	t.Helper()
	if err := swtpm.Found(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// newTPM starts one with the certificate of the factory.
func newTPM(t testing.TB) *swtpm.TPM {
	t.Helper()
	needTPM(t)
	chip, err := swtpm.Start(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, chip.Close()) })
	require.NoError(t, factory().Certify(chip.Device()))
	return chip
}

// newMachine returns one with a TPM of the factory.
func newMachine(t testing.TB) *machine {
	t.Helper()
	return newMachineOf(t, newTPM(t))
}

// newMachineOf returns one that an authority has enrolled who knows the factory, and the TPMs of these endorsement keys.
func newMachineOf(t testing.TB, chip *swtpm.TPM, endorsements ...[32]byte) *machine {
	t.Helper()
	m := &machine{scene: newScene(tao.TPM), tpm: chip, logFile: filepath.Join(t.TempDir(), "measurements")}
	m.roots = tao.Roots{Authorities: []*x509.Certificate{factory().Root()}, Endorsements: endorsements}
	m.policy.Roots = [][32]byte{sha256.Sum256(factory().Root().Raw)}
	m.policy.Registers[0].Values = [][32]byte{{}, firmware}
	var err error
	m.attestor, err = m.tpm.Device().Attestor()
	require.NoError(t, err)
	m.enrol(t)
	return m
}

// enrol has the authority sign a record, as both sides do it.
func (m *machine) enrol(t testing.TB) {
	t.Helper()
	request, err := tao.ParseRequest(m.request(t))
	require.NoError(t, err)
	grant, record, err := tao.Grant(rand.Reader, request, policyKey, m.roots, granted())
	require.NoError(t, err)
	m.signed, err = tao.OpenGrant(grant, m.tpm.Device().Activate)
	require.NoError(t, err)
	m.record = *record
}

func (m *machine) request(t testing.TB) []byte {
	t.Helper()
	endorsement, err := m.tpm.Device().Endorsement()
	require.NoError(t, err)
	request, err := tao.NewRequest(nodeKey, m.attestor, endorsement, tao.RolesOf(tao.Mix, tao.Exit), []uint8{0, tao.DefaultRegister})
	require.NoError(t, err)
	return request
}

// prover begins the node's program.
func (m *machine) prover(t testing.TB) *tao.Prover {
	t.Helper()
	p, err := tao.NewProver(tao.ProverConfig{Attestor: m.attestor, Record: m.signed, Program: program, LogFile: m.logFile})
	require.NoError(t, err)
	return p
}

func (s *scene) says() tao.Statement {
	return tao.Statement{Identity: s.subject.Identity, Role: s.subject.Role, Keys: s.subject.Keys, Configuration: s.settings, Stamp: s.stamp}
}

// attest returns what the program shows.
func (m *machine) attest(t testing.TB, p *tao.Prover) []byte {
	t.Helper()
	evidence, err := p.Attest(m.says(), m.policy)
	require.NoError(t, err)
	return evidence
}
