package directory

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// onOne returns a signed descriptor of node n, with good evidence of the machine that has the key of owner, which was
// enrolled as that node then.
func onOne(t *testing.T, owner, n byte, issued time.Time) []byte {
	t.Helper()
	return signed(t, n, attestor{tpm: tao.NewSoft(identity(owner)), issued: issued}.attest(t, n, describe(n)))
}

// lower returns two nodes, the one with the lower id first.
func lower(a, b byte) (first, second byte) {
	if compare(NodeIDOf(public(identity(a))), NodeIDOf(public(identity(b)))) < 0 {
		return a, b
	}
	return b, a
}

// A machine that was enrolled as two nodes is one of them: the last, and by no accident of their ids.
func TestOneMachineIsOneNode(t *testing.T) {
	first, second := lower(1, 2)
	hour := time.Hour
	for name, c := range map[string]struct {
		issuedFirst, issuedSecond time.Duration
		stays                     byte
	}{
		"the second was enrolled later": {-2 * hour, -hour, second},
		"the first was enrolled later":  {-hour, -2 * hour, first},
		"in the same second":            {-hour, -hour, first},
	} {
		t.Run(name, func(t *testing.T) {
			policy := policyOf(t, 1, nil)
			one := onOne(t, 90, first, start.Add(c.issuedFirst))
			two := onOne(t, 90, second, start.Add(c.issuedSecond))
			view := governed(1, policy, one, two, attested(t, 3))
			client, _ := trusting(t, &view)
			v, err := client.Fetch(t.Context())
			require.NoError(t, err)
			require.Len(t, v.Nodes, 2)
			kept := mustNode(t, v, c.stays)
			mustNode(t, v, 3)
			require.Len(t, v.Refused, 1)
			gone := v.Refused[0]
			require.Equal(t, NodeIDOf(public(identity(first+second-c.stays))), gone.Node)
			require.Equal(t, "mix.example:4000", gone.Address)
			require.ErrorIs(t, gone.Err, ErrSameMachine)
			require.ErrorContains(t, gone.Err, kept.ID().String())
			require.True(t, v.Refuses(gone.Node))

			only := one
			if c.stays == first {
				only = two
			}
			view = governed(2, policy, only, attested(t, 3))
			v, err = client.Fetch(t.Context())
			require.NoError(t, err)
			require.Len(t, v.Nodes, 2, "the other one has left: %v", v.Refused)
			require.Empty(t, v.Refused)
		})
	}
}

// What counts for nothing by itself takes nobody's place: evidence that is over, a descriptor that is, and what the policy
// refuses.
func TestOnlyATrustedNodeTakesTheMachineOfAnother(t *testing.T) {
	old := signed(t, 1, attestor{tpm: tao.NewSoft(identity(90)), stamp: stampAt(start.Add(10 * time.Minute))}.attest(t, 1, describe(1)))
	expires := describe(2)
	expires.Expires = start.Add(20 * time.Minute)
	again := func(a attestor, d Descriptor) []byte {
		a.tpm, a.issued = tao.NewSoft(identity(90)), start
		return signed(t, 2, a.attest(t, 2, d))
	}
	for name, newer := range map[string][]byte{
		"refused":            again(attestor{program: [32]byte{1}}, describe(2)),
		"evidence over":      again(attestor{}, describe(2)),
		"descriptor expired": again(attestor{stamp: stampAt(start.Add(10 * time.Minute))}, expires),
	} {
		t.Run(name, func(t *testing.T) {
			view := governed(1, policyOf(t, 1, nil), old, newer)
			client, now := trusting(t, &view)
			now.advance(15 * time.Minute)
			v, err := client.Fetch(t.Context())
			require.NoError(t, err)
			require.Len(t, v.Nodes, 1)
			if name == "refused" {
				mustNode(t, v, 1)
				return
			}
			mustNode(t, v, 2)

			view = governed(2, policyOf(t, 1, nil), newer, old)
			now.advance(15 * time.Minute)
			v, err = client.Fetch(t.Context())
			require.NoError(t, err)
			require.Len(t, v.Nodes, 1)
			mustNode(t, v, 1)
		})
	}
}

// Two attestation keys of one TPM are one machine, and a soft attestor has no TPM that another could have.
func TestOneTPMWithTwoKeysIsOneNode(t *testing.T) {
	understand := func(n byte, tpm [32]byte) *understood {
		d := describe(n)
		record := &tao.Record{Key: []byte{n}, Endorsement: tpm, Issued: start.Add(-time.Duration(n) * time.Hour)}
		return &understood{d.ID(), &d, judgement{verdict: &tao.Verdict{Until: start.Add(time.Hour), Record: record}}}
	}
	one, two, three := understand(1, [32]byte{7}), understand(2, [32]byte{7}), understand(3, [32]byte{8})
	soft, softer := understand(4, [32]byte{}), understand(5, [32]byte{})
	refused := doubles([]*understood{softer, soft, three, two, one}, start)
	require.Len(t, refused, 1)
	require.ErrorIs(t, refused[two], ErrSameMachine)
}

// Where each machine is one node, nothing is decided about any.
func TestNodesOnMachinesOfTheirOwnAreLeftAlone(t *testing.T) {
	view := governed(1, policyOf(t, 1, nil), attested(t, 1), attested(t, 2), signed(t, 3, describe(3)))
	client, _ := trusting(t, &view)
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, v.Nodes, 2)
	require.Len(t, v.Refused, 1)
	require.ErrorIs(t, v.Refused[0].Err, tao.ErrEvidence)
}
