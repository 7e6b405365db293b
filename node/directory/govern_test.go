package directory

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// govern runs a directory with a policy, and returns it with a client that trusts the policy's key.
func govern(t *testing.T, cfg ServerConfig, policy []byte) (*Server, *Client, *clock) {
	t.Helper()
	cfg.Policy, cfg.PolicyKey = policy, public(policyKey)
	s, c, now := serve(t, cfg)
	c.Policy = public(policyKey)
	return s, c, now
}

// requoted returns a signed descriptor of node n with a version of its own and evidence stamped then, both good for as
// long as can be.
func requoted(t *testing.T, n byte, version uint64, stamped time.Time) []byte {
	t.Helper()
	d := describe(n)
	d.Version, d.Expires = version, stamped.Add(time.Hour)
	return signed(t, n, attestor{stamp: stampAt(stamped)}.attest(t, n, d))
}

func TestServersTakeInNobodyWhoBreaksARule(t *testing.T) {
	store := new(meter)
	s, client, _ := govern(t, ServerConfig{Store: store}, policyOf(t, 1, nil))
	require.NoError(t, client.Register(t.Context(), attested(t, 2)))
	before, sets := published(t, s), store.sets.Load()
	for name, c := range deceptions(t) {
		t.Run(name, func(t *testing.T) {
			answer, text := ask(t, http.MethodPost, client.URLs[0]+"/v1/descriptor", c.descriptor)
			require.Equal(t, http.StatusForbidden, answer.StatusCode)
			require.Contains(t, text, ErrUntrusted.Error()+": "+c.want.Error())
			require.Equal(t, 1, strings.Count(text, "\n"))
			require.Same(t, before, published(t, s))
		})
	}
	require.Equal(t, sets, store.sets.Load(), "what is refused costs the store something")
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, v.Nodes, 1)
	require.EqualValues(t, 1, v.Policy.Version)
	require.Empty(t, v.Refused)
}

// A node whose evidence is refused goes on trying. It uses up nothing that its neighbours need.
func TestRefusedNodesDoNotKeepOthersOut(t *testing.T) {
	s, _, now := govern(t, ServerConfig{MaxNewNodes: 2}, policyOf(t, 1, nil))
	const here, there = "192.0.2.1:1", "192.0.2.2:1"
	require.Equal(t, http.StatusNoContent, post(s, here, attested(t, 9)).Code)
	for range refuseBurst {
		require.Equal(t, http.StatusForbidden, post(s, here, signed(t, 1, describe(1))).Code)
	}
	answer := post(s, here, signed(t, 1, describe(1)))
	require.Equal(t, http.StatusTooManyRequests, answer.Code)
	require.Contains(t, answer.Body.String(), ErrTooWrong.Error())
	require.NotEmpty(t, answer.Header().Get("Retry-After"))
	require.Equal(t, http.StatusNoContent, post(s, here, requoted(t, 9, 2, start)).Code, "a node that is known")
	require.Equal(t, http.StatusNoContent, post(s, there, attested(t, 8)).Code, "another address")
	now.advance(refuseEvery)
	require.Equal(t, http.StatusNoContent, post(s, here, attested(t, 2)).Code)
	require.Contains(t, post(s, here, attested(t, 3)).Body.String(), ErrTooMany.Error(), "refusals made room for more new nodes")
}

// However large what is refused is, it takes up no room that its neighbours need for theirs.
func TestRefusedNodesDoNotKeepOthersOutByBytes(t *testing.T) {
	s, _, now := govern(t, ServerConfig{MaxNewNodes: 1}, policyOf(t, 1, nil))
	const here = "192.0.2.1:1"
	large := describe(1)
	large.Evidence = bytes.Repeat([]byte{1}, MaxEvidenceSize)
	refused := 0
	for room := s.allowed.bytes.size; room > -MaxEvidenceSize; room -= MaxEvidenceSize {
		require.Equal(t, http.StatusForbidden, post(s, here, signed(t, 1, large)).Code)
		refused++
		now.advance(refuseEvery)
	}
	require.Greater(t, refused, refuseBurst)
	require.Equal(t, http.StatusNoContent, post(s, here, requoted(t, 9, 1, now.Now())).Code)
}

