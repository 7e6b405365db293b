package node_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/tao"
)

// TestRevokedMixIsSentNothing one Refresh after the policy says so, though mixes that leave are still sent packets for a
// while, and whether or not the directory goes on listing it. Once the policy trusts it again it is sent packets again.
func TestRevokedMixIsSentNothing(t *testing.T) {
	for _, lies := range []bool{false, true} {
		t.Run(fmt.Sprintf("the directory lies: %v", lies), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				box, logs := &inbox{}, &book{}
				n := nodetest.Start(t, nodetest.Config{Mixes: 3, Attested: true, Node: func(i int, cfg *node.Config) {
					withInbox(box, nil)(i, cfg)
					logged(0, logs)(i, cfg)
				}})
				if lies {
					n.Lie()
				}
				require.True(t, passes(t, n, box, 1))
				node := tao.IdentityHash(n.Mixes[1].Identity.Public().(ed25519.PublicKey))
				n.Publish(func(p *tao.Policy) { p.Revoked = [][32]byte{node} })
				sleep(nodetest.Refresh)
				require.False(t, passes(t, n, box, 1))
				require.True(t, passes(t, n, box, 2))
				sleep(2 * nodetest.Refresh)
				require.False(t, passes(t, n, box, 1))

				n.Publish(func(p *tao.Policy) { p.Revoked = nil })
				sleep(2 * nodetest.Refresh)
				require.True(t, passes(t, n, box, 1))
				said := 0
				if lies {
					said = 1
				}
				require.Equal(t, said, strings.Count(logs.String(), tao.ErrRevoked.Error()), logs)
				require.Equal(t, said, strings.Count(logs.String(), "refuses a mix no longer"), logs)
			})
		})
	}
}

// TestMixThatLeavesIsStillTrusted: one that leaves, and could prove what it is until then, is sent what clients still make, but
// not beyond the time for which it has proven that.
func TestMixThatLeavesIsStillTrusted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := &inbox{}
		var end time.Time
		n := nodetest.Start(t, nodetest.Config{
			Mixes: 2, Attested: true, Node: withInbox(box, nil),
			Papers: func(i int, p *nodetest.Papers) {
				end = time.Now().Add(10 * time.Minute)
				if i == 1 {
					p.Record.Expires = end
				}
			},
		})
		require.True(t, passes(t, n, box, 1))
		time.Sleep(time.Until(end) - time.Minute)
		go func() { _ = n.Mixes[1].Drain(t.Context()) }()
		sleep(2 * nodetest.Refresh)
		_, listed := n.Mixes[0].View().Node(n.Mixes[1].ID())
		require.False(t, listed)
		require.True(t, passes(t, n, box, 1))
		sleep(time.Until(end))
		require.False(t, passes(t, n, box, 1), "two minutes after it has left, it would have been forgotten in any case")
	})
}

// TestExpiredEvidenceCountsNoMore from its second on, to which others neither ask the directory nor hear of anything.
func TestExpiredEvidenceCountsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := &inbox{}
		var end time.Time
		n := nodetest.Start(t, nodetest.Config{
			Mixes: 3, Attested: true, Node: withInbox(box, nil),
			Papers: func(i int, p *nodetest.Papers) {
				if end.IsZero() {
					end = time.Now().Add(20 * time.Minute)
				}
				if i == 1 {
					p.Record.Expires = end
				}
			},
		})
		n.StopDirectory()
		time.Sleep(time.Until(end) - 2*nodetest.BatchDeadline)
		alice := n.Link("alice", nil, 0)
		send(t, alice, wrap(t, n, "inbox", "in time", 0, 1))
		sleep(nodetest.BatchDeadline)
		send(t, alice, wrap(t, n, "inbox", "too late", 0, 1), wrap(t, n, "inbox", "another way", 0, 2))
		sleep(nodetest.BatchDeadline - time.Nanosecond)
		require.Len(t, n.Mixes[0].View().Nodes, 3)
		sleep(time.Nanosecond) // when they leave
		require.Zero(t, time.Until(end))
		require.Len(t, n.Mixes[0].View().Nodes, 2)
		require.Equal(t, 1, n.Mixes[0].Stats().View.Refused)
		sleep(time.Second)
		require.Equal(t, []string{"another way", "in time"}, box.sorted())
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropNextHop: 1})
		require.Len(t, n.Mixes[1].Stats().Problems(), 1)
		require.Contains(t, n.Mixes[1].Stats().Problems()[0], "refuses this node, and nobody sends it packets: expired: the evidence was good until")
	})
}

