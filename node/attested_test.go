package node_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/tao"
)

// evidenceOf returns what a newcomer is shown of mix i.
func evidenceOf(t *testing.T, n *nodetest.Network, i int) *tao.Evidence {
	t.Helper()
	d, listed := fetch(t, n).Node(n.Mixes[i].ID())
	require.True(t, listed)
	evidence, err := tao.ParseEvidence(d.Evidence)
	require.NoError(t, err)
	return evidence
}

// logged has mix i write its log into a book.
func logged(i int, logs *book) func(int, *node.Config) {
	return func(mix int, cfg *node.Config) {
		if mix == i {
			cfg.Log = slog.New(slog.NewTextHandler(logs, nil))
		}
	}
}

// passes reports whether what is sent to mix 0 for mix i gets there, and requires that it is dropped as for a mix that is not listed
// where it does not.
func passes(t *testing.T, n *nodetest.Network, box *inbox, i int) bool {
	t.Helper()
	box.clear()
	before := n.Mixes[0].Counts()
	send(t, n.Link("alice", nil, 0), wrap(t, n, "inbox", "through", 0, i))
	sleep(2 * nodetest.BatchDeadline)
	if len(box.sorted()) == 1 {
		return true
	}
	after := n.Mixes[0].Counts()
	require.Equal(t, before.Dropped[node.DropNextHop]+1, after.Dropped[node.DropNextHop])
	require.Equal(t, before.Sent, after.Sent)
	return false
}

func TestAttestedNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Attested: true})
		reply, err := n.Client("alice").Request(t.Context(), client.Message{To: "echo", Body: []byte("hello")})
		require.NoError(t, err)
		require.Equal(t, "hello", string(reply))
		view := fetch(t, n)
		require.Len(t, view.Nodes, 5)
		for i, m := range n.Mixes {
			d, _ := view.Node(m.ID())
			require.Equal(t, n.Authority.Program, view.Verdict(d).Program.Digest)
			log := evidenceOf(t, n, i).Log
			require.Len(t, log, 4)
			require.Equal(t, tao.Event{Kind: tao.KeyMade, Epoch: view.EpochAt(time.Now()), Digest: m.Key.Public()}, log[2])

			stats := m.Stats()
			require.Equal(t, node.AttestationStats{Kind: "soft", Until: view.Verdict(d).Until, LogUsed: stats.Attestation.LogUsed}, *stats.Attestation)
			require.InDelta(t, 0.01, stats.Attestation.LogUsed, 0.005)
			require.Equal(t, node.PolicyStats{Version: 1, Expires: n.Authority.Policy.Expires.UTC()}, *stats.View.Policy)
			require.Zero(t, stats.View.Refused)
			require.Empty(t, stats.Problems())
		}
	})
}

// TestNodeThatCannotProveWhatItIsIsNotMade.
func TestNodeThatCannotProveWhatItIsIsNotMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Mixes: 1, Attested: true})
		for says, change := range map[string]func(*node.Config){
			"Config.Directory.Policy is missing": func(c *node.Config) { c.Directory.Policy = nil },
			tao.ErrIdentity.Error():              func(c *node.Config) { c.Identity = n.Mixes[0].Identity },
			"whole milliseconds":                 func(c *node.Config) { c.Mix.Interval += time.Nanosecond },
			"larger than any":                    func(c *node.Config) { c.Mix.Interval = 50 * 24 * time.Hour },
			"PoolFraction":                       func(c *node.Config) { c.Mix.Strategy, c.Mix.PoolFraction = "pool", 1.0/3 },
		} {
			cfg := config(t)
			record := tao.Record{
				Identity: cfg.Identity.Public().(ed25519.PublicKey), Kind: tao.Soft, Key: cfg.Identity.Public().(ed25519.PublicKey),
				Roles: tao.RolesOf(tao.Mix), Issued: time.Now(), Expires: time.Now().Add(time.Hour),
			}
			signed, err := record.Sign(n.Authority.Key)
			require.NoError(t, err)
			cfg.Prover, err = tao.NewProver(tao.ProverConfig{Attestor: tao.NewSoft(cfg.Identity), Record: signed})
			require.NoError(t, err)
			cfg.Directory = n.Directory()
			_, err = node.New(cfg)
			require.NoError(t, err)
			change(&cfg)
			_, err = node.New(cfg)
			require.ErrorContains(t, err, says)
		}
	})
}

