package exit_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/exit"
	"sphinxmix.example/client/stream"
)

func content(seed, length int) []byte {
	b := make([]byte, length)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return b
}

// exchange sends content through a stream to the echo host, and wants it back.
func (c *client) exchange(target string, sent []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	conn, err := c.session.Dial(ctx, target)
	if err != nil {
		return err
	}
	defer conn.Close()
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() {
		_, _ = conn.Write(sent)
		_ = conn.CloseWrite()
	})
	got, err := io.ReadAll(conn)
	switch {
	case err != nil:
		return fmt.Errorf("after %d of %d bytes: %w", len(got), len(sent), err)
	case !bytes.Equal(sent, got):
		return fmt.Errorf("sent %d bytes, got %d others", len(sent), len(got))
	}
	return nil
}

// dial opens a stream.
func (c *client) dial(target string) *stream.Conn {
	c.n.t.Helper()
	conn, err := c.session.Dial(soon(c.n.t), target)
	require.NoError(c.n.t, err)
	return conn
}

// TestStreams: whatever the network loses, doubles and reorders, hosts get exactly what clients send, and clients what
// hosts do, each to its end.
func TestStreams(t *testing.T) {
	for _, test := range []struct {
		name    string
		weather weather
	}{
		{"calm", weather{}},
		{"delayed", weather{mean: 100 * time.Millisecond}},
		{"5 % lost, some doubled", weather{mean: 100 * time.Millisecond, loss: .05, double: .1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t, test.weather, exit.Config{})
				const clients = 3
				sizes := []int{0, 1, 1500, 50_000, 300_000}
				if testing.Short() {
					sizes = sizes[:4]
				}
				total := 0
				errs := make(chan error)
				for id := range clients {
					c := n.newClient(uint64(id))
					for i, size := range sizes {
						total += size
						target := []string{echoHost.String(), "host.example:7", "HOST.example.:7"}[i%3]
						go func() { errs <- c.exchange(target, content(10*id+i, size)) }()
					}
				}
				for range clients * len(sizes) {
					require.NoError(t, <-errs)
				}
				synctest.Wait()
				stats := n.tcp.Stats()
				require.Equal(t, clients, stats.Sessions)
				require.Zero(t, stats.Streams, "all have ended")
				require.EqualValues(t, clients*len(sizes), stats.Opened)
				require.EqualValues(t, total, stats.FromClients)
				require.EqualValues(t, total, stats.ToClients)
				for reason, count := range stats.Refused {
					require.Zero(t, count, reason)
				}
			})
		})
	}
}

// TestHalfClose: a host may answer long after the client has ended its direction, and the other way round.
func TestHalfClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, weather{mean: 50 * time.Millisecond}, exit.Config{})
		var told atomic.Bool
		n.hosts[closedHost] = func(conn net.Conn) { // ends its direction first
			_, _ = io.WriteString(conn, "go on")
			_ = conn.(*connection).CloseWrite()
			got, err := io.ReadAll(conn)
			told.Store(err == nil && bytes.Equal(got, content(1, 50_000)))
			_ = conn.Close()
		}
		c := n.newClient(1)

		conn := c.dial(discardHost.String())
		_, err := conn.Write(content(1, 50_000))
		require.NoError(t, err)
		time.Sleep(10 * time.Minute)
		require.NoError(t, conn.CloseWrite())
		got, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Equal(t, "read", string(got))
		require.NoError(t, conn.Close())

		conn = c.dial(closedHost.String())
		got, err = io.ReadAll(conn)
		require.NoError(t, err)
		require.Equal(t, "go on", string(got))
		time.Sleep(10 * time.Minute)
		_, err = conn.Write(content(1, 50_000))
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		time.Sleep(time.Minute)
		require.True(t, told.Load(), "the host got all, to its end")
		require.Zero(t, n.tcp.Stats().Streams)
	})
}

