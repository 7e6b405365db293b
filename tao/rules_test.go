package tao_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// judgement is what a policy says of evidence.
type judgement struct {
	verdict  *tao.Verdict
	err      error
	findings []tao.Finding
}

// judge asks both Verify and Explain, who must be of one mind.
func (s *scene) judge(t testing.TB, evidence []byte) judgement {
	t.Helper()
	p := asSigned(t, s.policy)
	before := slices.Clone(evidence)
	verdict, err := p.Verify(evidence, &s.subject, s.now)
	findings, explained := p.Explain(evidence, &s.subject, s.now)
	require.Equal(t, verdict, explained)
	j := judgement{verdict, err, findings}
	require.Equal(t, before, evidence)
	require.NotEmpty(t, j.findings)
	var first error
	for _, f := range j.findings {
		require.NotEmpty(t, f.Rule)
		require.Equal(t, f.Err != nil, f.Detail == "", "%s: %q, %v", f.Rule, f.Detail, f.Err)
		if first == nil {
			first = f.Err
		}
	}
	require.Equal(t, err == nil, first == nil, "Verify: %v; Explain: %v", err, first)
	if err == nil {
		require.NotNil(t, verdict)
		return j
	}
	require.Nil(t, verdict)
	require.Equal(t, first.Error(), err.Error())
	return j
}

// broken returns the names of the rules that are broken.
func (j judgement) broken() (names []string) {
	for _, f := range j.findings {
		if f.Err != nil {
			names = append(names, f.Rule)
		}
	}
	return names
}

func (j judgement) requireAccepted(t testing.TB) {
	t.Helper()
	require.NoError(t, j.err)
	require.Empty(t, j.broken())
}

// requireRefused wants the rule to be the first that is broken, with that error, and besides it only those in also.
func (j judgement) requireRefused(t testing.TB, rule string, err error, also ...string) {
	t.Helper()
	require.ErrorIs(t, j.err, err)
	for _, other := range ruleErrors {
		if other != err {
			require.NotErrorIs(t, j.err, other, "the error is of two rules")
		}
	}
	require.Equal(t, append([]string{rule}, also...), j.broken())
}

// ruleErrors are all that Verify can refuse with.
var ruleErrors = []error{
	tao.ErrPolicy, tao.ErrEvidence, tao.ErrKind, tao.ErrRecord, tao.ErrEnroller, tao.ErrExpired, tao.ErrIdentity, tao.ErrRole,
	tao.ErrRoot, tao.ErrRevoked, tao.ErrKey, tao.ErrSignature, tao.ErrMagic, tao.ErrType, tao.ErrSigner, tao.ErrSelection,
	tao.ErrDigest, tao.ErrClaim, tao.ErrStamp, tao.ErrStale, tao.ErrClock, tao.ErrCleared, tao.ErrRegister, tao.ErrLog,
	tao.ErrProgram, tao.ErrConfiguration, tao.ErrMinimum, tao.ErrKeys,
}

// refusal is something wrong, and the rule that says so.
type refusal struct {
	name   string
	kinds  []tao.Kind // of attestors where it can be; nil for all
	change change
	rule   string
	err    error
	also   []string // rules that are broken with it, as what they look at is the same
}

var (
	onlyTPM  = []tao.Kind{tao.TPM}
	onlySoft = []tao.Kind{tao.Soft}
	anyKind  = []tao.Kind{tao.TPM, tao.Soft}
)

// The rules, as Explain names them.
const (
	byAttestor       = "attestor"
	byEnrolment      = "enrolment"
	byDates          = "enrolment's dates"
	byIdentity       = "identity"
	byRole           = "role"
	byRoot           = "root"
	byRevocations    = "revocations"
	byAttestationKey = "attestation key"
	bySignature      = "quote's signature"
	byOrigin         = "quote's origin"
	bySelection      = "quoted registers"
	byValues         = "register values"
	byClaim          = "claim"
	byStamp          = "stamp"
	byClock          = "clock"
	byPlatform       = "platform"
	byLog            = "log"
	byPrograms       = "programs"
	byConfiguration  = "configuration"
	byMinimum        = "minimum"
	byKeys           = "keys"
)

var ruleNames = []string{
	byAttestor, byEnrolment, byDates, byIdentity, byRole, byRoot, byRevocations, byAttestationKey, bySignature, byOrigin, bySelection,
	byValues, byClaim, byStamp, byClock, byPlatform, byLog, byPrograms, byConfiguration, byMinimum, byKeys,
}

func TestWhatIsGoodIsAccepted(t *testing.T) {
	for _, kind := range anyKind {
		t.Run(kind.String(), func(t *testing.T) {
			s := newScene(kind)
			j := s.judge(t, s.show(t, change{}))
			j.requireAccepted(t)
			var names []string
			for _, f := range j.findings {
				names = append(names, f.Rule)
			}
			require.Equal(t, ruleNames, names)
			require.Equal(t, start.Add(50*time.Minute), j.verdict.Until)
			require.Equal(t, start.Add(-10*time.Minute), j.verdict.Stamped)
			require.Equal(t, s.clock, j.verdict.Clock)
			require.Equal(t, "mixnet 1.1", j.verdict.Program.Name)
			require.Equal(t, mixing, j.verdict.Configuration)
			s.record.Signer = public(policyKey)
			require.Equal(t, &s.record, j.verdict.Record)
		})
	}
}