func TestANewerPolicyTakesNodesOutAndBringsThemBack(t *testing.T) {
	s, client, _ := govern(t, ServerConfig{}, policyOf(t, 4, nil))
	require.NoError(t, client.Register(t.Context(), attested(t, 1)))
	require.NoError(t, client.Register(t.Context(), attested(t, 2)))
	require.Len(t, viewOfServer(t, s).Nodes, 2)

	revoking := policyOf(t, 5, func(p *tao.Policy) { p.Revoked = [][32]byte{tao.IdentityHash(public(identity(1)))} })
	require.NoError(t, s.SetPolicy(revoking))
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 5, v.Policy.Version)
	require.Len(t, v.Nodes, 1)
	mustNode(t, v, 2)
	require.Empty(t, v.Refused, "the directory lists whom the policy refuses")
	last := published(t, s)
	require.NoError(t, s.SetPolicy(revoking), "the same again")
	require.Same(t, last, published(t, s))
	require.ErrorContains(t, client.Register(t.Context(), attested(t, 1)), tao.ErrRevoked.Error(), "what is held, but not listed")
	require.NoError(t, client.Register(t.Context(), attested(t, 2)), "what is held, and listed")

	for name, c := range map[string]struct {
		policy []byte
		want   error
	}{
		"older":                       {policyOf(t, 4, nil), ErrOlder},
		"another of the same version": {policyOf(t, 5, nil), ErrTwoPolicies},
		"expired":                     {policyOf(t, 6, func(p *tao.Policy) { p.Expires = start }), tao.ErrPolicy},
		"spoilt":                      {policyOf(t, 6, nil)[1:], tao.ErrPolicy},
		"none":                        {nil, ErrPolicy},
	} {
		err := s.SetPolicy(c.policy)
		require.ErrorIs(t, err, ErrPolicy, name)
		require.ErrorIs(t, err, c.want, name)
	}
	require.Same(t, last, published(t, s))

	require.NoError(t, s.SetPolicy(policyOf(t, 6, nil)))
	require.Len(t, viewOfServer(t, s).Nodes, 2, "a node that is trusted again")
}

func TestNodesAreListedUntilTheirEvidenceExpires(t *testing.T) {
	s, client, now := govern(t, ServerConfig{Lifetime: 24 * time.Hour}, policyOf(t, 1, nil))
	now.advance(-10 * time.Minute) // so that no epoch begins
	for n := byte(1); n <= 2; n++ {
		require.NoError(t, client.Register(t.Context(), requoted(t, n, 1, now.Now())))
	}
	now.advance(10 * time.Minute)
	require.NoError(t, client.Register(t.Context(), requoted(t, 2, 2, now.Now())))
	require.Len(t, viewOfServer(t, s).Nodes, 2)
	now.advance(20*time.Minute - 1)
	before := published(t, s)
	require.Len(t, viewOfServer(t, s).Nodes, 2)
	require.NoError(t, client.Register(t.Context(), requoted(t, 1, 1, start.Add(-10*time.Minute))))
	require.Same(t, before, published(t, s))
	now.advance(1)
	mustNode(t, viewOfServer(t, s), 2)
	require.Len(t, viewOfServer(t, s).Nodes, 1)
	require.ErrorContains(t, client.Register(t.Context(), requoted(t, 1, 1, start.Add(-10*time.Minute))), tao.ErrStale.Error(), "the same again")
	after := published(t, s)
	now.advance(time.Minute)
	require.Same(t, after, published(t, s), "a new view, and nothing has happened")

	require.NoError(t, client.Register(t.Context(), requoted(t, 1, 2, now.Now())))
	require.Len(t, viewOfServer(t, s).Nodes, 2)

	require.NoError(t, s.SetPolicy(policyOf(t, 2, func(p *tao.Policy) { p.MaxAge = 5 * time.Minute })))
	mustNode(t, viewOfServer(t, s), 1)
	require.Len(t, viewOfServer(t, s).Nodes, 1)
	now.advance(5*time.Minute - 1)
	require.Len(t, viewOfServer(t, s).Nodes, 1)
	now.advance(1)
	require.Empty(t, viewOfServer(t, s).Nodes)
}

