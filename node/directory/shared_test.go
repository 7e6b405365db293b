package directory

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// flaky is a store that fails as a test wants.
type flaky struct {
	Memory

	mu      sync.Mutex
	broken  error // what all calls return, if not nil
	hangs   bool  // calls last until their context ends
	forgets bool  // sets happen, but return an error
	asked   int   // calls so far
}

var errBroken = errors.New("the disk is on fire at 10.1.2.3")

func (f *flaky) set(change func(*flaky)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *flaky) trouble(ctx context.Context) error {
	f.mu.Lock()
	f.asked++
	broken, hangs := f.broken, f.hangs
	f.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return broken
}

func (f *flaky) Since(ctx context.Context, mark int64) (map[string][]byte, int64, error) {
	if err := f.trouble(ctx); err != nil {
		return nil, 0, err
	}
	return f.Memory.Since(ctx, mark)
}

func (f *flaky) Set(ctx context.Context, name string, value []byte, mark int64) (bool, error) {
	if err := f.trouble(ctx); err != nil {
		return false, err
	}
	done, err := f.Memory.Set(ctx, name, value, mark)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.forgets && done {
		return false, errBroken
	}
	return done, err
}

func TestWithoutItsStoreTheDirectoryShowsItsLastView(t *testing.T) {
	store := new(flaky)
	s, client, now := serve(t, ServerConfig{Store: store})
	require.NoError(t, client.Register(t.Context(), signed(t, 1, describe(1))))
	last := published(t, s)
	store.set(func(f *flaky) { f.broken = errBroken })

	now.advance(time.Hour - time.Second)
	require.Same(t, last, published(t, s))
	answer, text := ask(t, http.MethodPost, client.URLs[0]+"/v1/descriptor", signed(t, 2, describe(2)))
	require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	require.Equal(t, "the directory cannot reach what it knows: try again later\n", text, "what went wrong is the operator's to read")
	require.NotEmpty(t, answer.Header.Get("Retry-After"))
	require.ErrorIs(t, client.Leave(t.Context(), SignLeave(identity(1), 2)), ErrRefused)

	now.advance(time.Second)
	answer, _ = ask(t, http.MethodGet, client.URLs[0]+"/v1/view", nil)
	require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode, "the last view has expired")
	answer, _ = ask(t, http.MethodGet, client.URLs[0]+"/", nil)
	require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)

	store.set(func(f *flaky) { f.broken = nil })
	now.advance(retryEvery)
	later := describe(2)
	later.Expires = now.Now().Add(time.Hour)
	require.NoError(t, client.Register(t.Context(), signed(t, 2, later)))
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Greater(t, v.Version, last.Version)
	require.Equal(t, later, *mustNode(t, v, 2))
}

func TestDirectoryStartsBeforeItsStore(t *testing.T) {
	store := &flaky{broken: errBroken}
	_, client, now := serve(t, ServerConfig{Store: store})
	_, err := client.Fetch(t.Context())
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, ErrStore.Error())
	require.ErrorIs(t, client.Register(t.Context(), signed(t, 1, describe(1))), ErrRefused)
	store.set(func(f *flaky) { f.broken = nil })
	now.advance(retryEvery)
	require.NoError(t, client.Register(t.Context(), signed(t, 1, describe(1))))
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, v.Nodes, 1)
}

func TestABrokenStoreIsNotAskedByEveryRequest(t *testing.T) {
	store := new(flaky)
	s, _, now := serve(t, ServerConfig{Store: store})
	published(t, s)
	now.advance(31 * time.Minute) // a new view is due
	store.set(func(f *flaky) { f.broken, f.asked = errBroken, 0 })
	for range 100 {
		published(t, s)
		require.ErrorIs(t, s.register(t.Context(), signed(t, 1, describe(1)), ""), ErrStore)
	}
	require.Equal(t, 1, store.asked)
}

// One request finds out that the store is silent. It is answered all the same, before a client gives up, and nobody
// else waits.
func TestASilentStoreDelaysOneRequest(t *testing.T) {
	require.Less(t, storeTimeout, maxSilence)
	synctest.Test(t, func(t *testing.T) {
		store := new(flaky)
		s, err := NewServer(ServerConfig{Key: directoryKey, Network: network, Store: store})
		require.NoError(t, err)
		last := published(t, s)
		store.set(func(f *flaky) { f.hangs = true })
		time.Sleep(31 * time.Minute) // a new view is due
		began := time.Now()
		var running sync.WaitGroup
		var waited []time.Duration
		for range 20 {
			running.Go(func() {
				p, err := s.publish(t.Context())
				if err != nil || p != last {
					t.Errorf("got %v, %v", p, err)
				}
				store.set(func(*flaky) { waited = append(waited, time.Since(began)) })
			})
		}
		running.Wait()
		require.Len(t, waited, 20)
		require.Equal(t, time.Duration(0), waited[18])
		require.Equal(t, storeTimeout, waited[19])

		err = s.register(t.Context(), signed(t, 1, describe(1)), "")
		require.Error(t, err)
		require.Equal(t, storeTimeout, time.Since(began), "that it is silent is known by now")
	})
}

