package directory

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestViewIsSignedAnewWhenNodesChangeOrHalfItsLifeIsGone(t *testing.T) {
	s, client, now := serve(t, ServerConfig{Lifetime: time.Minute})
	first := published(t, s)
	require.Equal(t, start.Add(time.Minute), first.Expires)
	now.advance(30*time.Second - 1)
	require.Same(t, first, published(t, s))

	require.NoError(t, client.Register(t.Context(), signed(t, 1, describe(1))))
	second := published(t, s)
	require.Greater(t, second.Version, first.Version)
	require.Len(t, viewOfServer(t, s).Nodes, 1)
	require.Same(t, second, published(t, s))

	now.advance(30 * time.Second)
	third := published(t, s)
	require.Greater(t, third.Version, second.Version)
	require.Equal(t, now.Now().Truncate(time.Second).Add(time.Minute), third.Expires)

	now.advance(-time.Hour)
	fourth := published(t, s)
	require.Greater(t, fourth.Version, third.Version, "a clock that was put back")
	require.Equal(t, now.Now().Truncate(time.Second), fourth.Published)
}

func TestManyChangesWithinOneInstantHaveManyVersions(t *testing.T) {
	s, client, _ := serve(t, ServerConfig{})
	var last uint64
	for n := byte(1); n < 20; n++ {
		require.NoError(t, client.Register(t.Context(), signed(t, n, describe(n))))
		version := published(t, s).Version
		require.Greater(t, version, last)
		last = version
	}
}

func TestVersionsRiseAcrossARestart(t *testing.T) {
	s, client, now := serve(t, ServerConfig{})
	require.NoError(t, client.Register(t.Context(), signed(t, 1, describe(1))))
	before := published(t, s)
	now.advance(time.Second)
	restarted, err := NewServer(ServerConfig{Key: directoryKey, Network: network, Now: now.Now})
	require.NoError(t, err)
	require.Greater(t, published(t, restarted).Version, before.Version)
}

func TestManyChangesAreFewViews(t *testing.T) {
	s, _, now := serve(t, ServerConfig{})
	const nodes, renewals = 20, renewBurst
	versions := map[uint64]bool{}
	for version := range uint64(renewals) {
		for n := byte(1); n <= nodes; n++ {
			d := describe(n)
			d.Version = version
			require.NoError(t, s.register(t.Context(), signed(t, n, d), ""))
			versions[published(t, s).Version] = true
		}
	}
	require.Len(t, versions, publishBurst)
	now.advance(publishEvery)
	for _, d := range viewOfServer(t, s).Nodes {
		require.Equal(t, uint64(renewals-1), d.Version)
	}

	// After some quiet the next change is shown at once, and so is one after that.
	now.advance(2 * publishEvery)
	for n := byte(101); n <= 102; n++ {
		require.NoError(t, s.register(t.Context(), signed(t, n, describe(n)), ""))
		mustNode(t, viewOfServer(t, s), n)
	}
}

func TestAViewIsSignedAnewWithEachEpoch(t *testing.T) {
	s, _, now := serve(t, ServerConfig{Lifetime: 24 * time.Hour})
	first := published(t, s)
	now.advance(time.Hour - 1)
	require.Same(t, first, published(t, s))
	now.advance(1)
	second := published(t, s)
	require.Greater(t, second.Version, first.Version)
	require.Equal(t, start.Add(time.Hour), second.Published)
	now.advance(time.Hour - 1)
	require.Same(t, second, published(t, s))
}

