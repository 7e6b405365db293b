package storetest

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/directory"
)

// RunShared runs all tests that hold for a store which several processes use at a time.
func RunShared(t *testing.T, fresh func(t *testing.T) Data) {
	for name, test := range map[string]func(*testing.T, Data){
		"one of two large sets wins":    oneOfTwoLargeSetsWins,
		"two servers know the same":     twoServersKnowTheSame,
		"one server dies":               oneServerDies,
		"one version is one view":       oneVersionIsOneView,
		"both take in the same node":    bothTakeInTheSameNode,
		"a client goes from one to two": clientGoesFromOneToTwo,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh(t)) })
	}
}

// oneOfTwoLargeSetsWins wants a large value to come back as one writer wrote it, whoever else tried at the same time.
func oneOfTwoLargeSetsWins(t *testing.T, data Data) {
	const writers, rounds = 3, 5
	var stores []directory.Store
	for range writers {
		stores = append(stores, open(t, data))
	}
	mark := int64(0)
	for round := range rounds {
		var (
			running sync.WaitGroup
			mu      sync.Mutex
			won     []byte
		)
		for i, store := range stores {
			value := sized(2<<20+round*writers+i, byte(i))
			running.Go(func() {
				ok, err := store.Set(t.Context(), "view", value, mark)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if ok && won != nil {
					t.Error("two sets after one mark")
				}
				if ok {
					won = value
				}
			})
		}
		running.Wait()
		reached := mark
		for _, store := range stores {
			var values map[string][]byte
			values, reached = since(t, store, mark)
			require.True(t, bytes.Equal(won, values["view"]), "%d bytes came back as %d", len(won), len(values["view"]))
		}
		mark = reached
	}
}

// two returns two servers of a directory, each with a store of its own on the same data.
func two(t *testing.T, data Data) (a, b *host, now *clock) {
	t.Helper()
	now = &clock{now: start}
	return serve(t, open(t, data), now), serve(t, open(t, data), now), now
}

func twoServersKnowTheSame(t *testing.T, data Data) {
	a, b, now := two(t, data)
	require.NoError(t, a.Register(t.Context(), descriptor(t, 1, 1, time.Hour)))
	require.NoError(t, b.Register(t.Context(), descriptor(t, 2, 1, time.Hour)))
	requireListed(t, a.fetch(t, now), 1)
	now.advance(time.Second)
	requireListed(t, b.fetch(t, now), 1, 2)
	now.advance(time.Second)
	requireListed(t, a.fetch(t, now), 1, 2)
	fromA, _ := a.bytes(t)
	fromB, _ := b.bytes(t)
	require.Equal(t, fromA, fromB)

	require.NoError(t, a.Leave(t.Context(), directory.SignLeave(identity(2), 2)))
	requireListed(t, a.fetch(t, now), 1)
	now.advance(time.Second)
	requireListed(t, b.fetch(t, now), 1)
	require.Error(t, b.Register(t.Context(), descriptor(t, 2, 1, time.Hour)), "who left came back at the other server")

	now.advance(time.Second)
	quiet, version := b.bytes(t)
	for range 10 {
		now.advance(time.Second)
		_, a := a.bytes(t)
		_, b := b.bytes(t)
		require.Equal(t, []uint64{version, version}, []uint64{a, b}, "two servers in turn replace each other's view")
	}
	now.advance(time.Hour / 2)
	renewed, next := a.bytes(t)
	require.Greater(t, next, version)
	require.NotEqual(t, quiet, renewed)
	fromB, _ = b.bytes(t)
	require.Equal(t, renewed, fromB)
}

func oneServerDies(t *testing.T, data Data) {
	now := &clock{now: start}
	store, closeStore := data(t)
	a, b := serve(t, store, now), serve(t, open(t, data), now)
	require.NoError(t, a.Register(t.Context(), descriptor(t, 1, 1, time.Hour)))
	client := &directory.Client{URLs: []string{a.Server.URL, b.Server.URL}, Key: a.Key, Now: now.Now}
	first, err := client.Fetch(t.Context())
	require.NoError(t, err)
	now.advance(time.Second)
	a.Close()
	closeStore()

	require.NoError(t, client.Register(t.Context(), descriptor(t, 2, 1, time.Hour)))
	second, err := client.Fetch(t.Context())
	require.NoError(t, err)
	requireListed(t, second, 1, 2)
	require.Greater(t, second.Version, first.Version)
}

func clientGoesFromOneToTwo(t *testing.T, data Data) {
	a, b, now := two(t, data)
	require.NoError(t, a.Register(t.Context(), descriptor(t, 1, 1, time.Hour)))
	_, before := b.bytes(t)
	require.NoError(t, a.Register(t.Context(), descriptor(t, 2, 1, time.Hour)))
	client := &directory.Client{URLs: a.URLs, Key: a.Key, Now: now.Now}
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	requireListed(t, v, 1, 2)
	require.Greater(t, v.Version, before)

	// The other server has not looked since, which is no fault of the directory.
	client.URLs = b.URLs
	v, err = client.Fetch(t.Context())
	require.NoError(t, err)
	requireListed(t, v, 1, 2)
}

// oneVersionIsOneView has several servers publish at once, and wants no two views of one version, and no version that
// is below one that a server has shown before.
func oneVersionIsOneView(t *testing.T, data Data) {
	const servers, rounds = 3, 8
	now := &clock{now: start}
	var (
		hosts   []*host
		mu      sync.Mutex
		seen    = make(map[uint64][]byte)
		running sync.WaitGroup
	)
	for range servers {
		hosts = append(hosts, serve(t, open(t, data), now))
	}
	for i, h := range hosts {
		running.Go(func() {
			last := uint64(0)
			for round := range rounds {
				n := byte(1 + i*rounds + round)
				if err := h.Register(t.Context(), descriptor(t, n, 1, time.Hour)); err != nil {
					t.Error(err)
				}
				signed, version := h.bytes(t)
				mu.Lock()
				if other, known := seen[version]; known && !bytes.Equal(other, signed) {
					t.Errorf("two views of version %d", version)
				}
				seen[version] = signed
				mu.Unlock()
				if version < last {
					t.Errorf("version %d after %d", version, last)
				}
				last = version
				now.advance(time.Second / 4)
			}
		})
	}
	running.Wait()
	now.advance(5 * time.Second)
	for _, h := range hosts {
		require.Len(t, h.fetch(t, now).Nodes, servers*rounds, "a node was lost")
	}
	require.GreaterOrEqual(t, len(seen), rounds, "a server did not show its own node at once")
}

func bothTakeInTheSameNode(t *testing.T, data Data) {
	a, b, now := two(t, data)
	for version := uint64(1); version <= 5; version++ {
		var running sync.WaitGroup
		var failed [2]error
		for i, h := range []*host{a, b} {
			signed := descriptor(t, 1, version, time.Duration(i+1)*time.Minute)
			running.Go(func() { failed[i] = h.Register(t.Context(), signed) })
		}
		running.Wait()
		require.True(t, (failed[0] == nil) != (failed[1] == nil), fmt.Sprintf("two descriptors of one version: %v, %v", failed[0], failed[1]))
		now.advance(time.Second)
		va, vb := a.fetch(t, now), b.fetch(t, now)
		requireListed(t, va, 1)
		require.Equal(t, va.Nodes[0], vb.Nodes[0])
	}
}
