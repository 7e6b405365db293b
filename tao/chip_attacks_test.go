package tao_test

import (
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
	"sphinxmix.example/tao/swtpm"
)

func TestChipThatWasEnrolledIsAccepted(t *testing.T) {
	m := newMachine(t)
	evidence := m.attest(t, m.prover(t))
	j := m.judge(t, evidence)
	j.requireAccepted(t)
	require.NotZero(t, j.verdict.Clock)
	require.Equal(t, m.policy.Roots[0], j.verdict.Record.Root)
	require.Equal(t, program, j.verdict.Program.Digest)
	require.NoError(t, tao.CheckAttestationKey(m.attestor.Key()))
}

// TestChipSaysOtherThings has the enrolled key sign everything that a TPM signs with such a key, over the claim that a quote
// would be over.
func TestChipSaysOtherThings(t *testing.T) {
	m := newMachine(t)
	claim := m.claim()
	said := func(statement []byte, signature tpm2.TPMTSignature) tao.Quote {
		return tao.Quote{Statement: statement, Signature: tpm2.Marshal(signature)}
	}
	for _, c := range []struct {
		name string
		say  func(*chipKey) tao.Quote
		rule string
		err  error
		also []string
	}{
		{"TPM2_Certify of itself", func(k *chipKey) tao.Quote {
			r, err := tpm2.Certify{
				ObjectHandle: k.handle, SignHandle: k.handle, QualifyingData: tpm2.TPM2BData{Buffer: claim[:]}, InScheme: keyScheme,
			}.Execute(m.tpm.Device())
			require.NoError(t, err)
			return said(r.CertifyInfo.Bytes(), r.Signature)
		}, byOrigin, tao.ErrType, afterOrigin},
		{"TPM2_GetTime", func(k *chipKey) tao.Quote {
			r, err := tpm2.GetTime{
				PrivacyAdminHandle: tpm2.TPMRHEndorsement,
				SignHandle:         k.handle, QualifyingData: tpm2.TPM2BData{Buffer: claim[:]}, InScheme: keyScheme,
			}.Execute(m.tpm.Device())
			require.NoError(t, err)
			return said(r.TimeInfo.Bytes(), r.Signature)
		}, byOrigin, tao.ErrType, afterOrigin},
		{"TPM2_Sign of what looks like a quote but for the magic", func(k *chipKey) tao.Quote {
			statement := k.quote(t, claim, bankOf(tpm2.TPMAlgSHA256, 0, 14)).Statement
			statement[3]++
			signature, err := k.sign(t, statement)
			require.NoError(t, err)
			return tao.Quote{Statement: statement, Signature: signature}
		}, byOrigin, tao.ErrMagic, nil},
		{"TPM2_Quote over another claim", func(k *chipKey) tao.Quote {
			return k.quote(t, digest("a challenge of somebody else"), bankOf(tpm2.TPMAlgSHA256, 0, 14))
		}, byClaim, tao.ErrClaim, nil},
		{"TPM2_Quote of fewer registers", func(k *chipKey) tao.Quote {
			return k.quote(t, claim, bankOf(tpm2.TPMAlgSHA256, 14))
		}, bySelection, tao.ErrSelection, []string{byValues}},
		{"TPM2_Quote of more registers", func(k *chipKey) tao.Quote {
			return k.quote(t, claim, bankOf(tpm2.TPMAlgSHA256, 0, 14, 23))
		}, bySelection, tao.ErrSelection, []string{byValues}},
		{"TPM2_Quote of other registers with the same values", func(k *chipKey) tao.Quote {
			return k.quote(t, claim, bankOf(tpm2.TPMAlgSHA256, 1, 14))
		}, bySelection, tao.ErrSelection, nil},
		{"TPM2_Quote of another bank", func(k *chipKey) tao.Quote {
			return k.quote(t, claim, bankOf(tpm2.TPMAlgSHA384, 0, 14))
		}, bySelection, tao.ErrSelection, []string{byValues}},
		{"TPM2_Quote of two banks", func(k *chipKey) tao.Quote {
			return k.quote(t, claim, bankOf(tpm2.TPMAlgSHA256, 0, 14), bankOf(tpm2.TPMAlgSHA384, 0))
		}, bySelection, tao.ErrSelection, []string{byValues}},
	} {
		t.Run(c.name, func(t *testing.T) {
			evidence := m.requote(t, func(tao.Quote) (q tao.Quote) {
				m.useAttestationKey(t, func(k *chipKey) { q = c.say(k) })
				return q
			})
			m.judge(t, evidence).requireRefused(t, c.rule, c.err, c.also...)
		})
	}
}

