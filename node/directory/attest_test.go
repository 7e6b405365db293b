package directory

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

var (
	policyKey = identity(210)
	program   = sha256.Sum256([]byte("the program that nodes are to run"))
	settings  = tao.Configuration{Network: network.Hash(), Strategy: tao.Threshold, Size: 10, Interval: time.Second}
)

// policyOf returns a signed policy that accepts what attestor.attest makes, but for what change makes of it.
func policyOf(t testing.TB, version uint64, change func(*tao.Policy)) []byte {
	t.Helper()
	both := tao.RolesOf(tao.Mix, tao.Exit)
	p := &tao.Policy{
		Version:     version,
		Issued:      start.Add(-time.Hour),
		Expires:     start.Add(24 * time.Hour),
		Attestors:   []tao.Kind{tao.Soft},
		Programs:    []tao.Allowed{{Digest: program, Roles: both}},
		Settings:    []tao.Allowed{{Digest: settings.Digest(), Roles: both}},
		LogRegister: tao.DefaultRegister,
		Minimum:     tao.Minimum{Size: 2, Interval: time.Second},
		MaxAge:      30 * time.Minute,
	}
	if change != nil {
		change(p)
	}
	signed, err := p.Sign(policyKey)
	require.NoError(t, err)
	return signed
}

// attestor is a node with evidence, which is soft unless it has a TPM. What its fields are not set to is as policyOf
// wants it.
type attestor struct {
	enroller ed25519.PrivateKey // policyKey if nil
	roles    tao.Roles          // mix and exit if zero
	issued   time.Time          // its record; an hour before start if zero
	expires  time.Time          // of its record; a year after start if zero
	program  [32]byte
	settings *tao.Configuration
	stamp    []byte // made at start if nil
	tpm      tao.Attestor
	vouched  [32]byte // hash of the endorsement key of tpm
}

// attest gives d the evidence of node n.
func (a attestor) attest(t testing.TB, n byte, d Descriptor) Descriptor {
	t.Helper()
	if a.enroller == nil {
		a.enroller = policyKey
	}
	if a.roles == 0 {
		a.roles = tao.RolesOf(tao.Mix, tao.Exit)
	}
	if a.expires.IsZero() {
		a.expires = start.Add(365 * 24 * time.Hour)
	}
	if a.issued.IsZero() {
		a.issued = start.Add(-time.Hour)
	}
	if a.program == [32]byte{} {
		a.program = program
	}
	if a.settings == nil {
		a.settings = &settings
	}
	if a.stamp == nil {
		a.stamp = stampAt(start)
	}
	by, logFile := a.tpm, ""
	if by == nil {
		by = tao.NewSoft(identity(n ^ 0x80))
	} else {
		logFile = filepath.Join(t.TempDir(), "log")
	}
	record := tao.Record{
		Identity: d.Identity, Kind: by.Kind(), Key: by.Key(), Endorsement: a.vouched, Root: a.vouched,
		Roles: a.roles, Issued: a.issued, Expires: a.expires,
	}
	enrolled, err := record.Sign(a.enroller)
	require.NoError(t, err)
	prover, err := tao.NewProver(tao.ProverConfig{Attestor: by, Record: enrolled, Program: a.program, LogFile: logFile})
	require.NoError(t, err)
	subject := SubjectOf(&d, nil)
	statement := tao.Statement{
		Identity: d.Identity, Role: subject.Role, Keys: subject.Keys, Configuration: *a.settings, Stamp: a.stamp,
	}
	d.Evidence, err = prover.Attest(statement, &tao.Policy{LogRegister: tao.DefaultRegister})
	require.NoError(t, err)
	return d
}

// attested returns a signed descriptor of node n with good evidence, stamped at start.
func attested(t testing.TB, n byte) []byte {
	t.Helper()
	return signed(t, n, attestor{}.attest(t, n, describe(n)))
}

// stampAt returns what the directory shows for having made a view then.
func stampAt(made time.Time) []byte {
	v := headerOf(1)
	v.Published, v.Expires = made, made.Add(time.Hour)
	return bytes.Clone(v.sign(directoryKey, nil)[:stampSize])
}

// deceptions are what a policy is there to refuse, with the rule that does.
func deceptions(t testing.TB) map[string]struct {
	descriptor []byte
	want       error
} {
	one := settings
	one.Size = 1
	large := settings
	large.Size++
	exit := describe(1)
	exit.Services = append(exit.Services, "tcp")
	swapped := attestor{}.attest(t, 1, describe(1))
	swapped.Keys = []EpochKey{{7, mixKey(99)}}
	moved := describe(1)
	moved.Evidence = attestor{}.attest(t, 2, describe(2)).Evidence
	spoilt := attestor{}.attest(t, 1, describe(1))
	spoilt.Evidence[len(spoilt.Evidence)-1] ^= 1
	older := attestor{stamp: stampAt(start.Add(-30 * time.Minute))}
	strange := stampAt(start)
	strange[0] ^= 1
	make := func(d Descriptor) []byte { return signed(t, 1, d) }
	return map[string]struct {
		descriptor []byte
		want       error
	}{
		"no evidence":           {make(describe(1)), tao.ErrEvidence},
		"spoilt evidence":       {make(spoilt), tao.ErrSignature},
		"another enroller":      {make(attestor{enroller: identity(211)}.attest(t, 1, describe(1))), tao.ErrEnroller},
		"enrolment over":        {make(attestor{expires: start}.attest(t, 1, describe(1))), tao.ErrExpired},
		"of another node":       {make(moved), tao.ErrIdentity},
		"an exit by itself":     {make(attestor{roles: tao.RolesOf(tao.Mix)}.attest(t, 1, exit)), tao.ErrRole},
		"another mix key":       {make(swapped), tao.ErrClaim},
		"rogue program":         {make(attestor{program: sha256.Sum256([]byte("rogue"))}.attest(t, 1, describe(1))), tao.ErrProgram},
		"another configuration": {make(attestor{settings: &large}.attest(t, 1, describe(1))), tao.ErrConfiguration},
		"a batch of one":        {make(attestor{settings: &one}.attest(t, 1, describe(1))), tao.ErrConfiguration},
		"stale stamp":           {make(older.attest(t, 1, describe(1))), tao.ErrStale},
		"nobody's stamp":        {make(attestor{stamp: strange}.attest(t, 1, describe(1))), tao.ErrStamp},
	}
}