func TestADirectoryWhosePolicyHasExpiredSaysSoAndListsNobody(t *testing.T) {
	var log bytes.Buffer
	short := policyOf(t, 1, func(p *tao.Policy) { p.Expires = start.Add(10 * time.Minute) })
	store := new(Memory)
	cfg := ServerConfig{Store: store, Log: slog.New(slog.NewTextHandler(&log, nil))}
	s, client, now := govern(t, cfg, short)
	require.NoError(t, client.Register(t.Context(), attested(t, 1)))
	require.Len(t, viewOfServer(t, s).Nodes, 1)
	require.NotContains(t, log.String(), "level=ERROR")
	now.advance(10 * time.Minute)
	require.Empty(t, viewOfServer(t, s).Nodes)
	require.Contains(t, log.String(), "level=ERROR")
	require.Contains(t, log.String(), "NO NODE IS LISTED")
	answer, text := ask(t, http.MethodPost, client.URLs[0]+"/v1/descriptor", attested(t, 2))
	require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	require.Contains(t, text, "it was good until 2026-01-01T12:10:00Z")
	require.NoError(t, client.Leave(t.Context(), SignLeave(identity(3), 2)))

	restarted, _, later := govern(t, cfg, short)
	later.advance(10 * time.Minute)
	require.Empty(t, viewOfServer(t, restarted).Nodes)
	require.NoError(t, restarted.SetPolicy(policyOf(t, 2, nil)))
	require.Len(t, viewOfServer(t, restarted).Nodes, 1)
	require.NoError(t, restarted.register(t.Context(), attested(t, 2), ""))
	require.Len(t, viewOfServer(t, restarted).Nodes, 2)
}

// Whoever can write to a store cannot have the directory list a node that its policy refuses.
func TestWhatStandsInTheStoreIsJudgedToo(t *testing.T) {
	store := new(Memory)
	lax, _, _ := serve(t, ServerConfig{Store: store})
	for name, c := range deceptions(t) {
		if name == "an exit by itself" {
			require.NoError(t, lax.register(t.Context(), c.descriptor, ""))
		}
	}
	require.NoError(t, lax.register(t.Context(), attested(t, 2), ""))
	require.Len(t, viewOfServer(t, lax).Nodes, 2)

	s, client, now := govern(t, ServerConfig{Store: store}, policyOf(t, 1, nil))
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, v.Nodes, 1)
	mustNode(t, v, 2)
	require.Empty(t, v.Refused)

	bare := describe(4)
	require.NoError(t, lax.register(t.Context(), signed(t, 4, bare), ""))
	require.NoError(t, lax.register(t.Context(), attested(t, 5), ""))
	now.advance(time.Second)
	require.Len(t, viewOfServer(t, s).Nodes, 2)
	mustNode(t, viewOfServer(t, s), 5)
}

