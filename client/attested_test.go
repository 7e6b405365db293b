package client_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/tao"
)

// mixesOn returns how often each mix stands on the paths of many requests that are made at once, and requires that all are
// answered where the mixes are to do so.
func mixesOn(t *testing.T, n *nodetest.Network, c *client.Client, answered bool) map[int]int {
	t.Helper()
	var (
		mu  sync.Mutex
		all sync.WaitGroup
		on  = make(map[int]int)
	)
	for range 60 {
		all.Go(func() {
			first := true
			reply, err := c.Request(soon(t), client.Message{To: "echo", Body: []byte("hello"), Routed: func(out, back []directory.NodeID) {
				mu.Lock()
				defer mu.Unlock()
				for i, m := range n.Mixes {
					if first && slices.Contains(append(out, back...), m.ID()) {
						on[i]++
					}
				}
				first = false
			}})
			if answered {
				assert.NoError(t, err)
				assert.Equal(t, "hello", string(reply))
			}
		})
	}
	all.Wait()
	return on
}

// TestRogueIsOnNoPath, though the directory lists it.
func TestRogueIsOnNoPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rogue = 6
		n := nodetest.Start(t, nodetest.Config{Mixes: 7, Attested: true, Papers: func(i int, p *nodetest.Papers) {
			if i == rogue {
				p.Rogue, p.Program = true, sha256.Sum256([]byte("another program"))
			}
		}})
		n.Lie()
		time.Sleep(2 * nodetest.Refresh)
		naive := n.Directory()
		naive.Policy = nil
		view, err := naive.Fetch(t.Context())
		require.NoError(t, err)
		_, listed := view.Node(n.Mixes[rogue].ID())
		require.True(t, listed)

		on := mixesOn(t, n, n.Client("alice"), true)
		require.Len(t, on, rogue)
		require.Zero(t, on[rogue])
	})
}

// TestNetworkOfRogues is none, and the error says why.
func TestNetworkOfRogues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Attested: true, Papers: func(_ int, p *nodetest.Papers) {
			p.Rogue, p.Program = true, sha256.Sum256([]byte("another program"))
		}})
		n.Lie()
		time.Sleep(2 * nodetest.Refresh)
		_, err := client.New(t.Context(), client.Config{Directory: n.Directory(), Dial: n.Dialer("alice")})
		require.ErrorIs(t, err, client.ErrNetwork)
		require.ErrorIs(t, err, tao.ErrProgram)
		require.ErrorContains(t, err, "refuses 5 more")
	})
}

// TestRevokedMixIsOnNoPath a minute after the policy says so, and whether or not the directory goes on listing it; if it was the
// gateway, the client has another one.
func TestRevokedMixIsOnNoPath(t *testing.T) {
	for _, lies := range []bool{false, true} {
		for _, gateway := range []bool{false, true} {
			t.Run(fmt.Sprintf("the directory lies: %v, gateway: %v", lies, gateway), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := nodetest.Start(t, nodetest.Config{Mixes: 7, Attested: true})
					if lies {
						n.Lie()
					}
					c := n.Client("alice")
					revoked := gatewayOf(t, n, c)
					if !gateway {
						revoked = (revoked + 1) % 7
					}
					require.Positive(t, mixesOn(t, n, c, true)[revoked])
					n.Publish(func(p *tao.Policy) {
						p.Revoked = [][32]byte{tao.IdentityHash(n.Mixes[revoked].Identity.Public().(ed25519.PublicKey))}
					})
					time.Sleep(time.Minute + time.Second)
					require.NotEqual(t, revoked, at(n, c), "nothing has been sent meanwhile")
					on := mixesOn(t, n, c, true)
					require.Zero(t, on[revoked])
					require.Len(t, on, 6)
				})
			})
		}
	}
}