// A set that failed may have happened. The view that is in the store is the one of its version.
func TestAViewOfWhichNobodyKnowsThatItIsStoredIsTheOne(t *testing.T) {
	store := new(flaky)
	s, _, now := serve(t, ServerConfig{Store: store})
	first := published(t, s)
	now.advance(31 * time.Minute)
	store.set(func(f *flaky) { f.forgets = true })
	require.Same(t, first, published(t, s))
	store.set(func(f *flaky) { f.forgets = false })
	values, _, err := store.Memory.Since(t.Context(), 0)
	require.NoError(t, err)
	stored, err := newPublication(values[viewName], public(directoryKey))
	require.NoError(t, err)
	require.Greater(t, stored.Version, first.Version)

	now.advance(retryEvery)
	require.Equal(t, stored.signed, published(t, s).signed)
}

func TestAReaderWhoGoesAwayIsNoFailureOfTheStore(t *testing.T) {
	store := new(flaky)
	s, _, _ := serve(t, ServerConfig{Store: store})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.publish(gone)
	require.NoError(t, err)
	require.NoError(t, s.failure)
}

// A store that took a backup's place has an older view than the server, and none of the newest nodes.
func TestAStoreThatWasSetBackTakesNobodyBack(t *testing.T) {
	store := new(flaky)
	s, _, now := serve(t, ServerConfig{Store: store})
	require.NoError(t, s.register(t.Context(), signed(t, 1, describe(1)), ""))
	backup := published(t, s)
	renewed := describe(1)
	renewed.Version = 2
	require.NoError(t, s.register(t.Context(), signed(t, 1, renewed), ""))
	last := published(t, s)
	now.advance(time.Second)
	published(t, s)

	store.Memory.values = nil
	store.Memory.mark = 0
	_, err := store.Memory.Set(t.Context(), viewName, backup.signed, 0)
	require.NoError(t, err)
	first := describe(1)
	r := recordOf(&first, signed(t, 1, first))
	_, err = store.Memory.Set(t.Context(), r.name(), r.encode(), 0)
	require.NoError(t, err)
	now.advance(time.Second)
	require.Same(t, last, published(t, s))
	now.advance(time.Hour / 2)
	require.Greater(t, published(t, s).Version, last.Version)
	require.Equal(t, renewed, *mustNode(t, viewOfServer(t, s), 1))
}

// Between its end and its deletion, a record may come to life again.
func TestARecordThatIsNewAgainIsNotCleanedAway(t *testing.T) {
	store := new(Memory)
	s, _, now := serve(t, ServerConfig{Store: store})
	require.NoError(t, s.register(t.Context(), signed(t, 1, describe(1)), ""))
	now.advance(time.Hour)
	require.Empty(t, viewOfServer(t, s).Nodes)
	again := describe(1)
	again.Version, again.Expires = 2, now.Now().Add(time.Hour)
	require.NoError(t, s.register(t.Context(), signed(t, 1, again), ""))
	for range 3 {
		now.advance(time.Second)
		require.Len(t, viewOfServer(t, s).Nodes, 1)
	}
	now.advance(31 * time.Minute) // so that the view in the store is not what is shown
	restarted, err := NewServer(ServerConfig{Key: directoryKey, Network: network, Store: store, Now: now.Now})
	require.NoError(t, err)
	require.Len(t, viewOfServer(t, restarted).Nodes, 1)
}

// A store has what other networks, and other keys, left there.
func TestDirectoryStartsOverForAnotherNetwork(t *testing.T) {
	store := new(Memory)
	s, _, now := serve(t, ServerConfig{Store: store})
	published(t, s)

	other := network
	other.MaxHops--
	moved, err := NewServer(ServerConfig{Key: directoryKey, Network: other, Store: store, Now: now.Now})
	require.NoError(t, err)
	require.Equal(t, other, viewOfServer(t, moved).Network)

	now.advance(time.Second)
	require.NoError(t, s.register(t.Context(), signed(t, 1, describe(1)), ""))
	before := published(t, s)
	now.advance(time.Second)
	after := viewOfServer(t, moved)
	require.Equal(t, other, after.Network)
	require.Greater(t, after.Version, before.Version)
	require.Empty(t, after.Nodes, "the node is set up for the network before")

	rekeyed, err := NewServer(ServerConfig{Key: identity(201), Network: network, Store: store, Now: now.Now})
	require.NoError(t, err)
	v, err := ParseView(published(t, rekeyed).signed, public(identity(201)), now.Now())
	require.NoError(t, err)
	require.Len(t, v.Nodes, 1)
}
