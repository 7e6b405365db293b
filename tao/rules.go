package tao

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A rule looks at one thing in an inquiry. It returns what it found, or an error that wraps that of the rule.
type rule struct {
	name  string
	check func(*inquiry) (detail string, err error)
}

// rules are asked in this order. None relies on what an earlier one has let through, but for times and programs that
// it has found.
var rules = []rule{
	{"attestor", (*inquiry).checkKind},
	{"enrolment", (*inquiry).checkEnroller},
	{"enrolment's dates", (*inquiry).checkDates},
	{"identity", (*inquiry).checkIdentity},
	{"role", (*inquiry).checkRole},
	{"root", (*inquiry).checkRoot},
	{"revocations", (*inquiry).checkRevoked},
	{"attestation key", (*inquiry).checkKey},
	{"quote's signature", (*inquiry).checkSignature},
	{"quote's origin", (*inquiry).checkOrigin},
	{"quoted registers", (*inquiry).checkSelection},
	{"register values", (*inquiry).checkDigest},
	{"claim", (*inquiry).checkClaim},
	{"stamp", (*inquiry).checkStamp},
	{"clock", (*inquiry).checkClock},
	{"platform", (*inquiry).checkPlatform},
	{"log", (*inquiry).checkLog},
	{"programs", (*inquiry).checkPrograms},
	{"configuration", (*inquiry).checkConfiguration},
	{"minimum", (*inquiry).checkMinimum},
	{"keys", (*inquiry).checkKeys},
}

func (in *inquiry) checkKind() (string, error) {
	switch kind := in.evidence.Kind; {
	case kind != in.record.Kind:
		return "", fmt.Errorf("%w: it says that it is from a %v attestor, and a %v one was enrolled", ErrKind, kind, in.record.Kind)
	case !slices.Contains(in.policy.Attestors, kind):
		return "", fmt.Errorf("%w: it is a %v one", ErrKind, kind)
	}
	return in.evidence.Kind.String(), nil
}

func (in *inquiry) checkEnroller() (string, error) {
	signer := in.record.Signer
	if signer.Equal(in.policy.Key) {
		return "signed by the policy key", nil
	}
	for _, e := range in.policy.Enrollers {
		if signer.Equal(e.Key) {
			if in.delegate = e.Expires; !in.now.Before(e.Expires) {
				return "", fmt.Errorf("%w: the policy delegated to %x until %s", ErrEnroller, e.Key, date(e.Expires))
			}
			return fmt.Sprintf("signed by %x, to whom the policy delegates", signer), nil
		}
	}
	return "", fmt.Errorf("%w, but by %x", ErrEnroller, signer)
}

func (in *inquiry) checkDates() (string, error) {
	if r := in.record; !in.now.Before(r.Expires) {
		return "", fmt.Errorf("%w: it was good until %s, and now is %s", ErrExpired, date(r.Expires), date(in.now))
	}
	return "good until " + date(in.record.Expires), nil
}

func (in *inquiry) checkIdentity() (string, error) {
	if !in.record.Identity.Equal(in.subject.Identity) {
		return "", fmt.Errorf("%w: its identity is %x", ErrIdentity, in.record.Identity)
	}
	return fmt.Sprintf("%x", in.record.Identity), nil
}

func (in *inquiry) checkRole() (string, error) {
	if role := in.subject.Role; !in.record.Roles.Has(role) {
		return "", fmt.Errorf("%w: it was enrolled to be: %v; and is: %v", ErrRole, in.record.Roles, role)
	}
	return in.subject.Role.String(), nil
}

func (in *inquiry) checkRoot() (string, error) {
	if in.record.Kind == Soft {
		return "none: the attestor is soft", nil
	}
	if !slices.Contains(in.policy.Roots, in.record.Root) {
		return "", fmt.Errorf("%w: it was enrolled by %x", ErrRoot, in.record.Root)
	}
	return fmt.Sprintf("%x vouches for the TPM %x", in.record.Root, in.record.Endorsement), nil
}

func (in *inquiry) checkRevoked() (string, error) {
	refuse := func(what string, hash [32]byte) error {
		if slices.Contains(in.policy.Revoked, hash) {
			return fmt.Errorf("%w: the %s %x", ErrRevoked, what, hash)
		}
		return nil
	}
	if err := refuse("node", IdentityHash(in.record.Identity)); err != nil {
		return "", err
	}
	if err := refuse("attestation key", in.record.KeyHash()); err != nil {
		return "", err
	}
	if err := refuse("TPM", in.record.Endorsement); err != nil {
		return "", err
	}
	if err := refuse("enrolment", in.record.Hash()); err != nil {
		return "", err
	}
	for _, e := range in.evidence.Log {
		if e.Kind == ProgramStarted {
			if err := refuse("program", e.Digest); err != nil {
				return "", err
			}
		}
	}
	return "none applies", nil
}

