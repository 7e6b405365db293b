package node_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/sphinx"
)

// inbox is a service that keeps what comes to it, and when.
type inbox struct {
	mu       sync.Mutex
	messages []string
	times    []time.Time
}

func (b *inbox) Handle(_ context.Context, message []byte, _ func(sphinx.Address, []byte)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = append(b.messages, string(message))
	b.times = append(b.times, time.Now())
	return nil
}

// sorted returns the messages so far, in the order of their bytes.
func (b *inbox) sorted() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(slices.Values(b.messages))
}

func (b *inbox) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages, b.times = nil, nil
}

func (b *inbox) empty() bool { return len(b.sorted()) == 0 }

// arrived returns when the only batch of messages came.
func (b *inbox) arrived(t *testing.T) time.Time {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.NotEmpty(t, b.times)
	for _, when := range b.times {
		require.Equal(t, b.times[0], when, "the messages came at once")
	}
	return b.times[0]
}

// withInbox adds the service "inbox" to the configuration of every mix.
func withInbox(b *inbox, change func(*node.Config)) func(int, *node.Config) {
	return func(_ int, cfg *node.Config) {
		cfg.Handlers["inbox"] = b
		if change != nil {
			change(cfg)
		}
	}
}

// immediate lets every packet leave as it comes.
func immediate(cfg *node.Config) { cfg.Mix.Size = 1 }

// wrap makes a packet for a service at the end of a path of mixes.
func wrap(t *testing.T, n *nodetest.Network, service, message string, path ...int) []byte {
	t.Helper()
	hops := make([]sphinx.Hop, len(path))
	for i, mix := range path {
		hops[i] = n.Mixes[mix].Hop()
	}
	packet, err := n.Params.Wrap(nil, nil, hops, []byte(service), []byte(message))
	require.NoError(t, err)
	return packet
}

// send sends packets in frames of their own.
func send(t *testing.T, c *link.Conn, packets ...[]byte) {
	t.Helper()
	sendIn(t, c, nodetest.FirstEpoch, packets...)
}

// sendIn does so for the keys of an epoch.
func sendIn(t *testing.T, c *link.Conn, epoch byte, packets ...[]byte) {
	t.Helper()
	for _, packet := range packets {
		require.NoError(t, c.WriteFrame(link.Packet, epoch, packet))
	}
	require.NoError(t, c.Flush())
}

// sleep lets time pass, and all happen that happens then.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// requireDropped asserts that a mix has dropped just that, once all that happens without time passing has happened.
func requireDropped(t *testing.T, m *nodetest.Mix, want map[node.Drop]uint64) {
	t.Helper()
	synctest.Wait()
	require.Equal(t, want, m.Counts().Dropped)
}
