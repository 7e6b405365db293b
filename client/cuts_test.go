package client_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/nodetest"
)

// TestClientIsNotKeptOutByCuts: where each connection lasts long enough for messages, the client is back at once after
// each cut, however many there were.
func TestClientIsNotKeptOutByCuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{})
		c := n.Client("alice")
		gateway := gatewayOf(t, n, c)
		for range 50 {
			time.Sleep(7 * time.Second)
			n.Cut("alice", n.Mixes[gateway].Address)
			start := time.Now()
			requireEcho(t, c, text(1, 3*room))
			require.Less(t, time.Since(start), time.Second)
			require.Equal(t, gateway, at(n, c))
		}
	})
}
