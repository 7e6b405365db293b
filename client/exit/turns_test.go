package exit_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/client/exit"
	"sphinxmix.example/client/stream"
	"sphinxmix.example/sphinx"
)

// TestSessionsTakeTurns, as few at a time as there are cores: a node has that many goroutines to open the packets of all
// others, which must not get one part in a thousand of the machine where a thousand sessions answer at once.
func TestSessionsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, weather{}, exit.Config{})
		var sending, most, sent atomic.Int64
		goOn := make(chan struct{})
		send := func(sphinx.Address, []byte) {
			most.Store(max(most.Load(), sending.Add(1)))
			<-goOn
			sending.Add(-1)
			sent.Add(1)
		}
		const sessions = 100
		for id := range uint64(sessions) {
			require.NoError(t, n.tcp.Handle(context.Background(), greeting(n.newClient(id), closedHost.String()), send))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		require.EqualValues(t, runtime.GOMAXPROCS(0), sending.Load())
		close(goOn)
		time.Sleep(time.Second)
		synctest.Wait()
		require.LessOrEqual(t, most.Load(), int64(runtime.GOMAXPROCS(0)))
		require.GreaterOrEqual(t, sent.Load(), int64(sessions))
	})
}

// stray is a cell of a session that the exit does not know.
func stray(c *client) []byte {
	unknown := cell.Cell{Stream: c.id, Sequence: 3, Data: []byte{2, 0, 0, 0, 0, 0, 0, 0, 0}, SURBs: [][]byte{c.surb()}}
	return unknown.Append(nil)
}

// TestStrangersAreAnswered at once, however many sessions wait for their turn; and each of them through the SURB of its own,
// however many come at a time.
func TestStrangersAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, weather{}, exit.Config{MaxSessions: 100})
		goOn := make(chan struct{})
		defer close(goOn)
		for id := range uint64(100) {
			hello := greeting(n.newClient(id), closedHost.String())
			require.NoError(t, n.tcp.Handle(context.Background(), hello, func(sphinx.Address, []byte) { <-goOn }))
		}
		time.Sleep(time.Second)
		var strangers []*client
		for id := range uint64(100) {
			c := n.newClient(1000 + id)
			strangers = append(strangers, c)
			message := stray(c)
			go func() { assert.NoError(t, n.handle(message)) }()
		}
		time.Sleep(time.Second)
		for _, c := range strangers {
			require.Equal(t, 1, c.answered())
			require.ErrorIs(t, c.session.Err(), stream.ErrUnknown)
		}
	})
}