// TestPolicyThatExpiresIsTheEnd: nobody is trusted until there is another one.
func TestPolicyThatExpiresIsTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := &inbox{}
		n := nodetest.Start(t, nodetest.Config{Mixes: 2, Attested: true, Node: withInbox(box, nil)})
		end := time.Now().Add(time.Hour)
		n.Publish(func(p *tao.Policy) { p.Expires = end })
		time.Sleep(time.Until(end) - time.Second)
		require.True(t, passes(t, n, box, 1))
		sleep(time.Until(end))
		require.False(t, passes(t, n, box, 1))
		require.Contains(t, n.Mixes[0].Stats().Problems()[0], "policy expired 0s ago")
		n.Publish(func(p *tao.Policy) { p.Expires = end.Add(time.Hour) })
		sleep(2 * nodetest.Refresh)
		require.True(t, passes(t, n, box, 1))
		require.Empty(t, n.Mixes[0].Stats().Problems())
	})
}

// TestEvidenceIsRenewedInTime, however short the time is for which it is good, and also where nobody changes anything.
func TestEvidenceIsRenewedInTime(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	for _, age := range []time.Duration{5 * time.Minute, 20 * time.Minute, 40 * time.Minute, 3 * time.Hour} {
		t.Run(age.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := nodetest.Start(t, nodetest.Config{Mixes: 2, Attested: true})
				n.Publish(func(p *tao.Policy) { p.MaxAge = age })
				sleep(2 * nodetest.Refresh)
				for range 5 { // lifetimes, in each of which it is renewed twice
					for range 10 {
						time.Sleep(age / 10)
						for _, m := range n.Mixes {
							view := m.View()
							require.Len(t, view.Nodes, 2)
							for _, d := range view.Nodes {
								require.Greater(t, time.Until(view.Verdict(d).Until), age/4)
							}
						}
					}
				}
			})
		})
	}
}

// TestNewPolicyIsAnsweredWithNewEvidence: it may ask for what the last one did not.
func TestNewPolicyIsAnsweredWithNewEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Mixes: 2, Attested: true})
		time.Sleep(10 * time.Minute)
		published := time.Now()
		n.Publish(func(*tao.Policy) {})
		sleep(nodetest.Refresh + time.Second)
		view := fetch(t, n)
		require.Len(t, view.Nodes, 2)
		for _, d := range view.Nodes {
			require.False(t, view.Verdict(d).Stamped.Before(published))
		}
	})
}

// TestDirectoryThatGoesAway takes trust with it once evidence has expired, and gives it back.
func TestDirectoryThatGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := &inbox{}
		n := nodetest.Start(t, nodetest.Config{Mixes: 2, Attested: true, Node: withInbox(box, nil)})
		n.Publish(func(p *tao.Policy) { p.MaxAge = 30 * time.Minute })
		sleep(2 * nodetest.Refresh)
		view := n.Mixes[0].View()
		until := view.Verdict(view.Nodes[0]).Until
		if other := view.Verdict(view.Nodes[1]).Until; other.Before(until) {
			until = other
		}
		n.StopDirectory()
		time.Sleep(time.Until(until) - time.Second)
		require.True(t, passes(t, n, box, 1))
		sleep(time.Minute)
		require.Empty(t, n.Mixes[0].View().Nodes)
		require.False(t, passes(t, n, box, 1))
		n.StartDirectory()
		sleep(3 * nodetest.Refresh)
		require.True(t, passes(t, n, box, 1))
	})
}

// machine is an attestor that stays when a mix on it is started anew, and that can fail.
type machine struct {
	tao.Attestor

	mu      sync.Mutex
	failure error         // guarded by mu
	hangs   chan struct{} // until it is closed, where not nil; guarded by mu
	takes   time.Duration // guarded by mu
	quotes  int           // guarded by mu
}

// quoted returns how often it was asked for a quote since the last time.
func (m *machine) quoted() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() { m.quotes = 0 }()
	return m.quotes
}

func (m *machine) Quote(qualifying [32]byte, registers []uint8) (tao.Quote, error) {
	m.mu.Lock()
	m.quotes++
	failure, hangs, takes := m.failure, m.hangs, m.takes
	m.mu.Unlock()
	if hangs != nil {
		<-hangs
	}
	time.Sleep(takes)
	if failure != nil {
		return tao.Quote{}, failure
	}
	return m.Attestor.Quote(qualifying, registers)
}

func (m *machine) set(failure error, hangs chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure, m.hangs = failure, hangs
}

// on puts mix i on a machine, with a log in that file.
func on(i int, m *machine, file string) func(int, *nodetest.Papers) {
	return func(mix int, p *nodetest.Papers) {
		if mix != i {
			return
		}
		if m.Attestor == nil {
			m.Attestor = p.Attestor
		}
		p.Attestor, p.LogFile = m, file
	}
}

