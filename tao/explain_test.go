package tao_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// explained returns what Explain says, a line for each rule.
func (s *scene) explained(t testing.TB, evidence []byte) string {
	t.Helper()
	var b strings.Builder
	for _, f := range s.judge(t, evidence).findings {
		if f.Err != nil {
			fmt.Fprintf(&b, "%s! %v\n", f.Rule, f.Err)
		} else {
			fmt.Fprintf(&b, "%s: %s\n", f.Rule, f.Detail)
		}
	}
	return b.String()
}

// TestExplanationsAreForPeople shows what an operator reads.
func TestExplanationsAreForPeople(t *testing.T) {
	s := newScene(tao.TPM)
	s.signer = enrollerKey
	require.Equal(t, `attestor: tpm
enrolment: signed by 8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394, to whom the policy delegates
enrolment's dates: good until 2026-06-03T12:00:00Z
identity: ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1
role: mix
root: `+fmt.Sprintf("%x vouches for the TPM %x", root, endorsement)+`
revocations: none applies
attestation key: restricted, in one TPM, ECDSA over P-256
quote's signature: by the attestation key that was enrolled
quote's origin: made by a TPM, with a key of its endorsement hierarchy
quoted registers: [0 14]
register values: as quoted
claim: identity, role, keys, epochs, configuration and stamp are what was quoted
stamp: the node has quoted after 2026-05-04T11:50:00Z
clock: start 5 of the machine, 1s
platform: registers 0 have allowed values
log: 8 events lead to the value of register 14
programs: mixnet 1.1 (d69ea8cda2433733)
configuration: threshold (`+fmt.Sprintf("%x", mixing.Digest())[:16]+`): threshold: 4 senders, or 2s
minimum: kept
keys: 2, each measured by the program that runs
`, s.explained(t, s.show(t, change{})))

	s = newScene(tao.Soft)
	s.policy.Settings[0].Name = ""
	said := s.explained(t, s.show(t, change{before: func(s *scene) { s.settings.KeepsKeys = true }}))
	require.Contains(t, said, "attestor: soft\nenrolment: signed by the policy key\n")
	require.Contains(t, said, "root: none: the attestor is soft\n")
	require.Contains(t, said, "attestation key: a key in a program's memory\n")
	require.Contains(t, said, "quote's origin: a program, which can say anything\n")
	require.Contains(t, said, "clock: none: the attestor is soft\n")
	require.Contains(t, said, "platform: the policy asks for no register of the platform\n")
	require.Contains(t, said, "configuration! the policy does not know the configuration: ")
	require.Contains(t, said, "2s; keys on disk")

	s = newScene(tao.Soft)
	said = s.explained(t, s.show(t, change{before: func(s *scene) {
		asDirectory(s)
		s.policy.Settings[0].Name = ""
		s.record.Resets = 7 // a soft attestor has no clock that it could break
		s.see(tao.Clock{Resets: 9})
	}}))
	require.NotContains(t, said, "!")
	require.Contains(t, said, fmt.Sprintf("configuration: %x: none\n", s.settings.Digest()))
	require.Contains(t, said, "minimum: does not concern a directory\nkeys: does not concern a directory\n")
}