func TestOfTwoServersTheNewerPolicyWins(t *testing.T) {
	store := new(Memory)
	var log bytes.Buffer
	a, clientOfA, clockOfA := govern(t, ServerConfig{Store: store}, policyOf(t, 1, nil))
	b, clientOfB, clockOfB := govern(t, ServerConfig{Store: store, Log: slog.New(slog.NewTextHandler(&log, nil))}, policyOf(t, 1, nil))
	tick := func() {
		clockOfA.advance(time.Second)
		clockOfB.advance(time.Second)
	}
	require.NoError(t, clientOfA.Register(t.Context(), attested(t, 1)))
	require.NoError(t, clientOfA.Register(t.Context(), attested(t, 2)))
	require.Len(t, viewOfServer(t, a).Nodes, 2)
	require.Len(t, viewOfServer(t, b).Nodes, 2)

	revoking := policyOf(t, 2, func(p *tao.Policy) { p.Revoked = [][32]byte{tao.IdentityHash(public(identity(1)))} })
	require.NoError(t, a.SetPolicy(revoking))
	require.Len(t, viewOfServer(t, a).Nodes, 1)
	tick()
	require.Equal(t, published(t, a).signed, published(t, b).signed)
	require.ErrorContains(t, clientOfB.Register(t.Context(), attested(t, 1)), tao.ErrRevoked.Error())
	require.ErrorIs(t, b.SetPolicy(policyOf(t, 1, nil)), ErrOlder)
	require.Contains(t, log.String(), "msg=policy version=2")

	// A server that is started with the policy of last year follows the store.
	late, _, clockOfLate := govern(t, ServerConfig{Store: store}, policyOf(t, 1, nil))
	clockOfLate.advance(time.Second)
	require.Equal(t, published(t, a).signed, published(t, late).signed)

	// One that is started with a newer policy leads the others.
	ahead, _, clockOfAhead := govern(t, ServerConfig{Store: store}, policyOf(t, 3, nil))
	clockOfAhead.advance(time.Second)
	require.Len(t, viewOfServer(t, ahead).Nodes, 2)
	for range 3 {
		tick()
		clockOfAhead.advance(time.Second)
		require.Equal(t, published(t, ahead).signed, published(t, b).signed)
		require.Equal(t, published(t, ahead).signed, published(t, a).signed)
	}
	require.EqualValues(t, 3, a.policy.Version)

	// Two of one version are told, and neither is followed.
	odd, _, clockOfOdd := govern(t, ServerConfig{Store: store}, policyOf(t, 3, func(p *tao.Policy) { p.MaxAge /= 2 }))
	clockOfOdd.advance(clockOfB.Now().Sub(start) + time.Second)
	published(t, odd)
	tick()
	published(t, b)
	require.Contains(t, log.String(), ErrTwoPolicies.Error())
}

func TestAServerWithoutThePolicyKeyOfOthersSaysSo(t *testing.T) {
	store := new(Memory)
	var log bytes.Buffer
	with, _, _ := govern(t, ServerConfig{Store: store}, policyOf(t, 1, nil))
	last := published(t, with)
	without, _, _ := serve(t, ServerConfig{Store: store, Log: slog.New(slog.NewTextHandler(&log, nil))})
	require.Equal(t, last.signed, published(t, without).signed)
	require.Contains(t, log.String(), "give this one the same policy key")
	require.ErrorContains(t, without.SetPolicy(policyOf(t, 1, nil)), "no policy")
}

// A directory that is given a policy later shows it at once, whatever is in the store.
func TestAPolicyCanComeLater(t *testing.T) {
	store := new(Memory)
	before, _, _ := serve(t, ServerConfig{Store: store})
	published(t, before)
	after, client, _ := govern(t, ServerConfig{Store: store}, policyOf(t, 1, nil))
	require.Equal(t, policyOf(t, 1, nil), published(t, after).SignedPolicy)
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, v.Policy.Version)

	restarted, _, _ := govern(t, ServerConfig{Store: store}, policyOf(t, 2, nil))
	require.Equal(t, policyOf(t, 2, nil), published(t, restarted).SignedPolicy)
}

func TestThePageSaysHowNodesAreAttested(t *testing.T) {
	s, client, _ := govern(t, ServerConfig{}, policyOf(t, 7, nil))
	require.NoError(t, client.Register(t.Context(), attested(t, 1)))
	_, page := ask(t, http.MethodGet, client.URLs[0]+"/", nil)
	t.Log("\n" + page)
	require.Contains(t, page, "policy   version 7, good until 2026-01-02T12:00:00Z, of the key ")
	require.Contains(t, page, "echo      soft until 2026-01-01T12:30:00Z  2026-01-01T13:00:00Z")
	require.NoError(t, s.SetPolicy(policyOf(t, 8, func(p *tao.Policy) { p.MaxAge = 10 * time.Minute })))
	_, page = ask(t, http.MethodGet, client.URLs[0]+"/", nil)
	require.Contains(t, page, "version 8")
	require.Contains(t, page, "soft until 2026-01-01T12:10:00Z")
}