func (in *inquiry) checkKey() (string, error) { return in.key.describe() }

func (in *inquiry) checkSignature() (string, error) {
	if !in.key.verify(&in.evidence.Quote) {
		return "", ErrSignature
	}
	return "by the attestation key that was enrolled", nil
}

func (in *inquiry) checkOrigin() (string, error) { return in.said.origin, in.said.wrong }

func (in *inquiry) checkSelection() (string, error) {
	wanted := in.policy.Quoted(in.record.Kind)
	shown := make([]uint8, len(in.evidence.Registers))
	for i, r := range in.evidence.Registers {
		shown[i] = r.Index
	}
	switch {
	case !in.said.covers(wanted):
		return "", fmt.Errorf("%w: it must be %v of the SHA-256 bank, no less and no more", ErrSelection, wanted)
	case !slices.Equal(shown, wanted):
		return "", fmt.Errorf("%w: it shows the values of %v, and wanted are %v", ErrSelection, shown, wanted)
	case in.evidence.LogRegister != in.policy.LogRegister:
		return "", fmt.Errorf("%w: its log was measured into %d, and should have been into %d", ErrSelection, in.evidence.LogRegister, in.policy.LogRegister)
	}
	return fmt.Sprint(wanted), nil
}

func (in *inquiry) checkDigest() (string, error) {
	if digestOf(in.evidence.Registers) != in.said.registers {
		return "", ErrDigest
	}
	return "as quoted", nil
}

// digestOf returns the SHA-256 of the values of registers.
func digestOf(registers []Register) [32]byte {
	b := make([]byte, 0, 32*len(registers))
	for _, r := range registers {
		b = append(b, r.Value[:]...)
	}
	return sha256.Sum256(b)
}

func (in *inquiry) checkClaim() (string, error) {
	s := in.subject
	if len(s.Identity) != 32 || len(s.Keys) > MaxKeys {
		return "", fmt.Errorf("%w: the descriptor has more keys than a claim", ErrClaim)
	}
	claim := Claim{s.Identity, s.Role, s.Keys, in.evidence.Configuration.Digest(), StampDigest(in.evidence.Stamp)}
	if claim.Digest() != in.said.qualifying {
		return "", fmt.Errorf("%w: the identity, the role, a key, an epoch, the configuration or the stamp is not what was quoted", ErrClaim)
	}
	return "identity, role, keys, epochs, configuration and stamp are what was quoted", nil
}

func (in *inquiry) checkStamp() (_ string, err error) {
	if in.stamped, err = in.subject.Stamped(in.evidence.Stamp); err != nil {
		return "", fmt.Errorf("%w: %w", ErrStamp, err)
	}
	if until := in.stamped.Add(in.policy.MaxAge); !in.now.Before(until) {
		return "", fmt.Errorf("%w: it was good until %s, and now is %s", ErrStale, date(until), date(in.now))
	}
	// One from far ahead would make old quotes new again until then.
	if in.now.Before(in.stamped.Add(-in.policy.MaxAge)) {
		return "", fmt.Errorf("%w: it is from %s, and now is %s: is a clock wrong?", ErrStamp, date(in.stamped), date(in.now))
	}
	return "the node has quoted after " + date(in.stamped), nil
}

func (in *inquiry) checkClock() (string, error) {
	if in.record.Kind == Soft {
		return "none: the attestor is soft", nil
	}
	var seen Clock
	if in.subject.Seen != nil {
		seen = in.subject.Seen(in.record.KeyHash())
	}
	c := in.said.clock
	switch {
	case c.Resets < in.record.Resets:
		return "", fmt.Errorf("%w: its machine was started %d times, and %d when it was enrolled", ErrCleared, c.Resets, in.record.Resets)
	case seen != Clock{} && c.Before(seen):
		return "", fmt.Errorf("%w: start %d of the machine, after %v; seen was start %d, after %v", ErrClock,
			c.Resets, time.Duration(c.Time)*time.Millisecond, seen.Resets, time.Duration(seen.Time)*time.Millisecond)
	}
	return fmt.Sprintf("start %d of the machine, %v", c.Resets, time.Duration(c.Time)*time.Millisecond), nil
}

func (in *inquiry) checkPlatform() (string, error) {
	var seen []string
	for _, r := range in.evidence.Registers {
		if r.Index == in.policy.LogRegister {
			continue
		}
		if !slices.Contains(in.policy.values(r.Index), r.Value) {
			return "", fmt.Errorf("%w: %d has the value %x", ErrRegister, r.Index, r.Value)
		}
		seen = append(seen, fmt.Sprint(r.Index))
	}
	if len(seen) == 0 {
		return "the policy asks for no register of the platform", nil
	}
	return "registers " + strings.Join(seen, ", ") + " have allowed values", nil
}

