package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/client/exit"
	"sphinxmix.example/client/stream"
	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/sphinx"
)

// exits are those of a network, by their mix: every start of a mix makes another.
type exits struct {
	mu    sync.Mutex
	known map[int]*exit.TCP
}

// offer makes a mix an exit whose sites are "echo.mix", which sends all back, and "silent.mix", which only takes.
func (e *exits) offer(t testing.TB, i int, cfg *node.Config) {
	tcp, err := exit.NewTCP(exit.Config{
		Params: cfg.Network.Params,
		Sites: map[string]func(context.Context, net.Conn){
			"echo.mix": func(_ context.Context, conn net.Conn) {
				if _, err := io.Copy(conn, conn); err == nil {
					_ = conn.(interface{ CloseWrite() error }).CloseWrite()
				}
			},
			"silent.mix": func(_ context.Context, conn net.Conn) { _, _ = io.Copy(io.Discard, conn) },
		},
	})
	require.NoError(t, err)
	cfg.Handlers[stream.Service] = tcp
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.known == nil {
		e.known = make(map[int]*exit.TCP)
	}
	e.known[i] = tcp
}

// sessions adds up how many the exits have.
func (e *exits) sessions() (sum int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, tcp := range e.known {
		sum += tcp.Stats().Sessions
	}
	return sum
}

// exchange sends content to echo.mix and wants it back.
func exchange(ctx context.Context, c *client.Client, isolation string, content []byte) error {
	conn, err := c.Dial(ctx, isolation, "echo.mix:7")
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() {
		_, _ = conn.Write(content)
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	})
	got, err := io.ReadAll(conn)
	switch {
	case err != nil:
		return fmt.Errorf("after %d bytes: %w", len(got), err)
	case !bytes.Equal(got, content):
		return errors.New("the content is another")
	}
	return nil
}

// TestStreamsCarryContent, of any length, both ways.
func TestStreamsCarryContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var exits exits
		n := nodetest.Start(t, nodetest.Config{Node: func(i int, cfg *node.Config) { exits.offer(t, i, cfg) }})
		alice := n.Client("alice")
		for i, size := range []int{0, 1, 900, 30_000, 300_000} {
			require.NoError(t, exchange(soon(t), alice, "", text(i, size)), "%d bytes", size)
		}
		require.Equal(t, 1, exits.sessions(), "streams of one isolation share a session")
	})
}

// TestIsolationsShareNoSession at an exit, even where there is only one exit.
func TestIsolationsShareNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var exits exits
		n := nodetest.Start(t, nodetest.Config{Node: func(i int, cfg *node.Config) {
			if i == 0 {
				exits.offer(t, i, cfg)
			}
		}})
		alice := n.Client("alice")
		for range 2 {
			for _, isolation := range []string{"", "one", "two"} {
				require.NoError(t, exchange(soon(t), alice, isolation, text(1, 2000)))
			}
		}
		require.Equal(t, 3, exits.sessions())
		time.Sleep(2 * time.Minute)
		require.Zero(t, exits.sessions(), "sessions without streams end soon")
	})
}

// TestExitsAnswerIsTheDialersError as package net would say it.
func TestExitsAnswerIsTheDialersError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var exits exits
		n := nodetest.Start(t, nodetest.Config{Node: func(i int, cfg *node.Config) { exits.offer(t, i, cfg) }})
		alice := n.Client("alice")
		for _, address := range []string{"127.0.0.1:80", "[::1]:80", "10.1.2.3:80", "169.254.169.254:80", "localhost:80", "0x7f.1:80", "[::ffff:127.0.0.1]:80", "9.9.9.9:25"} {
			_, err := alice.Dial(soon(t), "", address)
			require.ErrorIs(t, err, syscall.EACCES, address)
		}
		for _, address := range []string{"", "host", "host:", "host:0", "host:65536", "host:http", ":80"} {
			_, err := alice.Dial(soon(t), "", address)
			require.Error(t, err, address)
		}
	})
}

