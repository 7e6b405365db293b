package directory

import (
	"encoding/binary"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
	"sphinxmix.example/tao/swtpm"
)

// machine returns a software TPM, and what makes evidence with it. The test is skipped where there is none, but not in
// CI.
func machine(t testing.TB) (*swtpm.TPM, func(Descriptor) Descriptor) {
	t.Helper()
	if err := swtpm.Found(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	m, err := swtpm.Start(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m, func(d Descriptor) Descriptor {
		quoting, err := m.Device().Attestor()
		require.NoError(t, err)
		endorsement, err := m.Device().Endorsement()
		require.NoError(t, err)
		vouched, err := tao.EndorsementHash(endorsement.Public)
		require.NoError(t, err)
		return attestor{tpm: quoting, vouched: vouched}.attest(t, 1, d)
	}
}

// trustsTPM changes a policy so that it accepts what the TPM that made d's evidence says.
func trustsTPM(t testing.TB, d Descriptor) func(*tao.Policy) {
	t.Helper()
	evidence, err := tao.ParseEvidence(d.Evidence)
	require.NoError(t, err)
	record, err := tao.ParseRecord(evidence.Record)
	require.NoError(t, err)
	return func(p *tao.Policy) { p.Attestors, p.Roots = []tao.Kind{tao.TPM}, [][32]byte{record.Root} }
}

// A quote from before a machine was started anew tells of a program that has ended. Who has seen a later one of its TPM
// does not believe it, though its stamp is fresh and its node signs it.
func TestAQuoteFromBeforeARestartIsNotBelievedAfter(t *testing.T) {
	tpm, attest := machine(t)
	describe := func(version uint64) Descriptor {
		d := describe(1)
		d.Version = version
		return attest(d)
	}
	before := describe(1)
	require.NoError(t, tpm.Reboot())
	after := describe(2)
	again := before
	again.Version = 3
	trusts := trustsTPM(t, after)
	policy := policyOf(t, 1, trusts)

	view := governed(1, policy, signed(t, 1, before))
	client, _ := trusting(t, &view)
	for version, d := range []Descriptor{before, after} {
		view = governed(uint64(2+version), policy, signed(t, 1, d))
		v, err := client.Fetch(t.Context())
		require.NoError(t, err)
		require.Len(t, v.Nodes, 1, "%v", v.Refused)
		require.NotZero(t, v.Verdict(v.Nodes[0]).Clock)
	}
	view = governed(4, policy, signed(t, 1, again))
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Empty(t, v.Nodes)
	require.ErrorIs(t, v.Refused[0].Err, tao.ErrClock)

	view = governed(5, policyOf(t, 2, trusts), signed(t, 1, after))
	v, err = client.Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, v.Nodes, 1, "the last quote is good still: %v", v.Refused)

	s, registering, _ := govern(t, ServerConfig{}, policy)
	require.NoError(t, registering.Register(t.Context(), signed(t, 1, before)))
	require.NoError(t, registering.Register(t.Context(), signed(t, 1, after)))
	require.ErrorContains(t, registering.Register(t.Context(), signed(t, 1, again)), tao.ErrClock.Error())
	require.Equal(t, after, *mustNode(t, viewOfServer(t, s), 1))
}

func TestOfTwoClocksTheLaterIsKept(t *testing.T) {
	j := newJudge(public(directoryKey))
	for _, c := range []tao.Clock{
		{Time: 5, Resets: 1}, {Time: 6, Resets: 1}, {Time: 4, Resets: 1, Restarts: 1}, {Time: 1, Resets: 2},
	} {
		before := j.shownBy([32]byte{1})
		j.remember([32]byte{1}, shown{c, start})
		require.Equal(t, c, j.shownBy([32]byte{1}))
		j.remember([32]byte{1}, shown{before, start})
		require.Equal(t, c, j.shownBy([32]byte{1}))
	}
	require.Zero(t, j.shownBy([32]byte{2}))
}

func TestAJudgeForgetsTheClockThatItSawLongestAgo(t *testing.T) {
	j := newJudge(public(directoryKey))
	key := func(n int) (key [32]byte) {
		binary.BigEndian.PutUint32(key[:], uint32(n))
		return key
	}
	for n := range maxClocks {
		j.remember(key(n), shown{tao.Clock{Time: 1}, start.Add(time.Duration(n) * time.Second)})
	}
	j.remember(key(0), shown{tao.Clock{Time: 2}, start.Add(time.Hour * 24)})
	j.remember(key(maxClocks), shown{tao.Clock{Time: 1}, start.Add(time.Hour * 24)})
	require.Len(t, j.clocks, maxClocks)
	require.Zero(t, j.shownBy(key(1)))
	for _, n := range []int{0, 2, maxClocks} {
		require.NotZero(t, j.shownBy(key(n)), "%d", n)
	}
}

func TestAJudgeKnowsOnlySoManyStamps(t *testing.T) {
	j := newJudge(public(directoryKey))
	for n := range maxStamps {
		j.stamps[string(binary.BigEndian.AppendUint32(nil, uint32(n)))] = start
	}
	stamp := stampAt(start.Add(time.Minute))
	for range 2 {
		made, err := j.stamped(stamp)
		require.NoError(t, err)
		require.Equal(t, start.Add(time.Minute), made)
	}
	require.Len(t, j.stamps, 1)
	stamp[0] ^= 1
	_, err := j.stamped(stamp)
	require.ErrorIs(t, err, ErrSignature)
	require.Len(t, j.stamps, 1, "what is no stamp is kept")
}
