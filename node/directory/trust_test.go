package directory

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/link"
	"sphinxmix.example/tao"
)

// governed returns a signed view with a policy, good for an hour from start.
func governed(version uint64, policy []byte, descriptors ...[]byte) []byte {
	plain := viewOf(version, descriptors...) // sorts them
	return headerOf(version).sign(directoryKey, append(encodeRest(policy, nil)[:2+len(policy)], plain[stampSize+2:]...))
}

// trusting returns a client of a directory that shows what view points to, and follows the policies of policyKey.
func trusting(t *testing.T, view *[]byte) (*Client, *clock) {
	t.Helper()
	c, now := pretend(t, showing(view))
	c.Policy = public(policyKey)
	return c, now
}

func TestClientsTrustNobodyWhoBreaksARule(t *testing.T) {
	policy := policyOf(t, 1, nil)
	good := attested(t, 2)
	for name, c := range deceptions(t) {
		t.Run(name, func(t *testing.T) {
			view := governed(1, policy, c.descriptor, good)
			client, _ := trusting(t, &view)
			v, err := client.Fetch(t.Context())
			require.NoError(t, err)
			require.Len(t, v.Nodes, 1)
			d := mustNode(t, v, 2)
			require.Equal(t, start.Add(30*time.Minute), v.Verdict(d).Until)
			require.Equal(t, tao.Soft, v.Verdict(d).Record.Kind)
			require.Len(t, v.Refused, 1)
			require.Equal(t, idIn(c.descriptor), v.Refused[0].Node)
			require.Equal(t, "mix.example:4000", v.Refused[0].Address)
			require.ErrorIs(t, v.Refused[0].Err, c.want)

			client.Policy, client.last, client.reader = nil, nil, nil
			v, err = client.Fetch(t.Context())
			require.NoError(t, err)
			require.Len(t, v.Nodes, 2, "without a policy key the directory's word is all there is")
			require.Nil(t, v.Policy)
			require.Equal(t, policy, v.SignedPolicy)
			require.Empty(t, v.Refused)
			require.Nil(t, v.Verdict(v.Nodes[0]))
		})
	}
}

// Evidence ends to the second: for who has the view already, and for who reads it then.
func TestEvidenceExpiresToTheSecond(t *testing.T) {
	later := attestor{stamp: stampAt(start.Add(10 * time.Minute))}.attest(t, 2, describe(2))
	view := governed(1, policyOf(t, 1, nil), attested(t, 1), signed(t, 2, later))
	end := start.Add(30 * time.Minute)
	held, now := trusting(t, &view)
	now.advance(10 * time.Minute)
	first, err := held.Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, first.Nodes, 2)
	for _, c := range []struct {
		after time.Duration
		nodes int
	}{{-time.Second, 2}, {-1, 2}, {0, 1}, {time.Second, 1}} {
		now.advance(end.Add(c.after).Sub(now.Now()))
		fresh, freshNow := trusting(t, &view)
		freshNow.advance(end.Add(c.after).Sub(start))
		read, err := fresh.Fetch(t.Context())
		require.NoError(t, err)
		fetched, err := held.Fetch(t.Context())
		require.NoError(t, err)
		at, err := first.At(end.Add(c.after))
		require.NoError(t, err)
		for name, v := range map[string]*View{"fresh": read, "fetched": fetched, "at": at} {
			require.Len(t, v.Nodes, c.nodes, "%s, %v after", name, c.after)
			require.Len(t, v.Refused, 2-c.nodes, "%s, %v after", name, c.after)
			require.Equal(t, later, *mustNode(t, v, 2))
			if c.nodes == 2 {
				continue
			}
			require.Equal(t, idIn(attested(t, 1)), v.Refused[0].Node)
			if name == "fresh" {
				require.ErrorIs(t, v.Refused[0].Err, tao.ErrStale)
			} else {
				require.ErrorIs(t, v.Refused[0].Err, ErrExpired)
				require.ErrorContains(t, v.Refused[0].Err, "2026-01-01T12:30:00Z")
			}
		}
		if c.nodes == 2 {
			require.Same(t, first, at)
		}
	}
	require.Len(t, first.Nodes, 2, "a view that was given out changed")
}

