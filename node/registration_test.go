package node_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/tao"
)

// TestRefusedNodeTriesLessAndLess: with each attempt its machine must quote, and a directory that hears it too often says
// that and no longer what is wrong. The log says the reason once, also where the time is a part of it.
func TestRefusedNodeTriesLessAndLess(t *testing.T) {
	another := sha256.Sum256([]byte("another program"))
	for _, test := range []struct {
		name   string
		papers func(*nodetest.Papers)
		reason error
	}{
		{"another program", func(p *nodetest.Papers) { p.Program = another }, tao.ErrProgram},
		{"enrolment over", func(p *nodetest.Papers) { p.Record.Expires = time.Now() }, tao.ErrExpired},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logs, computer := &book{}, &machine{}
				n := nodetest.Start(t, nodetest.Config{
					Mixes: 2, Attested: true, Node: logged(1, logs),
					Papers: func(i int, p *nodetest.Papers) {
						on(1, computer, "")(i, p)
						if i == 1 {
							test.papers(p)
							p.Rogue = true
						}
					},
				})
				sleep(3*nodetest.Refresh + time.Second)
				require.Equal(t, 3, computer.quoted(), "at once, after one Refresh, and after two more")
				sleep(2 * time.Minute)
				computer.quoted()
				sleep(10 * time.Minute)
				require.InDelta(t, 10, computer.quoted(), 1, "once a minute")
				require.Equal(t, 1, strings.Count(logs.String(), "does not take this node"), logs)
				require.Contains(t, logs.String(), test.reason.Error())
				require.Contains(t, n.Mixes[1].Stats().Attestation.Failure, test.reason.Error())

				n.Publish(func(p *tao.Policy) {
					p.Programs = append(p.Programs, tao.Allowed{Digest: another, Roles: tao.RolesOf(tao.Mix, tao.Exit)})
				})
				sleep(nodetest.Refresh + time.Second)
				require.Equal(t, 1, computer.quoted(), "another policy is worth trying at once")
				_, listed := fetch(t, n).Node(n.Mixes[1].ID())
				require.Equal(t, test.reason == tao.ErrProgram, listed)
			})
		})
	}
}

// TestRefusedNodeTriesWithNewKeysAtOnce: what was wrong may have been with the last.
func TestRefusedNodeTriesWithNewKeysAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		computer := &machine{}
		nodetest.Start(t, nodetest.Config{
			Mixes: 2, Attested: true, Network: directory.Network{Epoch: time.Hour},
			Papers: func(i int, p *nodetest.Papers) {
				on(1, computer, "")(i, p)
				if i == 1 {
					p.Rogue, p.Program = true, sha256.Sum256([]byte("another program"))
				}
			},
		})
		sleep(time.Until(time.Now().Truncate(time.Hour).Add(time.Hour - time.Second)))
		computer.quoted()
		sleep(56 * time.Second) // with some Refresh to spare, as views come earlier when the others tell of their keys
		require.Equal(t, 3, computer.quoted(), "at once, after one Refresh, and after two more")
	})
}

// TestDirectoryThatForgotIsToldOfWhomItOnceRefused within a minute, and at once of whom it did not.
func TestDirectoryThatForgotIsToldOfWhomItOnceRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Mixes: 2, Attested: true})
		n.Publish(func(p *tao.Policy) {
			p.Revoked = [][32]byte{tao.IdentityHash(n.Mixes[1].Identity.Public().(ed25519.PublicKey))}
		})
		sleep(10 * time.Minute)
		require.Len(t, fetch(t, n).Nodes, 1)

		n.StopDirectory()
		n.Authority.Policy.Version++
		n.Authority.Policy.Revoked = nil
		n.ForgetNodes()
		n.StartDirectory()
		sleep(2 * nodetest.Refresh)
		require.Len(t, fetch(t, n).Nodes, 2)

		for range 3 {
			n.StopDirectory()
			n.ForgetNodes()
			n.StartDirectory()
			sleep(2 * nodetest.Refresh)
			require.Len(t, fetch(t, n).Nodes, 2)
		}
	})
}

// TestTPMThatFailedWhileRefused does not make the node wait longer than what the directory has against it.
func TestTPMThatFailedWhileRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs, computer := &book{}, &machine{}
		n := nodetest.Start(t, nodetest.Config{Mixes: 2, Attested: true, Papers: on(1, computer, ""), Node: logged(1, logs)})
		computer.set(errors.New("TPM_RC_FAILURE"), nil)
		n.Publish(func(p *tao.Policy) { p.MaxAge = 10 * time.Minute })
		sleep(30 * time.Minute)
		require.Len(t, fetch(t, n).Nodes, 1)
		require.NotContains(t, logs.String(), "does not take this node")
		computer.set(nil, nil)
		sleep(2 * nodetest.Refresh)
		require.Len(t, fetch(t, n).Nodes, 2)
	})
}

