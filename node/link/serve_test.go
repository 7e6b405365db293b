package link_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/link"
)

// requireClosed asserts that the server closes conn at once; time is virtual.
func requireClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	start := time.Now()
	_, err := conn.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err)
	require.Zero(t, time.Since(start))
}

func TestSilentClientBlocksNobodyAndIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory()
		conns := accepted(t, n, config("mix"))
		start := time.Now()
		silent := n.dial(t, "127.0.0.2")

		dialed := dial(t, n.dial(t, "127.0.0.3"), config(""))
		exchange(t, dialed, <-conns, 20)
		require.Zero(t, time.Since(start), "the honest client waited")

		_, err := silent.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
		assert.Equal(t, 10*time.Second, time.Since(start), "the default")
	})
}

func TestTrickleOfAHandshakeIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory()
		cfg := config("mix")
		cfg.HandshakeTimeout = 7 * time.Second
		accepted(t, n, cfg)
		start := time.Now()
		conn := n.dial(t, "127.0.0.2")
		// The header of a record that will take a long time to come.
		_, err := conn.Write([]byte{22, 3, 1, 1, 0})
		for err == nil {
			time.Sleep(time.Second / 2)
			_, err = conn.Write([]byte{1})
		}
		assert.Equal(t, cfg.HandshakeTimeout, time.Since(start).Truncate(time.Second))
	})
}

func TestServeEndsWithItsContext(t *testing.T) {
	overBoth(t, func(t *testing.T, n network) {
		release := make(chan struct{})
		handling := make(chan *link.Conn, 1)
		var handlerErr error
		ctx, cancel := context.WithCancel(t.Context())
		returned := make(chan error, 1)
		go func() {
			returned <- link.Serve(ctx, n, config("mix"), func(ctx context.Context, c *link.Conn) {
				handling <- c
				_, _, handlerErr = c.ReadFrame(make([]byte, frameSize))
				<-ctx.Done()
				<-release
			})
		}()
		dialed := dial(t, n.dial(t, "127.0.0.1"), config(""))
		<-handling
		silent := n.dial(t, "127.0.0.2")

		cancel()
		_, _, err := dialed.ReadFrame(make([]byte, frameSize))
		require.Error(t, err)
		_, err = silent.Read(make([]byte, 1))
		require.Error(t, err)
		n.settle()
		require.Empty(t, returned, "a handler is still at work")

		close(release)
		require.NoError(t, <-returned)
		require.ErrorIs(t, handlerErr, net.ErrClosed)
		_, err = n.Accept()
		require.ErrorIs(t, err, net.ErrClosed, "the listener is closed")
	})
}

func TestServeClosesTheConnWhenItsHandlerReturns(t *testing.T) {
	overBoth(t, func(t *testing.T, n network) {
		handled := make(chan *link.Conn, 1)
		serve(t, n, config("mix"), func(_ context.Context, c *link.Conn) { handled <- c })
		dialed := dial(t, n.dial(t, "127.0.0.1"), config(""))
		_, _, err := dialed.ReadFrame(make([]byte, frameSize))
		require.Equal(t, io.EOF, err)
		served := <-handled
		assert.NoError(t, served.WriteFrame(1, 1, body(1)))
		assert.ErrorIs(t, served.Flush(), net.ErrClosed)
	})
}

// A script is a listener that fails as told before it accepts anything.
type script struct {
	net.Listener
	errs []error
	at   []time.Time // of each call to Accept
}

func (s *script) Accept() (net.Conn, error) {
	s.at = append(s.at, time.Now())
	if len(s.errs) == 0 {
		return s.Listener.Accept()
	}
	err := s.errs[0]
	s.errs = s.errs[1:]
	return nil, err
}

func TestServeOutlastsATemporaryFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory()
		outOfFiles := &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
		flaky := &script{Listener: n}
		for range 10 {
			flaky.errs = append(flaky.errs, outOfFiles)
		}
		conns := make(chan *link.Conn, 1)
		var log journal
		cfg := config("mix")
		cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		stop := serve(t, flaky, cfg, func(ctx context.Context, c *link.Conn) {
			conns <- c
			<-ctx.Done()
		})
		exchange(t, dial(t, n.dial(t, "127.0.0.1"), config("")), <-conns, 3)
		stop()

		var waits []time.Duration
		for i := range 10 {
			waits = append(waits, flaky.at[i+1].Sub(flaky.at[i])/time.Millisecond)
		}
		assert.Equal(t, []time.Duration{5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000}, waits)
		assert.Equal(t, 1, strings.Count(log.String(), "cannot be accepted"), log.String())
	})
}

func TestServeEndsWhileItWaitsToAcceptAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flaky := &script{Listener: memory(), errs: []error{syscall.EMFILE, syscall.EMFILE}}
		start := time.Now()
		stop := serve(t, flaky, config("mix"), func(context.Context, *link.Conn) {})
		synctest.Wait()
		stop()
		assert.Zero(t, time.Since(start))
	})
}

func TestServeReportsABrokenListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory()
		broken := errors.New("broken")
		accepting := make(chan struct{})
		ln := &breakable{Listener: n, broken: accepting, err: broken}
		returned := make(chan error, 1)
		var handlerErr error
		go func() {
			returned <- link.Serve(t.Context(), ln, config("mix"), func(ctx context.Context, c *link.Conn) {
				_, _, handlerErr = c.ReadFrame(make([]byte, frameSize))
				<-ctx.Done()
			})
		}()
		dial(t, n.dial(t, "127.0.0.1"), config(""))
		synctest.Wait()
		close(accepting)
		n.dial(t, "127.0.0.1")
		require.ErrorIs(t, <-returned, broken)
		require.ErrorIs(t, handlerErr, net.ErrClosed, "the links are closed")
	})
}

// A breakable listener fails once broken is closed.
type breakable struct {
	net.Listener
	broken chan struct{}
	err    error
}

func (b *breakable) Accept() (net.Conn, error) {
	conn, err := b.Listener.Accept()
	select {
	case <-b.broken:
		if conn != nil {
			conn.Close()
		}
		return nil, b.err
	default:
		return conn, err
	}
}

func TestServeRefusesABadConfigAndClosesTheListener(t *testing.T) {
	for name, broken := range map[string]func(*link.Config){
		"no key":                     func(c *link.Config) { c.Key = nil },
		"no frame size":              func(c *link.Config) { c.FrameSize = 0 },
		"negative write timeout":     func(c *link.Config) { c.WriteTimeout = -1 },
		"negative limit":             func(c *link.Config) { c.MaxHandshakes = -1 },
		"negative limit per address": func(c *link.Config) { c.MaxConnsPerAddress = -1 },
	} {
		cfg := config("mix")
		broken(&cfg)
		n := memory()
		require.Error(t, link.Serve(t.Context(), n, cfg, nil), name)
		_, err := n.Accept()
		require.ErrorIs(t, err, net.ErrClosed, name)
	}
}

func TestHostTellsPeersApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := &pipes{waiting: make(chan net.Conn), closed: make(chan struct{})}
		conns := accepted(t, ln, config("mix"))
		for _, test := range []struct{ remote, want string }{
			{"192.0.2.7:4433", "192.0.2.7"},
			{"[::ffff:192.0.2.7]:4433", "192.0.2.7"},
			{"[2001:db8:1:2:3:4:5:6]:4433", "2001:db8:1:2::/64"},
			{"[2001:db8:1:2:ffff::]:1", "2001:db8:1:2::/64"},
			{"[2001:db8:1:3::]:1", "2001:db8:1:3::/64"},
			{"[fe80::1%eth0]:1", "fe80::/64"},
			{"pipe", "pipe"},
			{"client 7:1", "client 7:1"},
			{"", ""},
		} {
			dial(t, ln.dial(t, test.remote), config(""))
			assert.Equal(t, test.want, (<-conns).Host(), test.remote)
		}
	})
}
