package node_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/tao"
)

// leaves counts how often a node tells its directory that it leaves, the first times in vain.
type leaves struct {
	inVain, told atomic.Int64
	http.RoundTripper
}

func (l *leaves) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/leave") {
		l.told.Add(1)
		if l.inVain.Add(-1) >= 0 {
			return nil, errors.New("the directory is not reached")
		}
	}
	return l.RoundTripper.RoundTrip(r)
}

// of has mix i reach its directory through l.
func (l *leaves) of(i int) func(int, *node.Config) {
	return func(mix int, cfg *node.Config) {
		if mix == i {
			l.RoundTripper = cfg.Directory.HTTP.Transport
			cfg.Directory.HTTP.Transport = l
		}
	}
}

// listed reports whether a newcomer finds mix i.
func listed(t *testing.T, n *nodetest.Network, i int) bool {
	t.Helper()
	_, found := fetch(t, n).Node(n.Mixes[i].ID())
	return found
}

// TestMixThatLostItsKeysIsSentNothing: one that crashed, and cannot register its new keys, takes back what it had registered,
// whose keys nobody has any more. It never says that it serves meanwhile, and tells the directory no oftener than it has to.
func TestMixThatLostItsKeysIsSentNothing(t *testing.T) {
	another := sha256.Sum256([]byte("another program"))
	for _, test := range []struct {
		name   string
		papers func(*nodetest.Papers)
		breaks func(*machine)
		mends  func(*nodetest.Network, *machine)
		inVain int64
		while  time.Duration
	}{
		{name: "refused", papers: func(p *nodetest.Papers) { p.Program = another }, while: nodetest.Refresh},
		{name: "the directory hears of it late", papers: func(p *nodetest.Papers) { p.Program = another }, inVain: 2, while: 4 * nodetest.Refresh},
		{
			name: "its TPM fails", while: nodetest.Refresh,
			breaks: func(m *machine) { m.set(errors.New("TPM_RC_FAILURE"), nil) },
			mends:  func(_ *nodetest.Network, m *machine) { m.set(nil, nil) },
		},
		{
			name: "its log is lost", papers: func(p *nodetest.Papers) { p.LogFile += " of nothing" }, while: nodetest.Refresh,
			mends: func(n *nodetest.Network, m *machine) {
				n.Stop(1)
				m.Attestor = nil // is started anew
				n.Start(1)
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "log")
			synctest.Test(t, func(t *testing.T) {
				box, computer, left, logs := &inbox{}, &machine{}, &leaves{}, &book{}
				down := false
				n := nodetest.Start(t, nodetest.Config{
					Mixes: 3, Attested: true, Node: func(i int, cfg *node.Config) {
						withInbox(box, nil)(i, cfg)
						logged(1, logs)(i, cfg)
						left.of(1)(i, cfg)
					},
					Papers: func(i int, p *nodetest.Papers) {
						on(1, computer, file)(i, p)
						if p.Rogue = i == 1 && down; p.Rogue && test.papers != nil {
							test.papers(p)
						}
					},
				})
				require.True(t, passes(t, n, box, 1))
				n.Stop(1)
				if down = true; test.breaks != nil {
					test.breaks(computer)
				}
				left.inVain.Store(test.inVain)
				n.Start(1)
				for range test.while / time.Second {
					require.NotEqual(t, node.Serving, n.Mixes[1].Stats().State)
					if listed(t, n, 1) {
						problem := n.Mixes[1].Stats().Problems()[0]
						require.Regexp(t, "lists this node with other keys|has no view", problem)
					}
					time.Sleep(time.Second)
				}
				require.False(t, listed(t, n, 1))
				sleep(30 * time.Minute)
				require.False(t, listed(t, n, 1))
				require.False(t, passes(t, n, box, 1))
				require.EqualValues(t, test.inVain+1, left.told.Load())
				require.Equal(t, 1, strings.Count(logs.String(), "took back"), logs)
				require.Equal(t, 1, strings.Count(logs.String(), "in the network"), "when it was: %s", logs)

				if test.mends != nil {
					test.mends(n, computer)
				}
				n.Publish(func(p *tao.Policy) {
					p.Programs = append(p.Programs, tao.Allowed{Digest: another, Roles: tao.RolesOf(tao.Mix, tao.Exit)})
				})
				sleep(3 * nodetest.Refresh)
				require.Equal(t, node.Serving, n.Mixes[1].Stats().State)
				require.True(t, passes(t, n, box, 1))
			})
		})
	}
}

// TestMixThatKeptItsKeysStays where it is listed, though it cannot register anew, for as long as that is good: it opens what it
// is sent.
func TestMixThatKeptItsKeysStays(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		box, left := &inbox{}, &leaves{}
		down := false
		n := nodetest.Start(t, nodetest.Config{
			Mixes: 2, Attested: true, Node: func(i int, cfg *node.Config) {
				withInbox(box, nil)(i, cfg)
				left.of(1)(i, cfg)
				cfg.KeyDir = filepath.Join(folder, fmt.Sprint(i))
			},
			Papers: func(i int, p *nodetest.Papers) {
				if p.Rogue = i == 1 && down; p.Rogue {
					p.Program = sha256.Sum256([]byte("another program"))
				}
			},
		})
		n.Stop(1)
		down = true
		n.StartKept(1)
		send(t, n.Link("alice", nil, 0), wrap(t, n, "inbox", "lost with the link", 0, 1))
		sleep(10 * time.Minute)
		require.True(t, passes(t, n, box, 1))
		require.Equal(t, node.Serving, n.Mixes[1].Stats().State)
		require.Zero(t, left.told.Load())
	})
}

// TestMixWithNewKeysStaysListed while they come to be known: when it starts again, with views that take their time, and with
// every epoch.
func TestMixWithNewKeysStaysListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, late := &leaves{}, false
		n := nodetest.Start(t, nodetest.Config{
			Mixes: 2, Attested: true, Network: directory.Network{Epoch: time.Minute},
			Node: func(i int, cfg *node.Config) {
				if late {
					cfg.Directory.HTTP.Transport = lateViews{cfg.Directory.HTTP.Transport, 3 * time.Second}
				}
				left.of(1)(i, cfg)
			},
		})
		n.Stop(1)
		late = true
		n.Start(1)
		for range 600 {
			time.Sleep(time.Second)
			require.True(t, listed(t, n, 1))
			require.Equal(t, node.Serving, n.Mixes[1].Stats().State)
		}
		require.Zero(t, left.told.Load())
	})
}

// TestTwoProcessesWithOneIdentityDoNotFight: one that cannot register takes back what it found, which it must take for its own,
// and no more than that: what comes back is somebody else's.
func TestTwoProcessesWithOneIdentityDoNotFight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := &leaves{}
		n := nodetest.Start(t, nodetest.Config{Mixes: 2, Attested: true})
		other := stranger(t, n, func(cfg *node.Config) {
			cfg.Identity = n.Mixes[1].Identity
			left.of(0)(0, cfg)
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := run(ctx, other)
		sleep(3 * nodetest.Refresh)
		for range 60 {
			require.True(t, listed(t, n, 1))
			require.Equal(t, node.Serving, n.Mixes[1].Stats().State)
			require.NotEqual(t, node.Serving, other.Stats().State)
			time.Sleep(time.Minute)
		}
		require.EqualValues(t, 1, left.told.Load())
		stop()
		require.NoError(t, <-ended)
	})
}