func TestClientsWantAPolicyOfTheirKey(t *testing.T) {
	strange, err := (&tao.Policy{
		Version: 1, Issued: start, Expires: start.Add(time.Hour), LogRegister: 14, Minimum: tao.Minimum{Size: 2}, MaxAge: time.Hour,
	}).Sign(identity(211))
	require.NoError(t, err)
	spoilt := policyOf(t, 1, nil)
	spoilt[len(spoilt)-1] ^= 1
	expired := policyOf(t, 1, func(p *tao.Policy) { p.Expires = start })
	for name, c := range map[string]struct {
		policy []byte
		says   string
	}{
		"none":           {nil, "the network has none: is this the right directory?"},
		"of another key": {strange, "is the policy key the right one?"},
		"spoilt":         {spoilt, "is the policy key the right one?"},
		"expired":        {expired, "it was good until 2026-01-01T12:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			view := governed(1, c.policy, attested(t, 1))
			client, _ := trusting(t, &view)
			_, err := client.Fetch(t.Context())
			require.ErrorIs(t, err, ErrPolicy)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, client.URLs[0])
		})
	}
	client, _ := pretend(t, nil)
	client.Policy = public(policyKey)[:31]
	_, err = client.Fetch(t.Context())
	require.ErrorIs(t, err, ErrKey)
	require.ErrorContains(t, err, "policy key")
}

func TestNobodyIsTrustedOnceThePolicyHasExpired(t *testing.T) {
	short := policyOf(t, 1, func(p *tao.Policy) { p.Expires = start.Add(time.Minute) })
	view := governed(1, short)
	client, now := trusting(t, &view)
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Empty(t, v.Nodes)
	now.advance(time.Minute)
	_, err = v.At(now.Now())
	require.ErrorIs(t, err, ErrPolicy)
	view = governed(2, short, attested(t, 1))
	_, err = client.Fetch(t.Context())
	require.ErrorIs(t, err, ErrPolicy)

	now.advance(-time.Second)
	v, err = client.Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, v.Nodes, 1, "a clock that was ahead and has been put back")
	now.advance(time.Second)
	_, err = v.At(now.Now())
	require.ErrorIs(t, err, ErrPolicy)
	_, err = client.Fetch(t.Context())
	require.ErrorIs(t, err, ErrPolicy)
	require.ErrorIs(t, err, tao.ErrPolicy)

	view = governed(3, policyOf(t, 2, nil), attested(t, 1))
	v, err = client.Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, v.Nodes, 1)
}

// A directory that shows a policy from before a revocation is found out, and so is who signs two policies of one
// version.
func TestPoliciesDoNotGoBack(t *testing.T) {
	lax := policyOf(t, 4, nil)
	strict := policyOf(t, 5, func(p *tao.Policy) { p.Revoked = [][32]byte{tao.IdentityHash(public(identity(1)))} })
	view := governed(1, lax, attested(t, 1), attested(t, 2))
	client, _ := trusting(t, &view)
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, v.Nodes, 2)

	view = governed(2, strict, attested(t, 1), attested(t, 2))
	v, err = client.Fetch(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 5, v.Policy.Version)
	require.Len(t, v.Nodes, 1)
	mustNode(t, v, 2)
	require.ErrorIs(t, v.Refused[0].Err, tao.ErrRevoked)

	view = governed(3, lax, attested(t, 1), attested(t, 2))
	_, err = client.Fetch(t.Context())
	require.ErrorIs(t, err, ErrPolicy)
	require.ErrorIs(t, err, ErrOlder)
	require.ErrorContains(t, err, "version 4 is older than what is known already, which is version 5")

	view = governed(3, policyOf(t, 5, nil), attested(t, 1))
	_, err = client.Fetch(t.Context())
	require.ErrorIs(t, err, ErrTwoPolicies)

	view = governed(3, policyOf(t, 6, nil), attested(t, 1))
	v, err = client.Fetch(t.Context())
	require.NoError(t, err)
	mustNode(t, v, 1)
	require.Empty(t, v.Refused)
}

// What has not changed is neither parsed nor judged again; what has, is.
func TestWhatIsKnownIsNotCheckedAgain(t *testing.T) {
	policy := policyOf(t, 1, nil)
	rogue := signed(t, 3, attestor{program: [32]byte{1}}.attest(t, 3, describe(3)))
	view := governed(1, policy, attested(t, 1), attested(t, 2), rogue)
	client, _ := trusting(t, &view)
	first, err := client.Fetch(t.Context())
	require.NoError(t, err)

	renewed := attestor{}.attest(t, 2, describe(2))
	renewed.Version++
	view = governed(2, policy, attested(t, 1), signed(t, 2, renewed), rogue)
	second, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, second.Nodes, 2)
	require.Same(t, mustNode(t, first, 1), mustNode(t, second, 1))
	require.Same(t, first.Verdict(mustNode(t, first, 1)), second.Verdict(mustNode(t, second, 1)))
	require.Same(t, first.Refused[0].Err, second.Refused[0].Err)
	require.Equal(t, renewed, *mustNode(t, second, 2))
	require.NotSame(t, first.Verdict(mustNode(t, first, 2)), second.Verdict(mustNode(t, second, 2)))

	view = governed(3, policyOf(t, 2, nil), attested(t, 1), rogue)
	third, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Same(t, mustNode(t, first, 1), mustNode(t, third, 1))
	require.NotSame(t, first.Verdict(mustNode(t, first, 1)), third.Verdict(mustNode(t, third, 1)), "another policy")
	require.Len(t, client.reader.known, 2, "what the view does not list is forgotten")
}

