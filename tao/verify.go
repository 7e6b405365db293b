package tao

import (
	"crypto/ed25519"
	"fmt"
	"time"
)

// Subject is what evidence must be about: what a node's descriptor says, and what the reader of it knows.
type Subject struct {
	Identity ed25519.PublicKey
	Role     Role
	Network  [32]byte   // hash of its parameters
	Keys     []EpochKey // up to MaxKeys, by ascending epoch

	// Stamped returns when the directory made a stamp, or an error for what is no stamp of this directory.
	Stamped func(stamp []byte) (time.Time, error)

	// Seen returns the Clock of the last evidence by an attestation key, of which it is given [Record.KeyHash]; zero
	// if there was none. Nil where nothing was seen.
	Seen func(key [32]byte) Clock
}

// Clock is what a TPM knows of time. It is zero for a soft attestor.
type Clock struct {
	Time     uint64 // milliseconds that the TPM has run
	Resets   uint32 // starts of the machine since the TPM was cleared
	Restarts uint32 // times that it slept since the last of these
}

// Before reports whether c cannot come after seen. The time counts only within one start of the machine: where the
// power failed, TPMs go back to what they have saved last, which may be nothing, and not all say so.
func (c Clock) Before(seen Clock) bool {
	switch {
	case c.Resets != seen.Resets:
		return c.Resets < seen.Resets
	case c.Restarts != seen.Restarts:
		return c.Restarts < seen.Restarts
	}
	return c.Time < seen.Time
}

// Verdict is what evidence has shown.
type Verdict struct {
	Until         time.Time // from when on it shows that no more
	Stamped       time.Time // the node has quoted after this
	Clock         Clock
	Record        *Record
	Program       Allowed // that runs now
	Configuration Configuration
}

// Verify judges evidence about a subject at a time, by the policy alone. The error wraps the first of the rules that
// is broken: ErrPolicy, ErrEvidence or one of those that stand with it. It needs no TPM, and neither reads nor keeps
// anything.
func (p *Policy) Verify(evidence []byte, s *Subject, now time.Time) (*Verdict, error) {
	in, err := p.inquire(evidence, s, now)
	if err != nil {
		return nil, err
	}
	for i := range rules {
		if _, err := rules[i].check(in); err != nil {
			return nil, err
		}
	}
	return in.verdict(), nil
}

// Finding is what one rule says of evidence.
type Finding struct {
	Rule   string // its name
	Detail string // what was found; empty where the rule is broken
	Err    error  // why the rule is broken; nil if it is kept
}

// Explain judges as Verify does, and returns what each rule says; no verdict where one is broken. Where the evidence
// cannot be read it is only that.
func (p *Policy) Explain(evidence []byte, s *Subject, now time.Time) ([]Finding, *Verdict) {
	in, err := p.inquire(evidence, s, now)
	if err != nil {
		return []Finding{{Rule: "evidence", Err: err}}, nil
	}
	findings, broken := make([]Finding, 0, len(rules)), false
	for i := range rules {
		detail, err := rules[i].check(in)
		if err != nil {
			detail, broken = "", true
		}
		findings = append(findings, Finding{rules[i].name, detail, err})
	}
	if broken {
		return findings, nil
	}
	return findings, in.verdict()
}

// inquiry is one verification under way.
type inquiry struct {
	policy   *Policy
	subject  *Subject
	now      time.Time
	evidence *Evidence
	record   *Record
	key      attestationKey
	said     *said

	// What rules leave for those after them and for the verdict.
	stamped  time.Time
	delegate time.Time // until when the signer of the record may sign; zero for the policy key
	running  EventLog
	program  Allowed
}

// inquire takes evidence to its parts, all of which must be readable.
func (p *Policy) inquire(evidence []byte, s *Subject, now time.Time) (*inquiry, error) {
	if err := p.GoodAt(now); err != nil {
		return nil, err
	}
	in := &inquiry{policy: p, subject: s, now: now}
	var err error
	if in.evidence, err = ParseEvidence(evidence); err != nil {
		return nil, err
	}
	if in.record, err = ParseRecord(in.evidence.Record); err != nil {
		return nil, err
	}
	if in.key, err = parseKey(in.record.Kind, in.record.Key); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if in.said, err = in.key.read(in.evidence.Quote.Statement); err != nil {
		return nil, err
	}
	in.running = in.evidence.Log.running()
	return in, nil
}

func (in *inquiry) verdict() *Verdict {
	v := &Verdict{
		Until:         in.policy.Expires,
		Stamped:       in.stamped,
		Clock:         in.said.clock,
		Record:        in.record,
		Program:       in.program,
		Configuration: in.evidence.Configuration,
	}
	for _, end := range []time.Time{in.stamped.Add(in.policy.MaxAge), in.now.Add(in.policy.MaxAge), in.record.Expires, in.delegate} {
		if !end.IsZero() && end.Before(v.Until) {
			v.Until = end
		}
	}
	return v
}
