package tao_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/nodetest/printing"
	"sphinxmix.example/tao"
)

// TestConcurrentEvidence asks one prover from many goroutines, and wants each evidence to be good.
func TestConcurrentEvidence(t *testing.T) {
	c := newComputer(t)
	p, err := c.start()
	require.NoError(t, err)
	requireConcurrent(t, c.scene, p)
	require.Equal(t, len(c.measured()), c.extended)
	c.requireAccepted(t, p)
}

func TestConcurrentEvidenceOfAChip(t *testing.T) {
	m := newMachine(t)
	requireConcurrent(t, m.scene, m.prover(t))
}

func requireConcurrent(t *testing.T, s *scene, p *tao.Prover) {
	t.Helper()
	policy := asSigned(t, s.policy)
	var all sync.WaitGroup
	failures := make(chan error, 8)
	for n := range 8 {
		all.Go(func() {
			says := s.says()
			says.Stamp = stampOf(directoryKey, start.Add(-time.Duration(n)*time.Minute))
			for range 3 {
				evidence, err := p.Attest(says, policy)
				if err == nil {
					_, err = policy.Verify(evidence, &s.subject, start)
				}
				if err != nil || p.Room() > 0.1 {
					failures <- fmt.Errorf("%w; room %v", err, p.Room())
					return
				}
			}
		})
	}
	all.Wait()
	close(failures)
	require.NoError(t, <-failures)
}

// TestRegisterThatChangesBetweenReadingAndQuoting wants the evidence to show the values that were quoted.
func TestRegisterThatChangesBetweenReadingAndQuoting(t *testing.T) {
	c := newComputer(t)
	p := c.run(t)
	changed := 0
	c.onQuote = func(q tao.Quote) (tao.Quote, error) {
		if changed++; changed == 5 {
			return q, nil
		}
		require.NoError(t, c.attestor.Extend(tao.DefaultRegister, filled(1)))
		return c.attestor.Quote(c.claim(), []uint8{tao.DefaultRegister})
	}
	_, err := p.Attest(c.says(), c.policy)
	require.ErrorContains(t, err, "register 14")
}

func TestRegistersThatAlwaysChange(t *testing.T) {
	c := newComputer(t)
	p := c.run(t)
	asked := 0
	c.onQuote = func(tao.Quote) (tao.Quote, error) {
		asked++
		require.NoError(t, c.attestor.Extend(tao.DefaultRegister, filled(1)))
		return c.attestor.Quote(digest("a claim"), []uint8{tao.DefaultRegister})
	}
	_, err := p.Attest(c.says(), c.policy)
	require.ErrorContains(t, err, "change all the time")
	require.Equal(t, 5, asked)
}

// TestAttestorThatFails wants the failure to be told, and the next try to be good.
func TestAttestorThatFails(t *testing.T) {
	c := newComputer(t)
	p, err := c.start()
	require.NoError(t, err)
	require.Greater(t, p.Room(), 0.0)
	fail := errors.New("the TPM is busy")

	c.onExtend = func(func()) error { return fail }
	_, err = p.Attest(c.says(), c.policy)
	require.ErrorIs(t, err, fail)
	c.onExtend = nil
	c.onRead = func() error { c.onRead = nil; return fail } // once
	_, err = p.Attest(c.says(), c.policy)
	require.ErrorIs(t, err, fail)
	c.onRead = func() error { c.onRead = nil; return fail }
	_, err = c.start()
	require.ErrorIs(t, err, fail)
	c.requireAccepted(t, p)

	c.onRead = func() error { return fail }
	_, err = p.Attest(c.says(), c.policy)
	require.ErrorIs(t, err, fail)
	c.onRead = nil
	c.onQuote = func(tao.Quote) (tao.Quote, error) { return tao.Quote{}, fail }
	_, err = p.Attest(c.says(), c.policy)
	require.ErrorIs(t, err, fail)
	c.onQuote = func(q tao.Quote) (tao.Quote, error) { q.Statement = q.Statement[1:]; return q, nil }
	_, err = p.Attest(c.says(), c.policy)
	require.ErrorIs(t, err, tao.ErrEvidence)
	c.onQuote = nil
	c.requireAccepted(t, p)
}

