package exit_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/exit"
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
