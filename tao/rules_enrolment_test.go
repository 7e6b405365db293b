package tao_test

import (
	"slices"
	"time"

	"sphinxmix.example/tao"
)

// enrolmentRefusals are about who a node is, and who says so.
var enrolmentRefusals = []refusal{
	{
		name: "soft evidence under a policy of TPMs", kinds: onlySoft, rule: byAttestor, err: tao.ErrKind,
		change: change{after: func(s *scene) { s.policy.Attestors = []tao.Kind{tao.TPM} }},
	},
	{
		name: "evidence of a TPM under a policy of soft attestors", kinds: onlyTPM, rule: byAttestor, err: tao.ErrKind,
		change: change{after: func(s *scene) { s.policy.Attestors = []tao.Kind{tao.Soft} }},
	},
	{
		name: "a policy that names no attestor", rule: byAttestor, err: tao.ErrKind,
		change: change{after: func(s *scene) { s.policy.Attestors = nil }},
	},
	{
		name: "evidence that says it is of the other kind", rule: byAttestor, err: tao.ErrKind,
		change: change{evidence: func(e *tao.Evidence) { e.Kind = tao.TPM + tao.Soft - e.Kind }},
	},
	{
		name: "soft evidence that says it is a TPM's, where only those count", kinds: onlySoft, rule: byAttestor, err: tao.ErrKind,
		change: change{
			evidence: func(e *tao.Evidence) { e.Kind = tao.TPM },
			after:    func(s *scene) { s.policy.Attestors = []tao.Kind{tao.TPM} },
		},
	},
	{
		name: "evidence of no kind", rule: byAttestor, err: tao.ErrKind,
		change: change{evidence: func(e *tao.Evidence) { e.Kind = 0 }},
	},
	{
		name: "a record signed by a stranger", rule: byEnrolment, err: tao.ErrEnroller,
		change: change{before: func(s *scene) { s.signer = strangerKey }},
	},
	{
		name: "a record signed by the node itself", rule: byEnrolment, err: tao.ErrEnroller,
		change: change{before: func(s *scene) { s.signer = nodeKey }},
	},
	{
		name: "a delegation that expires this second", rule: byEnrolment, err: tao.ErrEnroller,
		change: change{
			before: func(s *scene) { s.signer = enrollerKey },
			after:  func(s *scene) { s.policy.Enrollers[0].Expires = s.now },
		},
	},
	{
		name: "a delegation that was taken back", rule: byEnrolment, err: tao.ErrEnroller,
		change: change{
			before: func(s *scene) { s.signer = enrollerKey },
			after:  func(s *scene) { s.policy.Enrollers = nil },
		},
	},
	{
		name: "a record that expires this second", rule: byDates, err: tao.ErrExpired,
		change: change{before: func(s *scene) { s.record.Expires = s.now }},
	},
	{
		name: "a record of another node", rule: byIdentity, err: tao.ErrIdentity,
		change: change{before: func(s *scene) { s.record.Identity = public(otherNodeKey) }},
	},
	{
		name: "evidence of another node", rule: byIdentity, err: tao.ErrIdentity, also: []string{byClaim},
		change: change{after: func(s *scene) { s.subject.Identity = public(otherNodeKey) }},
	},
	{
		name: "a reader that asks for a node and something behind it", rule: byIdentity, err: tao.ErrIdentity, also: []string{byClaim},
		change: change{before: func(s *scene) { s.subject.Identity = append(slices.Clone(public(nodeKey)), 0) }},
	},
	{
		name: "a reader that asks for no node", rule: byIdentity, err: tao.ErrIdentity, also: []string{byClaim},
		change: change{after: func(s *scene) { s.subject.Identity = nil }},
	},
	{
		name: "a role that the record does not have", rule: byRole, err: tao.ErrRole,
		change: change{before: func(s *scene) { s.record.Roles = tao.RolesOf(tao.Exit, tao.Directory) }},
	},
	{
		name: "no role", rule: byRole, err: tao.ErrRole, also: []string{byPrograms, byConfiguration},
		change: change{before: func(s *scene) { s.subject.Role = 0 }},
	},
	{
		name: "a TPM that an unknown authority vouches for", kinds: onlyTPM, rule: byRoot, err: tao.ErrRoot,
		change: change{before: func(s *scene) { s.record.Root = digest("another maker") }},
	},
	{
		name: "a policy without roots", kinds: onlyTPM, rule: byRoot, err: tao.ErrRoot,
		change: change{after: func(s *scene) { s.policy.Roots = nil }},
	},
	{
		name: "a root that stands where the endorsement key should", kinds: onlyTPM, rule: byRoot, err: tao.ErrRoot,
		change: change{before: func(s *scene) { s.record.Root, s.record.Endorsement = s.record.Endorsement, s.record.Root }},
	},
	{
		name: "the node is revoked", rule: byRevocations, err: tao.ErrRevoked,
		change: change{after: func(s *scene) { s.policy.Revoked = [][32]byte{tao.IdentityHash(public(nodeKey))} }},
	},
	{
		name: "the enrolment is revoked", rule: byRevocations, err: tao.ErrRevoked,
		change: change{after: func(s *scene) {
			r := s.record
			r.Signer = public(s.signer)
			s.policy.Revoked = [][32]byte{r.Hash()}
		}},
	},
	{
		name: "the attestation key is revoked", rule: byRevocations, err: tao.ErrRevoked,
		change: change{after: func(s *scene) { s.policy.Revoked = [][32]byte{s.record.KeyHash()} }},
	},
	{
		name: "the TPM is revoked", kinds: onlyTPM, rule: byRevocations, err: tao.ErrRevoked,
		change: change{after: func(s *scene) { s.policy.Revoked = [][32]byte{endorsement} }},
	},
	{
		name: "the program is revoked", rule: byRevocations, err: tao.ErrRevoked,
		change: change{after: func(s *scene) { s.policy.Revoked = [][32]byte{program} }},
	},
	{
		name: "a program that ran before is revoked", rule: byRevocations, err: tao.ErrRevoked,
		change: change{after: func(s *scene) { s.policy.Revoked = [][32]byte{oldProgram, digest("something else")} }},
	},
}

