// Package storetest is the test of every [directory.Store]: of what the interface says, and of directories that keep
// what they know there.
package storetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/directory"
)

// Data is where one store keeps its values. Each call opens it, which must not fail, and returns what closes it again.
type Data func(t *testing.T) (store directory.Store, closeStore func())

// Run runs all tests that hold for a store which one process uses at a time. fresh makes one without values.
func Run(t *testing.T, fresh func(t *testing.T) Data) {
	for name, test := range map[string]func(*testing.T, Data){
		"values come back":          valuesComeBack,
		"large values come back":    largeValuesComeBack,
		"what is old stays":         whatIsOldStays,
		"deleted is gone":           deletedIsGone,
		"reopened":                  reopened,
		"a mark of another store":   markOfAnotherStore,
		"none of two sets is lost":  noneOfTwoSetsIsLost,
		"an ended context":          endedContext,
		"a directory restarts":      directoryRestarts,
		"a directory cleans":        directoryCleans,
		"a directory doubts it all": directoryDoubtsItAll,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh(t)) })
	}
}

func open(t *testing.T, data Data) directory.Store {
	t.Helper()
	store, closeStore := data(t)
	t.Cleanup(closeStore)
	return store
}

// since returns what was set after mark.
func since(t *testing.T, store directory.Store, mark int64) (map[string][]byte, int64) {
	t.Helper()
	values, reached, err := store.Since(t.Context(), mark)
	require.NoError(t, err)
	return values, reached
}

func set(t *testing.T, store directory.Store, name, value string, mark int64) bool {
	t.Helper()
	ok, err := store.Set(t.Context(), name, []byte(value), mark)
	require.NoError(t, err)
	return ok
}

func requireValues(t *testing.T, want map[string]string, got map[string][]byte) {
	t.Helper()
	texts := make(map[string]string)
	for name, value := range got {
		texts[name] = string(value)
	}
	require.Equal(t, want, texts)
}

func valuesComeBack(t *testing.T, data Data) {
	store := open(t, data)
	values, none := since(t, store, 0)
	require.Empty(t, values)

	require.True(t, set(t, store, "node/a", "first", none))
	values, first := since(t, store, none)
	requireValues(t, map[string]string{"node/a": "first"}, values)
	require.Greater(t, first, none)

	values, again := since(t, store, first)
	require.Empty(t, values, "nothing is new")
	require.Equal(t, first, again)

	require.True(t, set(t, store, "node/b", "second", none), "the name was not set after that mark")
	require.True(t, set(t, store, "view", "", none))
	values, second := since(t, store, first)
	requireValues(t, map[string]string{"node/b": "second", "view": ""}, values)
	require.Greater(t, second, first)
	values, _ = since(t, store, 0)
	requireValues(t, map[string]string{"node/a": "first", "node/b": "second", "view": ""}, values)
}

func whatIsOldStays(t *testing.T, data Data) {
	store := open(t, data)
	require.True(t, set(t, store, "node/a", "first", 0))
	require.False(t, set(t, store, "node/a", "lost", 0))
	values, first := since(t, store, 0)
	requireValues(t, map[string]string{"node/a": "first"}, values)

	require.True(t, set(t, store, "node/b", "other", first))
	require.True(t, set(t, store, "node/a", "second", first), "another name was set, not this one")
	require.False(t, set(t, store, "node/a", "lost", first))
	deleted, err := store.Set(t.Context(), "node/a", nil, first)
	require.NoError(t, err)
	require.False(t, deleted, "deleted what is newer")
	values, second := since(t, store, first)
	requireValues(t, map[string]string{"node/a": "second", "node/b": "other"}, values)
	require.True(t, set(t, store, "node/a", "third", second))
}

func deletedIsGone(t *testing.T, data Data) {
	store := open(t, data)
	for _, value := range []string{"small", string(make([]byte, 3<<20))} {
		_, mark := since(t, store, 0)
		require.True(t, set(t, store, "node/a", value, mark))
		_, mark = since(t, store, mark)
		deleted, err := store.Set(t.Context(), "node/a", nil, mark)
		require.NoError(t, err)
		require.True(t, deleted)
		values, _ := since(t, store, 0)
		require.Empty(t, values)
		require.True(t, set(t, store, "node/a", "again", mark), "nothing was set after that mark")
		require.False(t, set(t, store, "node/a", "lost", mark))
		values, _ = since(t, store, mark)
		requireValues(t, map[string]string{"node/a": "again"}, values)
	}
}

