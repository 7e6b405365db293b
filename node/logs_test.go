package node_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/node/nodetest/printing"
)

// book is where logs go.
type book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestLogsTellNothingOfClients, at any level: not who they are, nor how many packets they send, nor which were refused.
func TestLogsTellNothingOfClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs book
		n := nodetest.Start(t, nodetest.Config{Node: func(_ int, cfg *node.Config) {
			cfg.Log = slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
		}})
		require.Contains(t, logs.String(), "registered", "the logs are kept")
		before := logs.String()

		c := n.Client("alice")
		_, err := c.Request(t.Context(), client.Message{To: "echo", Body: make([]byte, 20_000)})
		require.NoError(t, err)
		mallory := n.Link("mallory", nil, 0)
		packet := wrap(t, n, "nothing", "", 0)
		send(t, mallory, packet, packet, make([]byte, n.Params.PacketSize()), replyTo(t, n, []byte("nobody"), 0))
		require.NoError(t, mallory.WriteFrame(link.Reply, 0, frameOf(n)))
		require.NoError(t, mallory.Flush())
		time.Sleep(time.Minute)
		c.Close()
		sleep(time.Minute)
		require.Equal(t, before, logs.String(), "a line is about a client, or about what it sent")

		// Handshakes that fail may be told of, but not whose.
		conn, err := n.Dialer("mallory")(t.Context(), n.Mixes[0].Address)
		require.NoError(t, err)
		_, _ = conn.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
		conn.Close()
		n.Stop(1)
		send(t, n.Link("alice", nil, 0), wrap(t, n, "nothing", "", 0, 1))
		sleep(time.Minute)
		require.NotEqual(t, before, logs.String())
		for _, secret := range []string{"alice", "mallory", hex.EncodeToString(packet[:8])} {
			require.False(t, strings.Contains(logs.String(), secret), secret)
		}
	})
}

// TestNoVerbPrintsTheIdentity of a node, wherever in a value that is printed the node stands.
func TestNoVerbPrintsTheIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := nodetest.Start(t, nodetest.Config{})
		network.Stop(0) // as package fmt reads what goroutines write
		mix := network.Mixes[0]
		printing.RequireHidden(t, mix.Node, mix.Identity.Seed())
		require.Equal(t, fmt.Sprintf("node.Node(%s)", mix.Node.ID()), fmt.Sprint(mix.Node))
	})
}
