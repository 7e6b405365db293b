package link_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/link"
)

// A journal is where a log is written; it is safe for concurrent use.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func TestErrorsAndLogsNameNobody(t *testing.T) {
	const client = "127.0.0.77"
	var log journal
	n := loopback(t)
	cfg := config("mix")
	cfg.MaxConnsPerAddress = 4
	cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	conns := make(chan *link.Conn, 8)
	stop := serve(t, n, cfg, func(ctx context.Context, c *link.Conn) {
		conns <- c
		<-ctx.Done()
	})

	var errs []error
	note := func(err error) {
		t.Helper()
		require.Error(t, err)
		errs = append(errs, err)
	}

	// The peer vanishes, with a reset.
	conn := n.dial(t, client)
	dialed := dial(t, conn, config("other mix"))
	served := <-conns
	require.NoError(t, conn.(*net.TCPConn).SetLinger(0))
	require.NoError(t, dialed.Close())
	_, _, err := served.ReadFrame(make([]byte, frameSize))
	note(err)
	note(writeUntilError(served))
	note(writeUntilError(dialed))

	// Deadlines pass.
	hasty := config("other mix")
	hasty.ReadTimeout, hasty.WriteTimeout = time.Millisecond, time.Second
	dialed = dial(t, n.dial(t, client), hasty)
	<-conns
	_, _, err = dialed.ReadFrame(make([]byte, frameSize))
	note(err)
	note(writeUntilError(dialed))

	// Handshakes fail on either side's account.
	_, err = link.Dial(t.Context(), n.dial(t, client), public("other mix"), config(""))
	note(err)
	old := dialerTLS()
	old.MaxVersion = tls.VersionTLS12
	require.Error(t, tls.Client(n.dial(t, client), old).HandshakeContext(t.Context()))
	other := loopback(t)
	accept(t, other)
	hasty.HandshakeTimeout = time.Millisecond
	_, err = link.Dial(t.Context(), other.dial(t, client), public("mix"), hasty)
	note(err)
	closed := n.dial(t, client)
	closed.Close()
	_, err = link.Dial(t.Context(), closed, public("mix"), config(""))
	note(err)

	// One says nothing, and too many come.
	n.dial(t, client)
	for range 2 { // beside those above
		dial(t, n.dial(t, client), config(""))
		<-conns
	}
	last := dial(t, n.dial(t, client), config(""))
	_, _, err = last.ReadFrame(make([]byte, frameSize))
	require.Error(t, err)
	stop()

	text := log.String()
	for _, want := range []string{"handshake failed", "connection refused", "too many connections from one address"} {
		require.Contains(t, text, want)
	}
	for _, err := range errs {
		text += "\n" + err.Error()
	}
	_, port, err := net.SplitHostPort(n.Addr().String())
	require.NoError(t, err)
	for _, secret := range []string{client, "127.0.0", ":" + port} {
		assert.NotContains(t, text, secret)
	}
	for _, name := range []string{"mix", "other mix"} {
		assert.NotContains(t, strings.ToLower(text), hex.EncodeToString(public(name)))
		assert.NotContains(t, text, base64.StdEncoding.EncodeToString(public(name)))
	}
}