// sized returns a value of which each part differs from all others.
func sized(n int, seed byte) []byte {
	value := make([]byte, n)
	for i := range value {
		value[i] = seed + byte(i) + byte(i>>8)*7 + byte(i>>16)*31
	}
	return value
}

func largeValuesComeBack(t *testing.T, data Data) {
	store := open(t, data)
	mark := int64(0)
	for i, size := range []int{1, 1<<20 - 1, 1 << 20, 1<<20 + 1, directory.MaxViewSize, 3 << 20, 1, 2 << 20, 5<<20 + 5} {
		value := sized(size, byte(i))
		ok, err := store.Set(t.Context(), "view", value, mark)
		require.NoError(t, err)
		require.True(t, ok)
		lost, err := store.Set(t.Context(), "view", sized(2<<20, byte(i)+100), mark)
		require.NoError(t, err)
		require.False(t, lost, "of two large values the second came in")
		var values map[string][]byte
		values, mark = since(t, store, mark)
		require.Len(t, values, 1)
		require.True(t, bytes.Equal(value, values["view"]), "%d bytes came back as %d", size, len(values["view"]))
	}
}

func reopened(t *testing.T, data Data) {
	store, closeStore := data(t)
	require.True(t, set(t, store, "node/a", "first", 0))
	require.True(t, set(t, store, "node/a", "second", math.MaxInt64-1))
	_, mark := since(t, store, 0)
	closeStore()

	store = open(t, data)
	values, again := since(t, store, 0)
	requireValues(t, map[string]string{"node/a": "second"}, values)
	require.Equal(t, mark, again)
	values, _ = since(t, store, mark)
	require.Empty(t, values)
	require.False(t, set(t, store, "node/a", "lost", mark-1))
	require.True(t, set(t, store, "node/b", "third", mark))
	values, _ = since(t, store, mark)
	requireValues(t, map[string]string{"node/b": "third"}, values)
}

func markOfAnotherStore(t *testing.T, data Data) {
	store := open(t, data)
	require.True(t, set(t, store, "node/a", "first", 0))
	_, mark := since(t, store, 0)
	values, reached := since(t, store, mark+1000)
	requireValues(t, map[string]string{"node/a": "first"}, values)
	require.Equal(t, mark, reached)
}

// noneOfTwoSetsIsLost counts in one value from several goroutines, each of which starts over when it was too late.
func noneOfTwoSetsIsLost(t *testing.T, data Data) {
	const counters, each = 4, 10
	store := open(t, data)
	var running sync.WaitGroup
	for range counters {
		running.Go(func() {
			for range each {
				if !count(t, store) {
					return
				}
			}
		})
	}
	running.Wait()
	values, _ := since(t, store, 0)
	require.Equal(t, uint64(counters*each), binary.BigEndian.Uint64(values["view"]))
}

func count(t *testing.T, store directory.Store) bool {
	for {
		values, mark, err := store.Since(t.Context(), 0)
		if err != nil {
			t.Error(err)
			return false
		}
		n := uint64(0)
		if b := values["view"]; len(b) == 8 {
			n = binary.BigEndian.Uint64(b)
		}
		ok, err := store.Set(t.Context(), "view", binary.BigEndian.AppendUint64(nil, n+1), mark)
		if err != nil {
			t.Error(err)
			return false
		}
		if ok {
			return true
		}
	}
}

func endedContext(t *testing.T, data Data) {
	store := open(t, data)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := store.Since(ctx, 0)
	require.ErrorIs(t, err, context.Canceled)
	_, err = store.Set(ctx, "node/a", []byte("lost"), 0)
	require.ErrorIs(t, err, context.Canceled)
	values, _ := since(t, store, 0)
	require.Empty(t, values)
}