// rogues are mixes that a policy does not trust, for one reason each.
var rogues = []struct {
	name   string
	papers func(n *nodetest.Network, p *nodetest.Papers)
	node   func(*node.Config)
	err    error
}{
	{"without evidence", func(_ *nodetest.Network, p *nodetest.Papers) { p.Attestor = nil }, nil, tao.ErrEvidence},
	{"of another policy", func(_ *nodetest.Network, p *nodetest.Papers) {
		_, p.Signer, _ = ed25519.GenerateKey(nil)
	}, nil, tao.ErrEnroller},
	{"with another program", func(_ *nodetest.Network, p *nodetest.Papers) {
		p.Program = sha256.Sum256([]byte("a program that mixes nothing"))
	}, nil, tao.ErrProgram},
	{"with another configuration", nil, func(c *node.Config) { c.Mix.Interval = time.Millisecond }, tao.ErrConfiguration},
	{"whose enrolment has expired", func(_ *nodetest.Network, p *nodetest.Papers) { p.Record.Expires = time.Now() }, nil, tao.ErrExpired},
	{"in a role that it may not have", func(_ *nodetest.Network, p *nodetest.Papers) { p.Record.Roles = tao.RolesOf(tao.Mix) }, nil, tao.ErrRole},
}

// TestRoguesAreKnownToNobody: the directory does not take them; and where the directory lists them all the same, other mixes
// send them nothing and count them as strangers, and clients make no packet for them, each by what it sees itself.
func TestRoguesAreKnownToNobody(t *testing.T) {
	const rogue = 5
	for _, test := range rogues {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var own, others book
				box := &inbox{}
				var n *nodetest.Network
				n = nodetest.Start(t, nodetest.Config{
					Mixes: 6, Attested: true,
					Node: func(i int, cfg *node.Config) {
						cfg.Handlers["inbox"] = box
						logged(rogue, &own)(i, cfg)
						logged(0, &others)(i, cfg)
						if i == rogue && test.node != nil {
							test.node(cfg)
						}
					},
					Papers: func(i int, p *nodetest.Papers) {
						if i == rogue {
							p.Rogue = true
							if test.papers != nil {
								test.papers(n, p)
							}
						}
					},
				})
				id := n.Mixes[rogue].ID()
				refused := func() {
					view := n.Mixes[0].View()
					_, listed := view.Node(id)
					require.False(t, listed)
					require.False(t, passes(t, n, box, rogue))
				}
				sleep(nodetest.Refresh)
				refused()
				require.Empty(t, n.Mixes[0].View().Refused)
				require.Contains(t, own.String(), "the directory does not take this node")
				require.Contains(t, own.String(), test.err.Error())

				n.Lie()
				sleep(3 * nodetest.Refresh)
				refused()
				for _, m := range n.Mixes[:rogue] {
					require.Len(t, m.View().Refused, 1)
					require.Equal(t, id, m.View().Refused[0].Node)
					require.ErrorIs(t, m.View().Refused[0].Err, test.err)
					require.Equal(t, 1, m.Stats().View.Refused)
				}
				require.Equal(t, 1, strings.Count(others.String(), id.String()), "it is said once: %s", &others)
				require.Contains(t, others.String(), test.err.Error())

				c := n.Client("bob")
				for range 20 {
					_, err := c.Request(t.Context(), client.Message{To: "echo"})
					require.NoError(t, err)
				}
				require.Zero(t, n.Mixes[rogue].Counts().Received)

				before := n.Mixes[0].Stats().Links
				n.Link("mix5", n.Mixes[rogue].Identity, 0)
				synctest.Wait()
				require.Equal(t, node.LinkStats{Mixes: before.Mixes, Others: before.Others + 1}, n.Mixes[0].Stats().Links)
			})
		})
	}
}

// TestEvidenceOfAnotherIsRefused: two nodes cannot share what one was enrolled with.
func TestEvidenceOfAnotherIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Mixes: 1, Attested: true})
		stolen, _ := fetch(t, n).Node(n.Mixes[0].ID())
		_, thief, err := ed25519.GenerateKey(nil)
		require.NoError(t, err)
		d := *stolen
		d.Identity = nil
		signed, err := directory.SignDescriptor(thief, d)
		require.NoError(t, err)
		err = n.Directory().Register(t.Context(), signed)
		require.ErrorContains(t, err, tao.ErrIdentity.Error())

		n.Lie()
		require.NoError(t, n.Directory().Register(t.Context(), signed))
		view := fetch(t, n)
		require.Len(t, view.Nodes, 1)
		require.ErrorIs(t, view.Refused[0].Err, tao.ErrIdentity)
	})
}