// TestRestrictedKeyForgesNoQuote has the TPM itself refuse: this is what the whole chain rests on.
func TestRestrictedKeyForgesNoQuote(t *testing.T) {
	m := newMachine(t)
	forged := tpm2.Marshal(newForger(1).attest(m.claim(), nil, tao.Clock{}))
	m.useAttestationKey(t, func(k *chipKey) {
		_, err := k.sign(t, forged)
		require.ErrorIs(t, err, tpm2.TPMRCTicket, "it signs what says that a TPM has made it")
		sum, _ := m.hash(t, forged)
		_, ticket := m.hash(t, []byte("something else"))
		_, err = k.signDigest(sum, ticket)
		require.ErrorIs(t, err, tpm2.TPMRCTicket, "it takes a ticket that is of something else")
		_, err = k.sign(t, []byte("something else"))
		require.NoError(t, err)
	})
}

// TestKeyThatSignsAnything is about a key of the same TPM that is not restricted, and signs a forged quote.
func TestKeyThatSignsAnything(t *testing.T) {
	m := newMachine(t)
	loose := template()
	loose.ObjectAttributes.Restricted = false
	forge := func(tao.Quote) (q tao.Quote) {
		m.use(t, tpm2.TPMRHEndorsement, loose, func(k *chipKey) {
			attest, err := tpm2.Unmarshal[tpm2.TPMSAttest](k.quote(t, m.claim(), bankOf(tpm2.TPMAlgSHA256, 0, 14)).Statement)
			require.NoError(t, err)
			attest.ClockInfo.ResetCount++ // what it has not said
			q.Statement = tpm2.Marshal(*attest)
			q.Signature, err = k.sign(t, q.Statement)
			require.NoError(t, err)
		})
		return q
	}
	t.Run("for the key that was enrolled", func(t *testing.T) {
		m.judge(t, m.requote(t, forge)).requireRefused(t, bySignature, tao.ErrSignature, byOrigin)
	})
	t.Run("which was enrolled by mistake", func(t *testing.T) {
		evidence := m.rogue(t, func(e *tao.Evidence) {
			m.use(t, tpm2.TPMRHEndorsement, loose, func(k *chipKey) { m.record.Key = k.public })
			var err error
			e.Record, err = m.record.Sign(policyKey)
			require.NoError(t, err)
			e.Quote = forge(e.Quote)
		})
		m.judge(t, evidence).requireRefused(t, byAttestationKey, tao.ErrKey)
	})
}

// TestKeyOfAnotherHierarchy is about a key that is as restricted as any, in a hierarchy where the TPM hides its resets.
func TestKeyOfAnotherHierarchy(t *testing.T) {
	for name, hierarchy := range map[string]tpm2.TPMHandle{"owner": tpm2.TPMRHOwner, "platform": tpm2.TPMRHPlatform, "null": tpm2.TPMRHNull} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			evidence := m.rogue(t, func(e *tao.Evidence) {
				m.use(t, hierarchy, template(), func(k *chipKey) {
					m.record.Key = k.public
					e.Quote = k.quote(t, m.claim(), bankOf(tpm2.TPMAlgSHA256, 0, 14))
				})
				var err error
				e.Record, err = m.record.Sign(policyKey)
				require.NoError(t, err)
			})
			m.judge(t, evidence).requireRefused(t, byOrigin, tao.ErrSigner)
		})
	}
}

func TestQuoteOfAnotherChip(t *testing.T) {
	m, other := newMachine(t), newMachine(t)
	quote := func(tao.Quote) tao.Quote {
		e, err := tao.ParseEvidence(other.attest(t, other.prover(t)))
		require.NoError(t, err)
		return e.Quote
	}
	t.Run("another TPM's attestation key", func(t *testing.T) {
		m.judge(t, m.requote(t, quote)).requireRefused(t, bySignature, tao.ErrSignature, byOrigin)
	})
	t.Run("a record for another attestation key", func(t *testing.T) {
		evidence := m.rogue(t, func(e *tao.Evidence) { e.Record = other.signed })
		m.judge(t, evidence).requireRefused(t, bySignature, tao.ErrSignature, byOrigin)
	})
	t.Run("what the other machine says as a whole, which was enrolled for the same node", func(t *testing.T) {
		m.judge(t, other.attest(t, other.prover(t))).requireAccepted(t) // a relay does not show
	})
}

func TestChipOfAnUnknownMaker(t *testing.T) {
	m := newMachine(t)
	evidence := m.attest(t, m.prover(t))
	m.policy.Roots = [][32]byte{root}
	m.judge(t, evidence).requireRefused(t, byRoot, tao.ErrRoot)

	unknown, err := swtpm.NewFactory(start)
	require.NoError(t, err)
	require.NoError(t, unknown.Certify(m.tpm.Device()))
	request, err := tao.ParseRequest(m.request(t))
	require.NoError(t, err)
	_, _, err = tao.Grant(noRandomness{}, request, policyKey, m.roots, granted())
	require.ErrorIs(t, err, tao.ErrRoot)
	require.ErrorContains(t, err, "an authority that is no root: CN=Factory")
}