func TestARefusalDoesNotOutliveAClockThatWasAhead(t *testing.T) {
	view := governed(1, policyOf(t, 1, nil), attested(t, 1))
	client, now := trusting(t, &view)
	now.advance(40 * time.Minute)
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Empty(t, v.Nodes)
	now.advance(-20 * time.Minute)
	view = governed(2, policyOf(t, 1, nil), attested(t, 1))
	v, err = client.Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, v.Nodes, 1)
}

// Whom a view does not list any more, the policy trusts by what was last heard, and as long as that is good; but not who
// has shown something else since, which it refuses.
func TestWhoIsNotListedIsTrustedByTheLastThatWasHeard(t *testing.T) {
	view := governed(1, policyOf(t, 1, nil), attested(t, 1), attested(t, 2))
	client, now := trusting(t, &view)
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	one, two, end := mustNode(t, v, 1), mustNode(t, v, 2), start.Add(30*time.Minute)
	require.Equal(t, end, v.Next())
	require.Equal(t, end, v.TrustedUntil(one, now.Now()))

	view = governed(2, policyOf(t, 1, nil), attested(t, 2))
	v, err = client.Fetch(t.Context())
	require.NoError(t, err)
	require.False(t, v.Refuses(one.ID()))
	require.Equal(t, end, v.TrustedUntil(one, now.Now()))
	require.Zero(t, v.TrustedUntil(one, end))

	now.advance(time.Minute)
	newer := attestor{stamp: stampAt(now.Now())}.attest(t, 2, describe(2))
	newer.Version++
	rogue := signed(t, 1, attestor{program: [32]byte{1}}.attest(t, 1, describe(1)))
	view = governed(3, policyOf(t, 1, nil), rogue, signed(t, 3, describe(3)), signed(t, 2, newer))
	v, err = client.Fetch(t.Context())
	require.NoError(t, err)
	require.True(t, v.Refuses(one.ID()))
	require.True(t, v.Refuses(idIn(signed(t, 3, describe(3)))))
	require.False(t, v.Refuses(two.ID()))
	require.Zero(t, v.TrustedUntil(one, now.Now()))
	require.Equal(t, end.Add(time.Minute), v.TrustedUntil(two, now.Now()), "the view has something newer")

	view = governed(4, policyOf(t, 2, func(p *tao.Policy) { p.Programs = nil }))
	v, err = client.Fetch(t.Context())
	require.NoError(t, err)
	require.Zero(t, v.TrustedUntil(one, now.Now()), "by the view's own policy")

	client.Policy, client.last, client.reader = nil, nil, nil
	v, err = client.Fetch(t.Context())
	require.NoError(t, err)
	require.True(t, v.TrustedUntil(one, now.Now()).After(start.AddDate(1000, 0, 0)))
}

// A descriptor that was read before is the directory's word of that time: the network may be another now.
func TestWhatIsKnownIsOfTheSameNetwork(t *testing.T) {
	view := viewOf(1, signed(t, 1, describe(1)))
	client, _ := pretend(t, showing(&view))
	_, err := client.Fetch(t.Context())
	require.NoError(t, err)
	other := headerOf(2)
	other.MaxHops--
	view = other.sign(directoryKey, bytes.Clone(view[stampSize:]))
	_, err = client.Fetch(t.Context())
	require.ErrorIs(t, err, ErrOtherNetwork)
}

func TestRoleIsWhatTheServicesMakeOfANode(t *testing.T) {
	require.Equal(t, link.GatewayService, gatewayService, "a gateway would be an exit")
	for _, c := range []struct {
		services []string
		want     tao.Role
	}{
		{nil, tao.Mix},
		{[]string{"echo"}, tao.Mix},
		{[]string{"echo", "gateway"}, tao.Mix},
		{[]string{"echo", "gateway", "tcp"}, tao.Exit},
		{[]string{"gateways"}, tao.Exit},
	} {
		require.Equal(t, c.want, (&Descriptor{Services: c.services}).Role(), "%q", c.services)
	}
}