// TestRestartedMixIsTrusted: its log goes on as long as its machine does, and begins anew with that, whether or not its keys
// have outlived the process.
func TestRestartedMixIsTrusted(t *testing.T) {
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprintf("keys kept: %v", kept), func(t *testing.T) {
			folder := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				box, computer := &inbox{}, &machine{}
				n := nodetest.Start(t, nodetest.Config{
					Mixes: 2, Attested: true, Papers: on(1, computer, filepath.Join(folder, "log")),
					Node: func(i int, cfg *node.Config) {
						withInbox(box, nil)(i, cfg)
						if kept {
							cfg.KeyDir = filepath.Join(folder, fmt.Sprint("keys", i))
						}
					},
				})
				restart := func() {
					n.Stop(1)
					time.Sleep(time.Second)
					if kept {
						n.StartKept(1)
					} else {
						n.Start(1)
					}
					send(t, n.Link("alice", nil, 0), wrap(t, n, "inbox", "lost with the link", 0, 1))
					sleep(2 * nodetest.BatchDeadline)
				}
				require.Len(t, evidenceOf(t, n, 1).Log, 4)
				for times := range 3 {
					restart()
					require.True(t, passes(t, n, box, 1))
					require.Len(t, evidenceOf(t, n, 1).Log, 4*(times+2), "the program, its settings and two keys, each time")
				}
				computer.Attestor = nil // is started anew
				restart()
				require.True(t, passes(t, n, box, 1))
				require.Len(t, evidenceOf(t, n, 1).Log, 4)
			})
		})
	}
}

// TestMixWhoseTPMFailsMixesOn, and registers again when the TPM is well. That is said once, with what to do.
func TestMixWhoseTPMFailsMixesOn(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		t.Run(fmt.Sprintf("hangs: %v", hangs), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				box, logs, computer := &inbox{}, &book{}, &machine{}
				n := nodetest.Start(t, nodetest.Config{
					Mixes: 2, Attested: true, Papers: on(1, computer, ""),
					Node: func(i int, cfg *node.Config) {
						withInbox(box, nil)(i, cfg)
						logged(1, logs)(i, cfg)
					},
				})
				registered := func() uint64 {
					d, _ := fetch(t, n).Node(n.Mixes[1].ID())
					return d.Version
				}
				before := registered()
				release := make(chan struct{})
				if hangs {
					computer.set(nil, release)
				} else {
					computer.set(errors.New("TPM_RC_FAILURE"), nil)
				}
				n.Publish(func(*tao.Policy) {})
				sleep(45 * time.Minute)
				require.Equal(t, before, registered())
				require.True(t, passes(t, n, box, 1))
				require.True(t, time.Since(n.Mixes[1].View().Published) < 31*time.Minute, "it goes on asking the directory")
				stats := n.Mixes[1].Stats()
				require.Empty(t, stats.Problems(), "while there is evidence that is good")
				if !hangs {
					require.Contains(t, stats.Attestation.Failure, "TPM_RC_FAILURE")
					require.Equal(t, 1, strings.Count(logs.String(), "TPM_RC_FAILURE"), logs)
					require.Contains(t, logs.String(), "see whether its TPM answers")
				}
				computer.set(nil, nil)
				close(release)
				sleep(2 * nodetest.Refresh)
				require.Greater(t, registered(), before)
				require.Empty(t, n.Mixes[1].Stats().Attestation.Failure)
			})
		})
	}
}

// TestFullLogIsSaid: no key that is made after that is listed, and the operator learns what to do.
func TestFullLogIsSaid(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	synctest.Test(t, func(t *testing.T) {
		logs := &book{}
		n := nodetest.Start(t, nodetest.Config{
			Mixes: 1, Attested: true, Node: logged(0, logs),
			Network: directory.Network{Epoch: time.Minute},
		})
		for range 600 {
			time.Sleep(time.Minute)
		}
		stats := n.Mixes[0].Stats()
		require.Greater(t, stats.Attestation.LogUsed, 0.99)
		require.Contains(t, stats.Attestation.Failure, tao.ErrLogFull.Error())
		require.Equal(t, 1, strings.Count(logs.String(), tao.ErrLogFull.Error()), logs)
		require.Len(t, stats.Problems(), 2, "%v", stats.Problems())
	})
}

// TestKeysOfTheEvidenceAreThoseOfTheDescriptor, also where quotes take so long that keys change meanwhile.
func TestKeysOfTheEvidenceAreThoseOfTheDescriptor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs, computer := &book{}, &machine{takes: 7 * time.Second}
		n := nodetest.Start(t, nodetest.Config{
			Mixes: 2, Attested: true, Papers: on(1, computer, ""),
			Node: func(i int, cfg *node.Config) {
				cfg.Lifetime, cfg.Refresh = 90*time.Second, 4*time.Second // so that one is under way at the end of most epochs
				logged(1, logs)(i, cfg)
			},
			Network: directory.Network{Epoch: time.Minute},
		})
		for range 600 {
			time.Sleep(time.Second)
			view := fetch(t, n)
			require.Len(t, view.Nodes, 2)
			for _, d := range view.Nodes {
				_, ok := d.Key(view.EpochAt(time.Now()))
				require.True(t, ok)
			}
		}
		require.NotContains(t, logs.String(), "does not take")
	})
}