func (in *inquiry) checkLog() (string, error) {
	log := in.evidence.Log
	if len(log) == 0 || log[0].Kind != ProgramStarted {
		return "", fmt.Errorf("%w: it does not begin with a program", ErrLog)
	}
	i := slices.IndexFunc(in.evidence.Registers, func(r Register) bool { return r.Index == in.policy.LogRegister })
	if i < 0 {
		return "", fmt.Errorf("%w: the value of its register is not shown", ErrLog)
	}
	starts := in.policy.values(in.policy.LogRegister)
	if starts == nil {
		starts = [][32]byte{{}}
	}
	for _, start := range starts {
		if log.Replay(start) == in.evidence.Registers[i].Value {
			return fmt.Sprintf("%d events lead to the value of register %d", len(log), in.policy.LogRegister), nil
		}
	}
	return "", fmt.Errorf("%w: register %d, %d events", ErrLog, in.policy.LogRegister, len(log))
}

func (in *inquiry) checkPrograms() (string, error) {
	for _, e := range in.evidence.Log {
		if e.Kind != ProgramStarted {
			continue
		}
		var known bool
		if in.program, known = find(in.policy.Programs, e.Digest); !known {
			return "", fmt.Errorf("%w: %x has run since the machine was started", ErrProgram, e.Digest)
		}
	}
	if !in.program.Roles.Has(in.subject.Role) {
		return "", fmt.Errorf("%w: its program %s is allowed to be: %v; and it is: %v", ErrRole, in.program.title(), in.program.Roles, in.subject.Role)
	}
	return in.program.title(), nil
}

// title names what is allowed, for people.
func (a Allowed) title() string {
	if a.Name == "" {
		return fmt.Sprintf("%x", a.Digest)
	}
	return fmt.Sprintf("%s (%x)", a.Name, a.Digest[:8])
}

func (in *inquiry) checkConfiguration() (string, error) {
	c := &in.evidence.Configuration
	digest := c.Digest()
	allowed, known := find(in.policy.Settings, digest)
	switch {
	case !known:
		return "", fmt.Errorf("%w: %x (%v)", ErrConfiguration, digest, c)
	case !allowed.Roles.Has(in.subject.Role):
		return "", fmt.Errorf("%w: its configuration %s is allowed to be: %v; and it is: %v", ErrRole, allowed.title(), allowed.Roles, in.subject.Role)
	case c.Network != in.subject.Network:
		return "", fmt.Errorf("%w: it is for another network", ErrConfiguration)
	}
	measured := false
	for _, e := range in.running {
		if e.Kind == Configured {
			if e.Digest != digest {
				return "", fmt.Errorf("%w: the program that runs was set up as %x, too", ErrConfiguration, e.Digest)
			}
			measured = true
		}
	}
	if !measured {
		return "", fmt.Errorf("%w: it was not measured", ErrConfiguration)
	}
	return fmt.Sprintf("%s: %v", allowed.title(), c), nil
}

func (in *inquiry) checkMinimum() (string, error) {
	if in.subject.Role == Directory {
		return "does not concern a directory", nil
	}
	if less := in.policy.Minimum.Check(&in.evidence.Configuration); less != "" {
		return "", fmt.Errorf("%w: %s", ErrMinimum, less)
	}
	return "kept", nil
}

// checkKeys compares the keys that the running program has measured with those that the node publishes. What was
// measured before it was started is gone with the program that made it, and so are keys of past epochs.
func (in *inquiry) checkKeys() (string, error) {
	published := in.subject.Keys
	if in.subject.Role == Directory && len(published) == 0 {
		return "does not concern a directory", nil
	}
	if len(published) == 0 {
		return "", fmt.Errorf("%w: it publishes none", ErrKeys)
	}
	var live []EpochKey
	for _, e := range in.running {
		if k := (EpochKey{e.Epoch, e.Digest}); e.Kind == KeyMade && e.Epoch >= published[0].Epoch && !slices.Contains(live, k) {
			live = append(live, k)
		}
	}
	for _, k := range live {
		if !slices.Contains(published, k) {
			return "", fmt.Errorf("%w: one of epoch %d is not published", ErrKeys, k.Epoch)
		}
	}
	if len(live) != len(published) {
		return "", fmt.Errorf("%w: %d are published, and %d were measured", ErrKeys, len(published), len(live))
	}
	return fmt.Sprintf("%d, each measured by the program that runs", len(live)), nil
}

// covers reports whether a quote is over these registers of the SHA-256 bank, no less and no more.
func (s *said) covers(registers []uint8) bool {
	return bytes.Equal(s.selection, selectionOf(registers))
}