// TestExpiredMixIsOnNoPath from the second on at which its evidence is good no more, and if it is the gateway, the client has
// another one then. Nobody asks the directory.
func TestExpiredMixIsOnNoPath(t *testing.T) {
	for _, gateway := range []bool{false, true} {
		t.Run(fmt.Sprintf("gateway: %v", gateway), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const expires = 0
				var end time.Time
				n := nodetest.Start(t, nodetest.Config{Mixes: 6, Attested: true, Papers: func(i int, p *nodetest.Papers) {
					if i == expires {
						end = time.Now().Add(20 * time.Minute)
						p.Record.Expires = end
					}
				}})
				c := n.Client("alice")
				for gateway != (gatewayOf(t, n, c) == expires) {
					c.Close()
					c = n.Client("alice")
				}
				n.StopDirectory()
				time.Sleep(time.Until(end) - time.Nanosecond)
				require.Positive(t, mixesOn(t, n, c, false)[expires])
				require.Positive(t, time.Since(end), "answers take longer")
				on := mixesOn(t, n, c, true)
				require.Len(t, on, 5)
				require.Zero(t, on[expires])
			})
		})
	}
}

// TestWidestViewIsOfTheNewestPolicy: a directory that lists few mixes has lost its memory, and what was known before is gone
// by; but not where there is another policy since then, and never for a mix of which the policy refuses what is newer.
func TestWidestViewIsOfTheNewestPolicy(t *testing.T) {
	for _, test := range []struct {
		name   string
		policy bool // there is another one
		rogue  bool // one of those that are left is started with another program
		want   int  // mixes to go by
	}{
		{name: "all as it was", want: 8},
		{name: "a newer policy", policy: true, want: 3},
		{name: "a mix that has become a rogue", rogue: true, want: 7},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var rogue bool
				n := nodetest.Start(t, nodetest.Config{Mixes: 8, Attested: true, Papers: func(i int, p *nodetest.Papers) {
					if rogue {
						p.Rogue, p.Program = true, sha256.Sum256([]byte("another program"))
					}
				}})
				known := n.Directory()
				wide, err := known.Fetch(t.Context())
				require.NoError(t, err)
				require.Len(t, wide.Nodes, 8)

				n.StopDirectory()
				for i := range 5 {
					n.Stop(i)
				}
				if test.policy {
					n.Authority.Policy.Version++
				}
				n.ForgetNodes()
				n.Lie()
				n.StartDirectory()
				time.Sleep(2 * nodetest.Refresh)
				if rogue = test.rogue; rogue {
					n.Start(4)
					time.Sleep(2 * nodetest.Refresh)
				}
				narrow, err := known.Fetch(t.Context())
				require.NoError(t, err)
				require.Len(t, narrow.Nodes, 3)
				used := client.Preferred(time.Now(), wide, narrow)
				require.Len(t, used.Nodes, test.want)
				_, listed := used.Node(n.Mixes[4].ID())
				require.Equal(t, test.want == 8, listed)
			})
		})
	}
}

// TestDaysPassWithEvidence: keys change, evidence is renewed, and no message is lost.
func TestDaysPassWithEvidence(t *testing.T) {
	long(t)
	synctest.Test(t, func(t *testing.T) {
		cfg := epochsOf(12 * time.Hour)
		cfg.Attested = true
		cfg.Node = func(_ int, cfg *node.Config) { cfg.Refresh, cfg.Lifetime = 5*time.Minute, 6*time.Hour }
		n := nodetest.Start(t, cfg)
		c := n.Client("alice")
		for i := range 24 * 3 {
			time.Sleep(time.Hour)
			reply, err := c.Request(soon(t), client.Message{To: "echo", Body: text(i, room+1)})
			require.NoError(t, err, "hour %d", i)
			require.Equal(t, text(i, room+1), reply)
			view, err := n.Directory().Fetch(t.Context())
			require.NoError(t, err)
			require.Len(t, view.Nodes, 5)
			require.Empty(t, view.Refused)
		}
		require.Empty(t, n.Counts().Dropped)
	})
}