// TestReplayOfAnOlderBoot shows a reader what it would have accepted before the machine was started anew.
func TestReplayOfAnOlderBoot(t *testing.T) {
	m := newMachine(t)
	before := m.attest(t, m.prover(t))
	m.judge(t, before).requireAccepted(t)
	require.NoError(t, m.tpm.Reboot())
	after := m.attest(t, m.prover(t))
	j := m.judge(t, after)
	j.requireAccepted(t)
	require.Equal(t, m.record.Resets+1, j.verdict.Clock.Resets)

	m.see(j.verdict.Clock)
	m.judge(t, after).requireAccepted(t)
	m.judge(t, before).requireRefused(t, byClock, tao.ErrClock)
	m.subject.Seen = nil
	m.now = j.verdict.Stamped.Add(m.policy.MaxAge)
	m.judge(t, before).requireRefused(t, byStamp, tao.ErrStale)
	m.now = m.now.Add(-time.Second)
	m.judge(t, before).requireAccepted(t) // as nobody has seen the newer one
}

// TestClearedChip is about what a TPM does where its owner has cleared it: the attestation key stays, and its counters begin anew.
func TestClearedChip(t *testing.T) {
	m := newMachine(t)
	require.NoError(t, m.tpm.Reboot())
	m.enrol(t)
	p := m.prover(t)
	before := m.judge(t, m.attest(t, p))
	before.requireAccepted(t)
	platform := tpm2.AuthHandle{Handle: tpm2.TPMRHPlatform, Auth: tpm2.PasswordAuth(nil)}
	_, err := tpm2.Clear{AuthHandle: platform}.Execute(m.tpm.Device())
	require.NoError(t, err)
	key := m.attestor.Key()
	m.attestor, err = m.tpm.Device().Attestor()
	require.NoError(t, err)
	require.Equal(t, key, m.attestor.Key())

	cleared := m.attest(t, p)
	m.judge(t, cleared).requireRefused(t, byClock, tao.ErrCleared)
	require.NoError(t, m.tpm.Reboot())
	rebooted := m.attest(t, m.prover(t))
	m.judge(t, rebooted).requireRefused(t, byClock, tao.ErrCleared)

	// Once it has been started as often as before, who has enrolled it sees no difference. Who has seen its clock may.
	require.NoError(t, m.tpm.Reboot())
	again := m.attest(t, m.prover(t))
	m.judge(t, again).requireAccepted(t)
	m.see(tao.Clock{Resets: before.verdict.Clock.Resets, Time: before.verdict.Clock.Time + 3600_000})
	m.judge(t, again).requireRefused(t, byClock, tao.ErrClock)

	// A TPM with another endorsement seed is another TPM.
	m.changeSeed(t)
	m.attestor, err = m.tpm.Device().Attestor()
	require.NoError(t, err)
	require.NotEqual(t, key, m.attestor.Key())
	_, err = tao.NewProver(tao.ProverConfig{Attestor: m.attestor, Record: m.signed, Program: program, LogFile: m.logFile})
	require.ErrorIs(t, err, tao.ErrRecord)
	require.ErrorContains(t, err, "enrol the node again")
}

// TestRegistersOfAChip extends real ones with what should not be in them.
func TestRegistersOfAChip(t *testing.T) {
	second := tao.Event{Kind: tao.KeyMade, Epoch: 42, Digest: digest("one for the police")}
	t.Run("a second mix key that is told of", func(t *testing.T) {
		m := newMachine(t)
		p := m.prover(t)
		m.attest(t, p)
		keys := m.subject.Keys
		m.subject.Keys = append([]tao.EpochKey{}, keys[0], tao.EpochKey{Epoch: second.Epoch, Key: second.Digest})
		m.attest(t, p)
		m.subject.Keys = keys
		m.judge(t, m.attest(t, p)).requireRefused(t, byKeys, tao.ErrKeys)
	})
	t.Run("a second mix key that is not told of", func(t *testing.T) {
		m := newMachine(t)
		p := m.prover(t)
		m.attest(t, p)
		require.NoError(t, m.attestor.Extend(tao.DefaultRegister, second.Measure()))
		_, err := p.Attest(m.says(), m.policy)
		require.ErrorContains(t, err, "register 14")
	})
	t.Run("another firmware", func(t *testing.T) {
		m := newMachine(t)
		require.NoError(t, m.attestor.Extend(0, digest("a root kit")))
		m.judge(t, m.attest(t, m.prover(t))).requireRefused(t, byPlatform, tao.ErrRegister)
	})
	t.Run("a value that was changed on its way", func(t *testing.T) {
		m := newMachine(t)
		evidence := m.rogue(t, func(e *tao.Evidence) { e.Registers[0].Value = firmware })
		m.judge(t, evidence).requireRefused(t, byValues, tao.ErrDigest)
	})
	t.Run("another log's register", func(t *testing.T) {
		m := newMachine(t)
		p, err := tao.NewProver(tao.ProverConfig{Attestor: m.attestor, Record: m.signed, Program: program, Register: 13, LogFile: m.logFile})
		require.NoError(t, err)
		_, err = p.Attest(m.says(), m.policy)
		require.ErrorContains(t, err, "register 14")
	})
}