// TestDialSaysThatThereIsNoExit at once.
func TestDialSaysThatThereIsNoExit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{})
		_, err := n.Client("alice").Dial(soon(t), "", "echo.mix:7")
		require.ErrorIs(t, err, client.ErrNoService)
	})
}

// TestDialTriesAnotherExit where one is listed and does not answer.
func TestDialTriesAnotherExit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var exits exits
		n := nodetest.Start(t, nodetest.Config{Node: func(i int, cfg *node.Config) {
			cfg.NoClients = i < 2 // or one may be a client's gateway, and not its exit
			switch i {
			case 0:
				exits.offer(t, i, cfg)
			case 1:
				cfg.Handlers[stream.Service] = nothing{}
			}
		}})
		for i := range 8 {
			require.NoError(t, exchange(soon(t), n.Client(fmt.Sprint("alice", i)), "", text(1, 2000)))
		}
	})
}

// nothing is a service that never answers.
type nothing struct{}

func (nothing) Handle(context.Context, []byte, func(sphinx.Address, []byte)) error { return nil }

// TestStreamsOutliveWhatFails: a middle mix that is gone, a gateway that is gone, mixes that are started anew with other
// keys, and many epochs. Only the exit must stay.
func TestStreamsOutliveWhatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var exits exits
		n := nodetest.Start(t, nodetest.Config{
			Mixes:   8,
			Network: directory.Network{Epoch: 2 * time.Minute},
			Node: func(i int, cfg *node.Config) {
				if i == 0 {
					exits.offer(t, i, cfg)
				}
				cfg.NoClients = i == 0 // or it would not be this client's exit
			},
		})
		alice := n.Client("alice")
		conn, err := alice.Dial(soon(t), "", "echo.mix:7")
		require.NoError(t, err)
		defer conn.Close()
		ping := func(why string) {
			t.Helper()
			sent, got := text(7, 5000), make([]byte, 5000)
			start := time.Now()
			_, err := conn.Write(sent)
			require.NoError(t, err, why)
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(3*time.Minute)))
			_, err = io.ReadFull(conn, got)
			require.NoError(t, err, why)
			require.Equal(t, sent, got)
			t.Logf("%s: %v", why, time.Since(start))
		}
		ping("at first")
		gateway := gatewayOf(t, n, alice)
		other := 1
		if other == gateway {
			other = 2
		}
		n.Stop(other)
		ping("without a mix")
		n.Start(other)
		ping("with a mix that has new keys")
		n.Cut("alice", n.Mixes[gateway].Address)
		ping("after the link was cut")
		n.Stop(gateway)
		ping("without the gateway")
		n.Start(gateway)
		for range 8 {
			time.Sleep(time.Minute)
			ping("a minute later")
		}
		time.Sleep(20 * time.Minute)
		ping("after twenty quiet minutes")
	})
}

// TestExitBecomesNoGateway while it has streams: they would end, since a gateway must not be the exit too.
func TestExitBecomesNoGateway(t *testing.T) {
	for range 6 {
		synctest.Test(t, func(t *testing.T) {
			var exits exits
			n := nodetest.Start(t, nodetest.Config{Mixes: 5, Node: func(i int, cfg *node.Config) { exits.offer(t, i, cfg) }})
			alice := n.Client("alice")
			conn, err := alice.Dial(soon(t), "", "echo.mix:7")
			require.NoError(t, err)
			defer conn.Close()
			n.Stop(gatewayOf(t, n, alice))
			_, err = conn.Write([]byte("x"))
			require.NoError(t, err)
			_, err = io.ReadFull(conn, make([]byte, 1))
			require.NoError(t, err)
		})
	}
}

