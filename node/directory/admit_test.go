package directory

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// next returns a descriptor of node n as it says more each time.
func next(t *testing.T, n byte, d Descriptor, version uint64, now time.Time) []byte {
	t.Helper()
	d.Version, d.Expires = version, now.Add(time.Hour)
	return signed(t, n, d)
}

func TestOneNodeDoesNotWriteTheStoreWithoutLimit(t *testing.T) {
	if testing.Short() {
		t.Skip("long, and nothing here is concurrent that is not so in other tests")
	}
	store := new(meter)
	s, client, now := serve(t, ServerConfig{Store: store})
	const here = "192.0.2.1:1111"
	version := uint64(0)
	say := func() int {
		version++
		answer := post(s, here, next(t, 1, describe(1), version, now.Now()))
		if answer.Code == http.StatusTooManyRequests {
			require.Contains(t, answer.Body.String(), "changed too often")
			wait, err := strconv.Atoi(answer.Header().Get("Retry-After"))
			require.NoError(t, err)
			require.InDelta(t, 60, wait, 1)
		}
		return answer.Code
	}
	for range 500 {
		say()
	}
	require.Equal(t, int64(renewBurst+1), store.sets.Load())
	for range 3600 {
		now.advance(time.Second)
		say()
	}
	require.InDelta(t, renewBurst+60, store.sets.Load(), 2)

	require.Equal(t, http.StatusTooManyRequests, say())
	require.Equal(t, http.StatusNoContent, post(s, here, next(t, 2, describe(2), 1, now.Now())).Code, "another node pays for it")
	require.NoError(t, client.Leave(t.Context(), SignLeave(identity(1), version+1)), "it can leave all the same")
	version++
	_, listed := viewOfServer(t, s).Node(NodeIDOf(public(identity(1))))
	require.False(t, listed)
	sets := store.sets.Load()
	for range 10 {
		version++
		require.ErrorContains(t, client.Leave(t.Context(), SignLeave(identity(1), version)), ErrTooOften.Error())
	}
	require.Equal(t, http.StatusTooManyRequests, say(), "leaving and coming back is a way around")
	require.Equal(t, sets, store.sets.Load())
	now.advance(time.Minute)
	require.Equal(t, http.StatusNoContent, say())
}

// The limit of a node holds for all servers together, or nearly.
func TestANodeThatAsksEachServerOnceHasAskedOften(t *testing.T) {
	store := new(meter)
	now := newClock()
	var servers []*Server
	for range 3 {
		s, err := NewServer(ServerConfig{Key: directoryKey, Network: network, Now: now.Now, Store: store})
		require.NoError(t, err)
		servers = append(servers, s)
	}
	const minutes = 30
	for second := range uint64(minutes * 60) {
		now.advance(time.Second)
		post(servers[second%3], "192.0.2.1:1", next(t, 1, describe(1), second+1, now.Now()))
	}
	require.Less(t, store.sets.Load(), int64(3*renewBurst+minutes+minutes/2))
}

func TestOneAddressDoesNotWriteTheStoreWithoutLimit(t *testing.T) {
	if testing.Short() {
		t.Skip("long, and nothing here is concurrent that is not so in other tests")
	}
	store := new(meter)
	s, _, now := serve(t, ServerConfig{Store: store, MaxNewNodes: 8})
	const here, there = "192.0.2.1:1111", "192.0.2.2:1111"
	require.Equal(t, http.StatusNoContent, post(s, there, next(t, 9, describe(9), 1, now.Now())).Code)
	refused := 0
	const hours = 3
	for minute := range uint64(hours * 60) {
		for n := byte(1); n <= 8; n++ {
			answer := post(s, here, next(t, n, full(n), minute+1, now.Now()))
			if answer.Code != http.StatusNoContent {
				require.Equal(t, http.StatusTooManyRequests, answer.Code)
				require.Contains(t, answer.Body.String(), "too many bytes")
				require.NotEmpty(t, answer.Header().Get("Retry-After"))
				refused++
			}
		}
		require.Equal(t, http.StatusNoContent, post(s, there, next(t, 9, describe(9), minute+2, now.Now())).Code, "another address")
		now.advance(time.Minute)
	}
	require.NotZero(t, refused)
	require.Less(t, store.bytes.Load(), int64((hours+1)*(8+spareNodes)*MaxDescriptorSize+hours*60*1024))
}

// A node renews once an epoch, restarts now and then, and shares its address with others.
func TestNodesRenewHoweverShortTheEpochs(t *testing.T) {
	if testing.Short() {
		t.Skip("long, and nothing here is concurrent that is not so in other tests")
	}
	for _, epoch := range []time.Duration{time.Second, 5 * time.Second, time.Minute, time.Hour, MaxEpoch} {
		t.Run(fmt.Sprint(epoch), func(t *testing.T) {
			now := newClock()
			short := network
			short.Epoch = epoch
			s, err := NewServer(ServerConfig{Key: directoryKey, Network: short, Now: now.Now})
			require.NoError(t, err)
			d := describe(1)
			d.Network = short.Hash()
			const nodes, epochs = 20, 100
			version := uint64(0)
			for range epochs {
				for n := byte(1); n <= nodes; n++ {
					d.Identity = public(identity(n))
					version++
					answer := post(s, "192.0.2.1:1", next(t, n, d, version, now.Now()))
					require.Equal(t, http.StatusNoContent, answer.Code, answer.Body)
				}
				now.advance(epoch / 2)
				version++
				d.Identity = public(identity(1)) // which restarts all the time
				require.Equal(t, http.StatusNoContent, post(s, "192.0.2.1:1", next(t, 1, d, version, now.Now())).Code)
				now.advance(epoch - epoch/2)
			}
		})
	}
}