// TestRefusals: a client learns why a stream was not connected, and not earlier than it is.
func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, weather{}, exit.Config{DialTimeout: 10 * time.Second})
		c := n.newClient(1)
		for _, test := range []struct {
			target string
			want   error
			reason string
			took   time.Duration
		}{
			{"127.0.0.1:80", syscall.EACCES, "policy", 0},
			{"[::1]:80", syscall.EACCES, "policy", 0},
			{"localhost:80", syscall.EACCES, "policy", 0},
			{"0x7f.1:80", syscall.EACCES, "policy", 0},
			{"169.254.169.254:80", syscall.EACCES, "policy", 0},
			{"private.example:80", syscall.EACCES, "policy", 0},
			{"host.example:25", syscall.EACCES, "policy", 0},
			{"no target", syscall.EACCES, "policy", 0},
			{"\x00", syscall.EACCES, "policy", 0},
			{"none.example:80", syscall.EHOSTUNREACH, "name", 0},
			{goneHost.String(), syscall.EHOSTUNREACH, "host", 0},
			{farHost.String(), syscall.ENETUNREACH, "network", 0},
			{closedHost.String(), syscall.ECONNREFUSED, "refused", 0},
			{silentHost.String(), syscall.ETIMEDOUT, "timeout", 10 * time.Second},
		} {
			before, began := n.tcp.Stats().Refused[test.reason], time.Now()
			_, err := c.session.Dial(soon(t), test.target)
			require.ErrorIs(t, err, test.want, "%q", test.target)
			require.GreaterOrEqual(t, time.Since(began), test.took)
			require.Less(t, time.Since(began), test.took+time.Second)
			require.Equal(t, before+1, n.tcp.Stats().Refused[test.reason], "%q", test.target)
		}
		synctest.Wait()
		require.Zero(t, n.tcp.Stats().Opened)
		require.Zero(t, n.tcp.Stats().Streams)
	})
}

// TestSites: names that the exit serves itself get there however they are written, and no policy or name server is asked.
func TestSites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, weather{mean: 20 * time.Millisecond}, exit.Config{
			Policy: exit.Policy{Ports: []exit.PortRange{{First: 443, Last: 443}}},
			Sites: map[string]func(context.Context, net.Conn){
				"Welcome.mix": func(_ context.Context, conn net.Conn) {
					_, _ = fmt.Fprintf(conn, "welcome to %v: ", conn.RemoteAddr())
					_, _ = io.Copy(conn, conn)
					_ = conn.(interface{ CloseWrite() error }).CloseWrite()
				},
			},
		})
		c := n.newClient(1)
		for _, target := range []string{"welcome.mix:80", "WELCOME.MIX:80", "welcome.mix.:8080"} {
			conn := c.dial(target)
			_, err := conn.Write([]byte("hello"))
			require.NoError(t, err)
			require.NoError(t, conn.CloseWrite())
			got, err := io.ReadAll(conn)
			require.NoError(t, err)
			require.Equal(t, "welcome to "+target+": hello", string(got))
		}
		_, err := c.session.Dial(soon(t), "other.welcome.mix:80")
		require.ErrorIs(t, err, syscall.EHOSTUNREACH)
		synctest.Wait()
		stats := n.tcp.Stats()
		require.EqualValues(t, 3, stats.Opened)
		require.EqualValues(t, 15, stats.FromClients)
		require.Zero(t, stats.Streams)
	})
}

// TestASiteEndsWithItsSession, although it waits for a client that has gone.
func TestASiteEndsWithItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var why error
		n := newNetwork(t, weather{}, exit.Config{
			Sites: map[string]func(context.Context, net.Conn){
				"waiting.mix": func(ctx context.Context, conn net.Conn) {
					_, why = conn.Read(make([]byte, 1))
					<-ctx.Done()
				},
			},
		})
		c := n.newClient(1)
		c.dial("waiting.mix:80")
		c.vanish()
		time.Sleep(time.Minute)
		require.Equal(t, 1, n.tcp.Stats().Streams)
		time.Sleep(5 * time.Minute)
		require.Zero(t, n.tcp.Stats().Streams)
		require.Error(t, why)
	})
}

func TestNewTCPRefusesSettings(t *testing.T) {
	site := func(context.Context, net.Conn) {}
	type sites = map[string]func(context.Context, net.Conn)
	for text, cfg := range map[string]exit.Config{
		"Config.MaxSessions":          {MaxSessions: -1},
		"Config.MaxStreams":           {MaxStreams: -1},
		"Config.MaxStreamsPerSession": {MaxStreamsPerSession: -1},
		"Config.Memory":               {Memory: -1},
		"Config.DialTimeout":          {DialTimeout: -1},
		"Config.IdleTimeout":          {IdleTimeout: -1},
		"Config.Resolver":             {Resolver: "localhost"},
		"Policy.Ports":                {Policy: exit.Policy{Ports: []exit.PortRange{{}}}},
		`"127.0.0.1"`:                 {Sites: sites{"127.0.0.1": site}},
		`"wel come"`:                  {Sites: sites{"wel come": site}},
		`"nil.mix"`:                   {Sites: sites{"nil.mix": nil}},
	} {
		cfg.Params = streaming
		_, err := exit.NewTCP(cfg)
		require.ErrorContains(t, err, text)
	}
	_, err := exit.NewTCP(exit.Config{})
	require.Error(t, err)
	small := streaming
	small.PayloadSize = 256
	_, err = exit.NewTCP(exit.Config{Params: small})
	require.ErrorContains(t, err, "256 bytes")
}