func TestProverOfAnotherNode(t *testing.T) {
	c := newComputer(t)
	good := tao.ProverConfig{Attestor: c, Record: c.signed, Program: program, LogFile: c.logFile}
	for name, spoil := range map[string]func(*tao.ProverConfig){
		"no record": func(cfg *tao.ProverConfig) { cfg.Record = nil },
		"a record of another key": func(cfg *tao.ProverConfig) {
			cfg.Attestor = tao.NewSoft(strangerKey)
		},
		"a record of another kind": func(cfg *tao.ProverConfig) {
			r := c.record
			r.Kind = tao.TPM
			var err error
			cfg.Record, err = r.Sign(policyKey)
			require.NoError(t, err)
		},
	} {
		cfg := good
		spoil(&cfg)
		_, err := tao.NewProver(cfg)
		require.ErrorIs(t, err, tao.ErrRecord, name)
	}
	cfg := good
	cfg.Register = 16
	_, err := tao.NewProver(cfg)
	require.ErrorContains(t, err, "give one from 1 to 15")
	require.NoError(t, tao.CheckLogRegister(15))

	p, err := tao.NewProver(good)
	require.NoError(t, err)
	require.Equal(t, tao.Soft, p.Kind())
	require.Equal(t, public(nodeKey), p.Record().Identity)
	for name, spoil := range map[string]func(*tao.Statement, *tao.Policy){
		"no identity":      func(s *tao.Statement, _ *tao.Policy) { s.Identity = nil },
		"four keys":        func(s *tao.Statement, _ *tao.Policy) { s.Keys = make([]tao.EpochKey, tao.MaxKeys+1) },
		"another register": func(_ *tao.Statement, p *tao.Policy) { p.LogRegister = 13 },
	} {
		says, policy := c.says(), *c.policy
		spoil(&says, &policy)
		_, err := p.Attest(says, &policy)
		require.Error(t, err, name)
		require.Equal(t, 1, c.extended, name)
	}
	// A stamp for which evidence has no room is not for readers.
	says := c.says()
	says.Stamp = make([]byte, tao.MaxEvidenceSize)
	_, err = p.Attest(says, c.policy)
	require.ErrorIs(t, err, tao.ErrEvidence)
}

// TestProverWithoutAFile is for attestors whose registers are gone with the program.
func TestProverWithoutAFile(t *testing.T) {
	c := newComputer(t)
	c.logFile = ""
	p, err := c.start()
	require.NoError(t, err)
	evidence, err := p.Attest(c.says(), c.policy)
	require.NoError(t, err)
	c.judge(t, evidence).requireAccepted(t)
}

func TestProgramIsItsFile(t *testing.T) {
	path, err := os.Executable()
	require.NoError(t, err)
	want, err := tao.FileDigest(path)
	require.NoError(t, err)
	got, err := tao.ProgramDigest()
	require.NoError(t, err)
	require.Equal(t, want, got)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, digest(string(content)), got)
	_, err = tao.FileDigest(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = tao.FileDigest(t.TempDir())
	require.Error(t, err)
}

func TestSoftAttestor(t *testing.T) {
	a := tao.NewSoft(softKey)
	require.Error(t, a.Extend(24, filled(1)))
	_, err := a.Read(24)
	require.Error(t, err)
	_, err = a.Quote(filled(1), []uint8{24})
	require.Error(t, err)
	require.NoError(t, a.Extend(23, filled(1)))
	value, err := a.Read(23)
	require.NoError(t, err)
	require.Equal(t, tao.Extend([32]byte{}, filled(1)), value)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		require.Equal(t, "tao.soft", fmt.Sprintf(verb, a))
	}
	printing.RequireHidden(t, a, softKey)
}