// The larger a view, the less often it is signed, but neither an epoch nor a leave waits for long.
func TestLargeViewsAreSignedLessOftenButInTime(t *testing.T) {
	if testing.Short() {
		t.Skip("long, and nothing here is concurrent that is not so in other tests")
	}
	pacing := func(size int, epoch, lifetime time.Duration) rate {
		n := network
		n.Epoch = epoch
		s, err := NewServer(ServerConfig{Key: directoryKey, Network: n, Lifetime: lifetime})
		require.NoError(t, err)
		return s.pacing(size)
	}
	require.Equal(t, rate{time.Second, 32}, pacing(minViewSize, time.Hour, time.Hour))
	require.Equal(t, rate{time.Second, 32}, pacing(256<<10, time.Hour, time.Hour))
	require.Equal(t, rate{4 * time.Second, 8}, pacing(1<<20, time.Hour, time.Hour))
	require.Equal(t, rate{64 * time.Second, 1}, pacing(MaxViewSize, time.Hour, time.Hour))
	require.Equal(t, time.Minute/8, pacing(MaxViewSize, time.Minute, time.Hour).every)
	require.Equal(t, time.Minute/8, pacing(MaxViewSize, time.Hour, time.Minute).every)
	require.Equal(t, time.Second, pacing(MaxViewSize, time.Second, 2*time.Second).every)

	s, client, now := serve(t, ServerConfig{})
	for n := range byte(230) {
		d := full(n)
		d.Expires = start.Add(24 * time.Hour)
		require.NoError(t, s.register(t.Context(), signed(t, n, d), fmt.Sprint(n)))
	}
	leave := func(n byte) {
		require.NoError(t, client.Leave(t.Context(), SignLeave(identity(n), 2)))
	}
	listed := func() int { return len(viewOfServer(t, s).Nodes) }
	require.Equal(t, 230, listed())
	now.advance(17 * time.Second)
	leave(1)
	require.Equal(t, 229, listed(), "a leave after some quiet")
	leave(2)
	require.Equal(t, 229, listed())
	now.advance(17 * time.Second)
	require.Equal(t, 228, listed())

	leave(3)
	now.advance(start.Add(time.Hour).Sub(now.Now()) - time.Second)
	require.Equal(t, 227, listed())
	leave(4)
	require.Equal(t, 227, listed())
	now.advance(time.Second)
	require.Equal(t, 226, listed(), "an epoch does not wait")
}

// Servers whose clocks differ do not replace each other's views for that.
func TestServersWithDifferentClocksShareAView(t *testing.T) {
	store := new(Memory)
	var servers []*Server
	var clocks []*clock
	for _, ahead := range []time.Duration{0, 20 * time.Second, -20 * time.Second} {
		s, _, now := serve(t, ServerConfig{Store: store, Lifetime: 10 * time.Minute})
		now.advance(time.Minute + ahead)
		servers, clocks = append(servers, s), append(clocks, now)
	}
	require.NoError(t, servers[1].register(t.Context(), signed(t, 1, describe(1)), ""))
	versions := map[uint64]bool{}
	for range 100 {
		for i, s := range servers {
			clocks[i].advance(time.Second)
			versions[published(t, s).Version] = true
		}
	}
	require.Len(t, versions, 1)
}

func TestDirectoryUnderLoad(t *testing.T) {
	_, client, now := serve(t, ServerConfig{Lifetime: 4 * time.Minute})
	const nodes, rounds = 8, 10
	var running sync.WaitGroup
	for n := byte(1); n <= nodes; n++ {
		running.Go(func() {
			for round := range rounds {
				d := describe(n)
				d.Version += uint64(round)
				d.Expires = d.Expires.Add(time.Duration(round) * time.Minute)
				b, err := SignDescriptor(identity(n), d)
				if err == nil {
					err = client.Register(context.Background(), b)
				}
				if err != nil {
					t.Errorf("node %d, round %d: %v", n, round, err)
				}
				now.advance(time.Second)
			}
		})
		running.Go(func() {
			var last uint64
			for range rounds {
				v, err := client.Fetch(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				if v.Version < last {
					t.Errorf("version %d after %d", v.Version, last)
				}
				last = v.Version
				v.Node(NodeID{})
			}
		})
	}
	running.Wait()
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, v.Nodes, nodes)
	for _, d := range v.Nodes {
		require.Equal(t, start.Add(time.Hour+(rounds-1)*time.Minute), d.Expires)
	}
}