// TestStreamsEndWithTheirExit, and say so.
func TestStreamsEndWithTheirExit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var exits exits
		n := nodetest.Start(t, nodetest.Config{Node: func(i int, cfg *node.Config) {
			if i == 0 {
				exits.offer(t, i, cfg)
			}
			cfg.NoClients = i == 0
		}})
		alice := n.Client("alice")
		conn, err := alice.Dial(soon(t), "", "echo.mix:7")
		require.NoError(t, err)
		n.Stop(0)
		_, err = conn.Write([]byte("hello"))
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ETIMEDOUT)

		n.Start(0)
		time.Sleep(time.Minute) // until alice has asked the directory, which knows the mix's new keys
		conn, err = alice.Dial(soon(t), "", "echo.mix:7")
		require.NoError(t, err)
		n.Stop(0)
		n.Start(0)
		_, _ = conn.Write([]byte("hello")) // which may be too late, where there was something else to send
		_, err = conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET, "an exit that was started anew knows no session")
		require.NoError(t, exchange(soon(t), alice, "", text(1, 2000)))
	})
}

// TestCloseEndsStreams: whoever waits in one gets an error at once, and Dial too.
func TestCloseEndsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var exits exits
		n := nodetest.Start(t, nodetest.Config{Node: func(i int, cfg *node.Config) { exits.offer(t, i, cfg) }})
		alice := n.Client("alice")
		conn, err := alice.Dial(soon(t), "", "silent.mix:7")
		require.NoError(t, err)
		errs := make(chan error, 2)
		go func() {
			_, err := conn.Read(make([]byte, 1))
			errs <- err
		}()
		go func() {
			_, err := alice.Dial(context.Background(), "other", "echo.mix:7")
			errs <- err
		}()
		synctest.Wait()
		alice.Close()
		require.ErrorIs(t, <-errs, client.ErrClosed)
		require.ErrorIs(t, <-errs, client.ErrClosed)
		require.Zero(t, alice.Expected())
	})
}

// TestSendIsOnePacket, which nobody answers.
func TestSendIsOnePacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan []byte, 10)
		n := nodetest.Start(t, nodetest.Config{Node: func(_ int, cfg *node.Config) { cfg.Handlers["box"] = box(got) }})
		alice := n.Client("alice")
		longest := 1024 - 19 - len("box") - 16
		require.NoError(t, alice.Send(soon(t), client.Message{To: "box", Body: text(1, longest)}))
		require.True(t, bytes.HasSuffix(<-got, text(1, longest)))
		require.ErrorIs(t, alice.Send(soon(t), client.Message{To: "box", Body: text(1, longest+1)}), client.ErrTooLong)
		require.ErrorIs(t, alice.Send(soon(t), client.Message{To: "nowhere"}), client.ErrNoService)
	})
}

// TestSendWaitsUntilItsPacketCanLeave: with a pace that is a moment from now, and a client that is closed before has sent
// nothing.
func TestSendWaitsUntilItsPacketCanLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan []byte, 10)
		n := nodetest.Start(t, nodetest.Config{
			Node:   func(_ int, cfg *node.Config) { cfg.Handlers["box"] = box(got) },
			Client: paced(client.Pace{Rate: 1, Constant: true}),
		})
		alice, bob := n.Client("alice"), n.Client("bob")
		var way []directory.NodeID
		start := time.Now()
		require.NoError(t, alice.Send(soon(t), client.Message{
			To: "box", Body: []byte("hello"), Routed: func(out, _ []directory.NodeID) { way = out },
		}))
		require.Positive(t, time.Since(start))
		require.Len(t, way, 3)
		<-got
		ended := make(chan error, 1)
		go func() { ended <- bob.Send(t.Context(), client.Message{To: "box", Body: []byte("hello")}) }()
		synctest.Wait()
		bob.Close()
		require.ErrorIs(t, <-ended, client.ErrClosed)
		require.Empty(t, got)
	})
}

// box is a service that keeps messages.
type box chan []byte

func (b box) Handle(_ context.Context, message []byte, _ func(sphinx.Address, []byte)) error {
	b <- bytes.Clone(message)
	return nil
}
