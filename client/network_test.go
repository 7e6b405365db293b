package client_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/client/cell"
	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/nodetest"
)

// room is how many bytes of a message to "echo" fit in one cell of nodetest's network.
const room = 1024 - 19 - len("echo") - cell.HeaderSize - 272

// text returns the n-th message of that size.
func text(n, size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(b)
	return b
}

// soon is a context that ends after an hour, which is more than anything here takes: networks live in virtual time, where
// a test that waits for ever would not be found out by a deadlock.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	t.Cleanup(cancel)
	return ctx
}

// long skips a test that takes long, and in which nothing is concurrent that is not so in shorter ones, where time is short:
// the race detector makes it ten times longer.
func long(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
}

// requireEcho sends a message around and compares what comes back.
func requireEcho(t *testing.T, c *client.Client, body []byte) {
	t.Helper()
	reply, err := c.Request(soon(t), client.Message{To: "echo", Body: body})
	require.NoError(t, err)
	require.Equal(t, len(body), len(reply))
	require.True(t, string(body) == string(reply), "the reply is another than the message")
}

// seldom is for networks that run for hours: their mixes ask the directory once a minute.
func seldom(_ int, cfg *node.Config) { cfg.Refresh = time.Minute }

// gatewayOf returns the number of a client's gateway.
func gatewayOf(t *testing.T, n *nodetest.Network, c *client.Client) int {
	t.Helper()
	gateway := -1
	_, err := c.Request(soon(t), client.Message{To: "echo", Routed: func(out, _ []directory.NodeID) {
		for i, m := range n.Mixes {
			if m.ID() == out[0] {
				gateway = i
			}
		}
	}})
	require.NoError(t, err)
	require.NotEqual(t, -1, gateway)
	return gateway
}

// request sends a message in the background.
func request(ctx context.Context, c *client.Client, m client.Message) <-chan result {
	done := make(chan result, 1)
	go func() {
		reply, err := c.Request(ctx, m)
		done <- result{reply, err}
	}()
	return done
}

type result struct {
	reply []byte
	err   error
}

// switchable is a Tap that can be turned on and off.
type switchable struct {
	mu  sync.Mutex
	tap nodetest.Tap // nil lets all pass
}

func (s *switchable) set(tap nodetest.Tap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tap = tap
}

func (s *switchable) Tap(f nodetest.Frame) []nodetest.Frame {
	s.mu.Lock()
	tap := s.tap
	s.mu.Unlock()
	if tap == nil {
		return []nodetest.Frame{f}
	}
	return tap(f)
}

// betweenMixes reports whether a frame is on its way from mix to mix.
func betweenMixes(f nodetest.Frame) bool {
	return strings.HasPrefix(f.From, "mix") && strings.HasPrefix(f.To, "mix") && f.Kind == link.Packet
}

// dropped adds up what was dropped, for whatever reason.
func dropped(c node.Counts) (sum uint64) {
	for _, count := range c.Dropped {
		sum += count
	}
	return sum
}
