package tao

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
)

// ProverConfig is what a [Prover] needs. All but Register and LogFile is required.
type ProverConfig struct {
	Attestor Attestor
	Record   []byte   // that enrolled the node, signed
	Program  [32]byte // SHA-256 of the program that runs: see ProgramDigest
	Register uint8    // that events are measured into, 1 to 15; DefaultRegister if zero

	// LogFile keeps the log for as long as the machine runs, and must be this node's alone. It may be empty where the
	// attestor's registers end with the process.
	LogFile string
}

// Prover makes a node's evidence. It is safe for concurrent use.
type Prover struct {
	cfg    ProverConfig
	record *Record

	mu  sync.Mutex
	log *journal // guarded by mu
	off bool     // the log may not be in step with its register; guarded by mu
}

// Statement is what a node says of itself in evidence.
type Statement struct {
	Identity      ed25519.PublicKey
	Role          Role
	Keys          []EpochKey // up to MaxKeys, by ascending epoch
	Configuration Configuration
	Stamp         []byte // the newest of the directory
}

// NewProver returns a prover for a program that starts now, and measures that. It fails where the register has been
// extended by others since the machine was started.
func NewProver(cfg ProverConfig) (*Prover, error) {
	if cfg.Register == 0 {
		cfg.Register = DefaultRegister
	}
	if err := CheckLogRegister(cfg.Register); err != nil {
		return nil, err
	}
	record, err := ParseRecord(cfg.Record)
	switch {
	case err != nil:
		return nil, err
	case record.Kind != cfg.Attestor.Kind():
		return nil, fmt.Errorf("%w: it is for a %v attestor, and this is a %v one", ErrRecord, record.Kind, cfg.Attestor.Kind())
	case !slices.Equal(record.Key, cfg.Attestor.Key()):
		return nil, fmt.Errorf("%w: it is for another attestation key than this machine has: enrol the node again", ErrRecord)
	}
	p := &Prover{cfg: cfg, record: record}
	if p.log, err = openJournal(cfg.LogFile, cfg.Register, cfg.Attestor); err != nil {
		return nil, err
	}
	// A program that fails to start, again and again, must not fill the log.
	if started := p.started(); !slices.Equal(p.log.events.running(), EventLog{started}) {
		if err := p.log.measure(started); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *Prover) started() Event { return Event{Kind: ProgramStarted, Digest: p.cfg.Program} }

// measure measures those events that the program which runs has not.
func (p *Prover) measure(events ...Event) (err error) {
	if p.off {
		if err := p.log.sync(); err != nil {
			return err
		}
		p.off = false
	}
	for _, e := range append([]Event{p.started()}, events...) { // the first is missing where the machine was started anew meanwhile
		if slices.Contains(p.log.events.running(), e) {
			continue
		}
		if err := p.log.measure(e); err != nil {
			p.off = !errors.Is(err, ErrLogFull)
			return err
		}
	}
	return nil
}

// Kind returns the kind of the attestor.
func (p *Prover) Kind() Kind { return p.record.Kind }

// Record returns what enrolled the node, which must not be changed.
func (p *Prover) Record() *Record { return p.record }

// Room returns how much of the room for the log is taken, from 0 to 1. It becomes free when the machine is started
// anew.
func (p *Prover) Room() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return float64(len(p.log.events.Encode())) / maxLogSize
}

// maxLogSize leaves room for all else in evidence.
const maxLogSize = MaxEvidenceSize - MaxRecordSize - MaxStampSize - maxStatementSize - maxSignatureSize - 24*33 - 128

// ErrLogFull is returned where no more events can be measured until the machine is started anew.
var ErrLogFull = errors.New("tao: the log of what this machine has measured is full: start the machine anew")

// Attest measures what is new in a statement, and returns evidence of it for readers who judge by policy. The error
// wraps ErrLogFull, or is the attestor's.
func (p *Prover) Attest(s Statement, policy *Policy) ([]byte, error) {
	if len(s.Identity) != ed25519.PublicKeySize || len(s.Keys) > MaxKeys {
		return nil, errors.New("tao: a statement needs an identity, and has no more keys than a claim")
	}
	if policy.LogRegister != p.cfg.Register {
		return nil, fmt.Errorf("tao: the policy wants events in register %d, and this node measures them into %d: change its configuration, and start the machine anew",
			policy.LogRegister, p.cfg.Register)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	events := []Event{{Kind: Configured, Digest: s.Configuration.Digest()}}
	for _, k := range s.Keys {
		events = append(events, Event{KeyMade, k.Epoch, k.Key})
	}
	if err := p.measure(events...); err != nil {
		return nil, err
	}
	claim := Claim{s.Identity, s.Role, s.Keys, s.Configuration.Digest(), StampDigest(s.Stamp)}
	e := &Evidence{
		Record:        p.cfg.Record,
		Kind:          p.record.Kind,
		Configuration: s.Configuration,
		Stamp:         s.Stamp,
		LogRegister:   p.cfg.Register,
		Log:           p.log.events,
	}
	var err error
	if e.Quote, e.Registers, err = quote(p.cfg.Attestor, claim.Digest(), policy.Quoted(p.record.Kind)); err != nil {
		return nil, err
	}
	for _, r := range e.Registers {
		if r.Index == p.cfg.Register && r.Value != p.log.events.Replay(p.log.start) {
			p.off = true
			return nil, p.log.foreign()
		}
	}
	return e.Encode()
}

// quote returns a quote and the values that it is over. Registers may change between the one and the other.
func quote(a Attestor, qualifying [32]byte, registers []uint8) (Quote, []Register, error) {
	key, err := parseKey(a.Kind(), a.Key())
	if err != nil {
		return Quote{}, nil, err
	}
	for range 5 {
		var values []Register
		for _, index := range registers {
			value, err := a.Read(index)
			if err != nil {
				return Quote{}, nil, err
			}
			values = append(values, Register{index, value})
		}
		q, err := a.Quote(qualifying, registers)
		if err != nil {
			return Quote{}, nil, err
		}
		said, err := key.read(q.Statement)
		if err != nil {
			return Quote{}, nil, err
		}
		if said.registers == digestOf(values) {
			return q, values, nil
		}
	}
	return Quote{}, nil, errors.New("tao: the registers change all the time: something else measures into them")
}

// ProgramDigest returns the SHA-256 of the program that runs, as a policy knows it.
func ProgramDigest() ([32]byte, error) {
	path := "/proc/self/exe" // which is the program that runs, even where its file has been replaced
	if _, err := os.Stat(path); err != nil {
		if path, err = os.Executable(); err != nil {
			return [32]byte{}, fmt.Errorf("tao: the program's own file: %w", err)
		}
	}
	return FileDigest(path)
}

// FileDigest returns the SHA-256 of a program's file.
func FileDigest(path string) (digest [32]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return digest, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return digest, err
	}
	return [32]byte(h.Sum(nil)), nil
}
