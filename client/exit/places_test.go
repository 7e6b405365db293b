package exit_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/client/exit"
	"sphinxmix.example/client/stream"
)

// TestStarvation: a client whose SURBs do not come back, all of whose replies are lost. Its session takes little, and
// others have all that they need.
func TestStarvation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, weather{mean: 20 * time.Millisecond}, exit.Config{})
		starving, good := n.newClient(1), n.newClient(2)
		for range 10 {
			starving.dial(endlessHost.String())
		}
		starving.starve()
		sent := starving.answered()
		time.Sleep(time.Minute)
		require.Less(t, n.tcp.Stats().Memory, int64(8<<20))
		require.Less(t, starving.answered()-sent, 5000, "packets to a client that does not acknowledge any")
		requireUnharmed(t, good)
		time.Sleep(7 * time.Minute)
		require.EqualValues(t, 1, n.tcp.Stats().Ended["silent"])
		requireUnharmed(t, n.newClient(3))
	})
}

// TestAFloodOfOpens gets one session no more streams than it may have, nor more than there are left for all.
func TestAFloodOfOpens(t *testing.T) {
	for name, test := range map[string]struct {
		cfg  exit.Config
		most int
	}{
		"its own limit":         {exit.Config{MaxStreamsPerSession: 50}, 50},
		"half of what there is": {exit.Config{MaxStreams: 60}, 30},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t, weather{mean: 20 * time.Millisecond}, test.cfg)
				greedy, good := n.newClient(1), n.newClient(2)
				var dialling sync.WaitGroup
				ctx, cancel := context.WithCancel(t.Context())
				var mu sync.Mutex
				opened, refused := 0, 0
				for range 200 {
					dialling.Go(func() {
						_, err := greedy.session.Dial(ctx, deafHost.String())
						mu.Lock()
						defer mu.Unlock()
						if err == nil {
							opened++
						} else {
							refused++
							require.ErrorIs(t, err, stream.ErrOverloaded)
						}
					})
				}
				dialling.Wait()
				cancel()
				require.Equal(t, test.most, opened)
				require.Equal(t, 200-test.most, refused)
				require.Equal(t, test.most, n.tcp.Stats().Streams)
				requireUnharmed(t, good)
			})
		})
	}
}

// TestDialsThatHang count as streams, also when their client has given them up.
func TestDialsThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, weather{}, exit.Config{MaxStreamsPerSession: 10, DialTimeout: time.Minute})
		greedy, good := n.newClient(1), n.newClient(2)
		for range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			_, err := greedy.session.Dial(ctx, silentHost.String())
			require.Error(t, err)
			cancel()
			require.LessOrEqual(t, n.tcp.Stats().Streams, 10)
		}
		requireUnharmed(t, good)
		time.Sleep(time.Minute)
		require.Zero(t, n.tcp.Stats().Streams)
	})
}

// TestPlacesForSessions: one without streams goes when another needs its place; those with streams stay, and newcomers
// are told.
func TestPlacesForSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		n := newNetwork(t, weather{}, exit.Config{MaxSessions: 3, Log: slog.New(slog.NewTextHandler(&log, nil))})
		var clients []*client
		for id := range uint64(3) {
			clients = append(clients, n.newClient(id))
			requireUnharmed(t, clients[id])
		}
		kept := clients[0].dial(echoHost.String()) // the one that was quiet for longest has a stream now
		requireUnharmed(t, n.newClient(3))
		stats := n.tcp.Stats()
		require.Equal(t, 3, stats.Sessions)
		require.EqualValues(t, 1, stats.Ended["place"])
		require.NoError(t, clients[2].session.Err())

		// It was the second, which learns it when it comes back.
		_, err := clients[1].session.Dial(soon(t), echoHost.String())
		require.ErrorIs(t, err, stream.ErrUnknown)
		require.Equal(t, 3, n.tcp.Stats().Sessions, "and does not begin anew")

		clients[2].dial(echoHost.String())
		full := n.newClient(4)
		requireUnharmed(t, full) // in the place of the fourth
		full.dial(echoHost.String())
		require.Empty(t, log.String())
		late := n.newClient(5)
		_, err = late.session.Dial(soon(t), echoHost.String())
		require.ErrorIs(t, err, stream.ErrOverloaded)
		require.EqualValues(t, 1, n.tcp.Stats().Refused["overloaded"])
		for id := range uint64(50) {
			_, err = n.newClient(100+id).session.Dial(soon(t), echoHost.String())
			require.ErrorIs(t, err, stream.ErrOverloaded)
		}
		require.Equal(t, 3, n.tcp.Stats().Sessions)
		require.Equal(t, 1, strings.Count(log.String(), "\n"), "said once: %s", log.String())
		require.NotContains(t, log.String(), "198.41")

		// Nobody who was there has noticed.
		_, err = kept.Write([]byte("hello"))
		require.NoError(t, err)
		_, err = io.ReadFull(kept, make([]byte, 5))
		require.NoError(t, err)
	})
}

// TestARefusedSession does not begin later, by cells that its client sent before it heard of that.
func TestARefusedSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, weather{}, exit.Config{MaxSessions: 1})
		first, late := n.newClient(1), n.newClient(2)
		first.dial(echoHost.String())
		require.NoError(t, n.handle(greeting(late, echoHost.String())))
		time.Sleep(time.Second)
		require.Equal(t, 1, late.answered())
		first.session.Fail(stream.ErrClosed)
		time.Sleep(time.Second)
		require.Zero(t, n.tcp.Stats().Sessions)
		require.NoError(t, n.handle(greeting(late, echoHost.String())))
		time.Sleep(time.Second)
		require.Zero(t, n.tcp.Stats().Sessions)
		require.Equal(t, 1, late.answered())
		next := cell.Cell{Stream: 2, Sequence: 3, Data: []byte{2, 0, 0, 0, 0, 0, 0, 0, 0}, SURBs: [][]byte{late.surb()}}
		require.NoError(t, n.handle(next.Append(nil)))
		time.Sleep(time.Second)
		require.Equal(t, 2, late.answered(), "it has heard, and is told that there is no session")
	})
}