// TestEachNegativeHasItsRule changes one thing in what is accepted, and wants one rule to notice that, with its own error, and
// all others to find what they found before.
func TestEachNegativeHasItsRule(t *testing.T) {
	alone := make(map[string]bool)
	raised := make(map[error]bool)
	names := make(map[string]bool)
	for _, list := range [][]refusal{enrolmentRefusals, quoteRefusals, registerRefusals, claimRefusals, logRefusals} {
		for _, r := range list {
			require.False(t, names[r.name], r.name)
			names[r.name] = true
			if r.kinds == nil {
				r.kinds = anyKind
			}
			for _, kind := range r.kinds {
				t.Run(r.name+", "+kind.String(), func(t *testing.T) {
					s := newScene(kind)
					s.judge(t, s.show(t, r.change)).requireRefused(t, r.rule, r.err, r.also...)
				})
			}
			raised[r.err] = true
			alone[r.rule] = alone[r.rule] || len(r.also) == 0
		}
	}
	for _, name := range ruleNames {
		require.True(t, alone[name], "nothing breaks the rule %q alone", name)
	}
	for _, err := range ruleErrors {
		// Those three are of what cannot be taken apart: see TestWhatCannotBeReadIsOneFinding.
		if err != tao.ErrPolicy && err != tao.ErrEvidence && err != tao.ErrRecord {
			require.True(t, raised[err], "nothing raises %q", err)
		}
	}
}

// TestWhatCannotBeReadIsOneFinding is about what ends an inquiry before there is one.
func TestWhatCannotBeReadIsOneFinding(t *testing.T) {
	for _, r := range []refusal{
		{name: "the policy expires this second", err: tao.ErrPolicy, change: change{after: func(s *scene) { s.now = s.policy.Expires }}},
		{name: "another version", err: tao.ErrEvidence, change: change{}},
		{name: "no record", err: tao.ErrRecord, change: change{evidence: func(e *tao.Evidence) { e.Record = nil }}},
		{name: "a soft record with the key of a TPM", kinds: onlyTPM, err: tao.ErrRecord, change: change{
			before: func(s *scene) { s.record.Kind = tao.Soft },
		}},
		{name: "a TPM's record with the key of a soft attestor", kinds: onlySoft, err: tao.ErrRecord, change: change{
			before: func(s *scene) { s.record.Kind = tao.TPM },
		}},
		{name: "a soft key of low order", kinds: onlySoft, err: tao.ErrRecord, change: change{
			before: func(s *scene) { s.record.Key = make([]byte, 32) },
		}},
		{name: "a soft key that is too long", kinds: onlySoft, err: tao.ErrRecord, change: change{
			before: func(s *scene) { s.record.Key = append(public(softKey), 0) },
		}},
		{name: "a statement of the other kind of attestor", err: tao.ErrEvidence, change: change{evidence: func(e *tao.Evidence) {
			other := newScene(tao.TPM + tao.Soft - e.Kind)
			e.Quote.Statement = other.evidence(&testing.T{}, change{}).Quote.Statement
		}}},
		{name: "a soft statement of another kind", kinds: onlySoft, err: tao.ErrEvidence, change: change{
			statement: func(b []byte) []byte { b[0]++; return b },
		}},
		{name: "a soft statement that does not say what it is", kinds: onlySoft, err: tao.ErrEvidence, change: change{
			statement: func(b []byte) []byte { return b[len("sphinxmix soft statement v1\x00"):] },
		}},
		{name: "a quote over more banks than there are", kinds: onlyTPM, err: tao.ErrEvidence, change: quoted(slices.Repeat([]tpm2.TPMSPCRSelection{wide()}, 17)...)},
		{name: "a quote that says it is over more banks than it is", kinds: onlyTPM, err: tao.ErrEvidence, change: change{
			statement: func(b []byte) []byte { // count(4) ‖ bank(2) ‖ size(1) ‖ 3 bytes ‖ [2] digest
				at := len(b) - 34 - 10
				return slices.Concat(b[:at], number(4, 17), b[at+10:])
			},
		}},
		{name: "a soft statement that is cut", kinds: onlySoft, err: tao.ErrEvidence, change: change{
			statement: func(b []byte) []byte { return b[:len(b)-1] },
		}},
		{name: "no statement", err: tao.ErrEvidence, change: change{evidence: func(e *tao.Evidence) { e.Quote.Statement = nil }}},
	} {
		if r.kinds == nil {
			r.kinds = anyKind
		}
		for _, kind := range r.kinds {
			t.Run(r.name+", "+kind.String(), func(t *testing.T) {
				s := newScene(kind)
				evidence := s.show(t, r.change)
				if r.name == "another version" {
					evidence[0]++
				}
				s.judge(t, evidence).requireRefused(t, "evidence", r.err)
			})
		}
	}
	s := newScene(tao.TPM)
	evidence := s.show(t, change{})
	s.now = s.policy.Expires.Add(-time.Nanosecond)
	s.policy.MaxAge = 7 * day
	s.record.Expires = s.policy.Expires.Add(day)
	_, err := asSigned(t, s.policy).Verify(evidence, &s.subject, s.now)
	require.NotErrorIs(t, err, tao.ErrPolicy)
}

func TestWhatIsGoodAtTheEdgeIsAccepted(t *testing.T) {
	for _, kind := range anyKind {
		for _, c := range acceptedAtTheEdge {
			t.Run(c.name+", "+kind.String(), func(t *testing.T) {
				s := newScene(kind)
				j := s.judge(t, s.show(t, c.change))
				j.requireAccepted(t)
				require.Equal(t, c.until, j.verdict.Until)
			})
		}
		for _, c := range acceptedLogs {
			t.Run(c.name+", "+kind.String(), func(t *testing.T) {
				s := newScene(kind)
				s.judge(t, s.show(t, c.change)).requireAccepted(t)
			})
		}
	}
	for _, c := range acceptedClocks {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(tao.TPM)
			s.judge(t, s.show(t, c.change)).requireAccepted(t)
		})
	}
}