// TestOneMachineIsOneMix: where two enrollers have enrolled one attestation key as two mixes, nobody sends packets to the one
// that was enrolled first. That one says so, and does not flood the directory, which has nothing against it.
func TestOneMachineIsOneMix(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	synctest.Test(t, func(t *testing.T) {
		box, logs, computer := &inbox{}, &book{}, &machine{}
		_, key, err := ed25519.GenerateKey(nil)
		require.NoError(t, err)
		n := nodetest.Start(t, nodetest.Config{
			Mixes: 3, Attested: true, Node: func(i int, cfg *node.Config) {
				withInbox(box, nil)(i, cfg)
				logged(1, logs)(i, cfg)
			},
			Papers: func(i int, p *nodetest.Papers) {
				if i == 0 {
					return
				}
				p.Attestor, p.Record.Key = tao.NewSoft(key), key.Public().(ed25519.PublicKey)
				p.Record.Issued = p.Record.Issued.Add(time.Duration(i) * time.Second)
				p.Rogue = i == 1
				on(1, computer, "")(i, p)
			},
		})
		sleep(2 * nodetest.Refresh)
		require.True(t, passes(t, n, box, 2))
		require.False(t, passes(t, n, box, 1))
		require.ErrorIs(t, n.Mixes[0].View().Refused[0].Err, directory.ErrSameMachine)
		require.Equal(t, 1, strings.Count(logs.String(), "the policy refuses this node"), fmt.Sprint(logs))
		require.Contains(t, logs.String(), n.Mixes[2].ID().String())
		sleep(2 * time.Minute)
		computer.quoted()
		sleep(10 * time.Minute)
		require.InDelta(t, 10, computer.quoted(), 1)
		require.NotContains(t, logs.String(), directory.ErrTooOften.Error())

		n.Stop(2)
		sleep(25 * time.Hour)
		require.True(t, passes(t, n, box, 1), "the other's registration has ended")
	})
}

// TestMixThatIsListedNoMoreSaysSo, and why: it is not starting. Whoever asks hears the same of all that its operator is shown.
func TestMixThatIsListedNoMoreSaysSo(t *testing.T) {
	const gone = "The node is in the network no more: the view does not list it."
	revoke := func(n *nodetest.Network) {
		n.Publish(func(p *tao.Policy) {
			p.Revoked = [][32]byte{tao.IdentityHash(n.Mixes[1].Identity.Public().(ed25519.PublicKey))}
		})
	}
	for _, test := range []struct {
		name  string
		ends  func(*nodetest.Network)
		after time.Duration
		why   []string
	}{
		{"revoked", revoke, nodetest.Refresh, []string{gone, tao.ErrRevoked.Error()}},
		{"revoked, and the directory lies", func(n *nodetest.Network) {
			n.Lie()
			revoke(n)
		}, 2 * nodetest.Refresh, []string{"The network's policy refuses this node, and nobody sends it packets: " + tao.ErrRevoked.Error()}},
		{"of a program that is not allowed any more", func(n *nodetest.Network) {
			n.Publish(func(p *tao.Policy) { p.Programs[0].Digest[0]++ })
		}, nodetest.Refresh, []string{gone, tao.ErrProgram.Error()}},
		{"evidence that expires without the directory", func(n *nodetest.Network) {
			n.Publish(func(p *tao.Policy) { p.MaxAge = 10 * time.Minute })
			sleep(2 * nodetest.Refresh)
			n.StopDirectory()
		}, 11 * time.Minute, []string{"The network's policy refuses this node, and nobody sends it packets: expired: the evidence was good until "}},
		{"its view expires", func(n *nodetest.Network) { n.StopDirectory() }, time.Hour + time.Minute, []string{
			"The view of the network expired ",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := nodetest.Start(t, nodetest.Config{Mixes: 2, Attested: true})
				require.Equal(t, node.Serving, n.Mixes[1].Stats().State)
				test.ends(n)
				sleep(test.after + time.Second)
				s := n.Mixes[1].Stats()
				require.Equal(t, node.Unlisted, s.State)
				require.Contains(t, get(n.Mixes[1], "/metrics").Body.String(), "\nmixnet_node_state{state=\"unlisted\"} 1\n")
				require.Contains(t, get(n.Mixes[1], "/stats").Body.String(), `"State":"unlisted"`)
				require.Equal(t, strings.Join(s.Problems(), "\n")+"\n", get(n.Mixes[1], "/healthz").Body.String())
				require.Len(t, s.Problems(), len(test.why), "%q", s.Problems())
				for i, why := range test.why {
					require.Contains(t, s.Problems()[i], why)
				}
			})
		})
	}
}
