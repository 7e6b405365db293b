package tao_test

import (
	"time"

	"github.com/google/go-tpm/tpm2"

	"sphinxmix.example/tao"
)

// nonce replaces what a quote has as its qualifying data.
func nonce(edit func([]byte) []byte) change {
	return change{attest: func(a *tpm2.TPMSAttest) { a.ExtraData.Buffer = edit(a.ExtraData.Buffer) }}
}

// claimed is a claim that differs from what the descriptor says.
func claimed(what string, edit func(*tao.Claim)) refusal {
	return refusal{name: "a claim of " + what, rule: byClaim, err: tao.ErrClaim, change: change{claim: edit}}
}

// seen is a reader that has seen evidence by the same attestation key before.
func seen(edit func(*tao.Clock)) change {
	return change{after: func(s *scene) {
		clock := s.clock
		edit(&clock)
		s.see(clock)
	}}
}

// see has the reader remember that clock of the attestation key.
func (s *scene) see(clock tao.Clock) {
	s.subject.Seen = func(key [32]byte) tao.Clock {
		if key != s.record.KeyHash() {
			return tao.Clock{}
		}
		return clock
	}
}

// claimRefusals are about what is claimed, and when.
var claimRefusals = []refusal{
	claimed("another identity", func(c *tao.Claim) { c.Identity = public(otherNodeKey) }),
	claimed("another role", func(c *tao.Claim) { c.Role = tao.Exit }),
	claimed("another epoch", func(c *tao.Claim) { c.Keys[1].Epoch++ }),
	claimed("another key", func(c *tao.Claim) { c.Keys[1].Key[31] ^= 0x80 }),
	claimed("one key less", func(c *tao.Claim) { c.Keys = c.Keys[:1] }),
	claimed("one key more", func(c *tao.Claim) { c.Keys = append(c.Keys, tao.EpochKey{}) }),
	claimed("another configuration", func(c *tao.Claim) { c.Configuration = digest("another") }),
	claimed("another stamp", func(c *tao.Claim) { c.Stamp = tao.StampDigest(nil) }),
	{
		name: "a wrong nonce", kinds: onlyTPM, rule: byClaim, err: tao.ErrClaim,
		change: nonce(func(b []byte) []byte { b[0] ^= 1; return b }),
	},
	{
		name: "no nonce", kinds: onlyTPM, rule: byClaim, err: tao.ErrClaim,
		change: nonce(func([]byte) []byte { return nil }),
	},
	{
		name: "a nonce that is cut short", kinds: onlyTPM, rule: byClaim, err: tao.ErrClaim,
		change: nonce(func(b []byte) []byte { return b[:31] }),
	},
	{
		name: "a nonce with something behind it", kinds: onlyTPM, rule: byClaim, err: tao.ErrClaim,
		change: nonce(func(b []byte) []byte { return append(b, 0) }),
	},
	{
		name: "a descriptor with another epoch", rule: byClaim, err: tao.ErrClaim, also: []string{byKeys},
		change: change{after: func(s *scene) { s.subject.Keys[1].Epoch++ }},
	},
	{
		name: "a descriptor with another key", rule: byClaim, err: tao.ErrClaim, also: []string{byKeys},
		change: change{after: func(s *scene) { s.subject.Keys[0].Key = digest("a key that nobody vouches for") }},
	},
	{
		name: "a descriptor with another role", rule: byClaim, err: tao.ErrClaim,
		change: change{after: func(s *scene) { s.subject.Role = tao.Exit }},
	},
	{
		name: "a descriptor with more keys than a claim", rule: byClaim, err: tao.ErrClaim, also: []string{byKeys},
		change: change{after: func(s *scene) {
			for epoch := range uint64(2) {
				s.subject.Keys = append(s.subject.Keys, tao.EpochKey{Epoch: 43 + epoch, Key: digest("more")})
			}
		}},
	},
	{
		name: "a configuration other than what was quoted", rule: byClaim, err: tao.ErrClaim, also: []string{byConfiguration},
		change: change{evidence: func(e *tao.Evidence) { e.Configuration.Size = 64 }},
	},
	{
		name: "an old quote with a newer stamp", rule: byClaim, err: tao.ErrClaim,
		change: change{evidence: func(e *tao.Evidence) { e.Stamp = stampOf(directoryKey, start) }},
	},
	{
		name: "a stamp from further ahead than stamps may be old", rule: byStamp, err: tao.ErrStamp,
		change: change{before: func(s *scene) { s.stamp = stampOf(directoryKey, s.now.Add(s.policy.MaxAge+time.Second)) }},
	},
	{
		name: "a stamp that is too old this second", rule: byStamp, err: tao.ErrStale,
		change: change{before: func(s *scene) { s.stamp = stampOf(directoryKey, s.now.Add(-s.policy.MaxAge)) }},
	},
	{
		name: "a stamp of another directory", rule: byStamp, err: tao.ErrStamp,
		change: change{before: func(s *scene) { s.stamp = stampOf(strangerKey, s.now) }},
	},
	{
		name: "no stamp", rule: byStamp, err: tao.ErrStamp,
		change: change{before: func(s *scene) { s.stamp = nil }},
	},
	{
		name: "a quote of an older boot", kinds: onlyTPM, rule: byClock, err: tao.ErrClock,
		change: seen(func(c *tao.Clock) { c.Resets++; c.Restarts, c.Time = 0, 0 }),
	},
	{
		name: "a quote from before the machine slept", kinds: onlyTPM, rule: byClock, err: tao.ErrClock,
		change: seen(func(c *tao.Clock) { c.Restarts++; c.Time = 0 }),
	},
	{
		name: "an older quote of the same boot", kinds: onlyTPM, rule: byClock, err: tao.ErrClock,
		change: seen(func(c *tao.Clock) { c.Time++ }),
	},
	{
		name: "a TPM that was cleared", kinds: onlyTPM, rule: byClock, err: tao.ErrCleared,
		change: change{before: func(s *scene) { s.record.Resets = s.clock.Resets + 1 }},
	},
}

// acceptedClocks are those that can come one after the other.
var acceptedClocks = []struct {
	name   string
	change change
}{
	{"the same quote once more", seen(func(*tao.Clock) {})},
	{"a later quote of the same boot", seen(func(c *tao.Clock) { c.Time-- })},
	{"the same boot after sleep, at the same time", seen(func(c *tao.Clock) { c.Restarts-- })},
	{"a later boot", seen(func(c *tao.Clock) { c.Resets--; c.Restarts = 9; c.Time-- })},
	{"a later boot at the same time", seen(func(c *tao.Clock) { c.Resets-- })},
	{"a later boot after the power failed, when the clock went back", change{after: func(s *scene) {
		s.see(tao.Clock{Time: s.clock.Time + uint64(time.Hour/time.Millisecond), Resets: s.clock.Resets - 1})
	}}},
	{"as many boots as when it was enrolled", change{before: func(s *scene) { s.record.Resets = s.clock.Resets }}},
}