// acceptedAtTheEdge is what is still good, by a second or less.
var acceptedAtTheEdge = []struct {
	name   string
	change change
	until  time.Time
}{
	{"a delegation that expires in a second", change{
		before: func(s *scene) { s.signer = enrollerKey },
		after:  func(s *scene) { s.policy.Enrollers[0].Expires = s.now.Add(time.Second) },
	}, start.Add(time.Second)},
	{"a record that expires in a second", change{
		before: func(s *scene) { s.record.Expires = s.now.Add(time.Second) },
	}, start.Add(time.Second)},
	{"a policy that expires in a second", change{
		after: func(s *scene) { s.policy.Expires = s.now.Add(time.Second) },
	}, start.Add(time.Second)},
	{"a stamp that is too old in a second", change{
		before: func(s *scene) { s.stamp = stampOf(directoryKey, s.now.Add(time.Second-s.policy.MaxAge)) },
	}, start.Add(time.Second)},
	{"a stamp of now", change{
		before: func(s *scene) { s.stamp = stampOf(directoryKey, s.now) },
	}, start.Add(time.Hour)},
	{"a stamp from a clock that is ahead", change{
		before: func(s *scene) { s.stamp = stampOf(directoryKey, s.now.Add(10*time.Minute)) },
	}, start.Add(time.Hour)},
	{"a stamp from a clock that is as far ahead as stamps may be old", change{
		before: func(s *scene) { s.stamp = stampOf(directoryKey, s.now.Add(s.policy.MaxAge)) },
	}, start.Add(time.Hour)},
	{"the policy key signs, and somebody else's delegation has expired", change{
		after: func(s *scene) { s.policy.Enrollers[0].Expires = s.now.Add(-day) },
	}, start.Add(50 * time.Minute)},
	{"a revocation of somebody else", change{
		after: func(s *scene) { s.policy.Revoked = [][32]byte{tao.IdentityHash(public(otherNodeKey))} },
	}, start.Add(50 * time.Minute)},
	{"an exit", change{
		before: func(s *scene) { s.subject.Role = tao.Exit },
	}, start.Add(50 * time.Minute)},
}
