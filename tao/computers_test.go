package tao_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// computer is a machine with a soft attestor that keeps its registers while programs come and go, and that fails on demand.
type computer struct {
	*scene
	logFile string
	signed  []byte // the record

	mu       sync.Mutex
	attestor tao.Attestor
	extended int                   // events
	onExtend func(do func()) error // in place of extending; nil to extend
	onRead   func() error          // before reading
	onQuote  func(tao.Quote) (tao.Quote, error)
}

func newComputer(t testing.TB) *computer {
	t.Helper()
	c := &computer{scene: newScene(tao.Soft), logFile: filepath.Join(t.TempDir(), "measurements")}
	c.reboot()
	c.record.Key = c.Key()
	var err error
	c.signed, err = c.record.Sign(policyKey)
	require.NoError(t, err)
	return c
}

// reboot resets the registers.
func (c *computer) reboot() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attestor = tao.NewSoft(softKey)
}

func (c *computer) Kind() tao.Kind { return c.attestor.Kind() }
func (c *computer) Key() []byte    { return c.attestor.Key() }

func (c *computer) Extend(register uint8, digest [32]byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	do := func() {
		c.extended++
		if err := c.attestor.Extend(register, digest); err != nil {
			panic(err)
		}
	}
	if c.onExtend != nil {
		return c.onExtend(do)
	}
	do()
	return nil
}

func (c *computer) Read(register uint8) ([32]byte, error) {
	if c.onRead != nil {
		if err := c.onRead(); err != nil {
			return [32]byte{}, err
		}
	}
	return c.attestor.Read(register)
}

func (c *computer) Quote(qualifying [32]byte, registers []uint8) (tao.Quote, error) {
	q, err := c.attestor.Quote(qualifying, registers)
	if err == nil && c.onQuote != nil {
		return c.onQuote(q)
	}
	return q, err
}

func (c *computer) start() (*tao.Prover, error) {
	return tao.NewProver(tao.ProverConfig{Attestor: c, Record: c.signed, Program: program, LogFile: c.logFile})
}

// run starts the program and wants its evidence to be accepted.
func (c *computer) run(t testing.TB) *tao.Prover {
	t.Helper()
	p, err := c.start()
	require.NoError(t, err)
	c.requireAccepted(t, p)
	return p
}

func (c *computer) requireAccepted(t testing.TB, p *tao.Prover) *tao.Evidence {
	t.Helper()
	evidence, err := p.Attest(c.says(), c.policy)
	require.NoError(t, err)
	c.judge(t, evidence).requireAccepted(t)
	e, err := tao.ParseEvidence(evidence)
	require.NoError(t, err)
	c.requireKept(t, e.Log)
	return e
}

// requireKept wants the file to be what is documented of it: the register's first value, and the events.
func (c *computer) requireKept(t testing.TB, log tao.EventLog) {
	t.Helper()
	kept, err := os.ReadFile(c.logFile)
	require.NoError(t, err)
	first := [32]byte(kept)
	require.Equal(t, log.Encode(), kept[32:])
	value, err := c.attestor.Read(tao.DefaultRegister)
	require.NoError(t, err)
	require.Equal(t, value, log.Replay(first))
}

var errPower = errors.New("the power has failed")
