package socks5_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/socks5"
)

// patience is the default of HandshakeTimeout.
const patience = 10 * time.Second

// handshakes are valid: what is sent, what is answered before Dial and after it, and the address for Dial.
var handshakes = []struct{ name, sent, asked, granted, address string }{
	{"IPv4", noLogin + "\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50", noLoginTaken, granted, "192.0.2.1:80"},
	{
		"IPv6 and a login", login("alice", "secret") + "\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\xbb",
		loginWanted + loginTaken, granted, "[2001:db8::1]:443",
	},
	{"a name", noLogin + toName("welcome.mix", 80), noLoginTaken, granted, "welcome.mix:80"},
	{"CONNECT", toHTTP("welcome.mix:80", "alice", "secret"), "", connected, "welcome.mix:80"},
}

// closed is a destination that has closed already.
func closed() net.Conn {
	here, there := net.Pipe()
	there.Close()
	return here
}

// checkAnswer fails unless b is empty or something that a program of some protocol understands.
func checkAnswer(t testing.TB, b []byte) {
	t.Helper()
	known := len(b) == 0 || b[0] == 5 || bytes.HasPrefix(b, []byte("HTTP/1.1 ")) ||
		bytes.Equal(b, []byte{0, 0x5b, 0, 0, 0, 0, 0, 0})
	if !known || len(b) > 1000 {
		t.Fatalf("answered %q", b)
	}
}

// checkAddress fails unless address is what Dial may be given.
func checkAddress(t testing.TB, address string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || len(host) > 255 || port == "0" {
		t.Fatalf("dialled %q", address)
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return
	}
	if strings.ContainsFunc(host, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(":/@[]%", c) }) {
		t.Fatalf("dialled %q", address)
	}
}

func TestHandshakesThatBreakOffAreClosedAtOnce(t *testing.T) {
	for _, h := range handshakes {
		synctest.Test(t, func(t *testing.T) {
			ln := inMemory()
			d := &dials{err: errNotDialled}
			stop := serve(t, &socks5.Server{Dial: d.dial}, ln)
			start := time.Now()
			for size := range len(h.sent) {
				conn := ln.program(t)
				go func() { _, _ = io.Copy(io.Discard, conn) }()
				write(t, conn, h.sent[:size])
				conn.Close()
			}
			synctest.Wait()
			stop()
			require.Zero(t, time.Since(start), h.name)
			require.Empty(t, d.taken(), h.name)
		})
	}
}

func TestHandshakesThatFallSilentEndAtTheirDeadline(t *testing.T) {
	for _, h := range handshakes {
		synctest.Test(t, func(t *testing.T) {
			ln := inMemory()
			d := &dials{err: errNotDialled}
			serve(t, &socks5.Server{Dial: d.dial}, ln)
			for size := range len(h.sent) {
				start := time.Now()
				got := say(t, ln.program(t), []byte(h.sent[:size]))
				require.Equal(t, patience, time.Since(start), "%s: after %d bytes", h.name, size)
				require.True(t, strings.HasPrefix(h.asked, string(got)), "%s: %q", h.name, got)
			}
			require.Empty(t, d.taken())
			start := time.Now()
			say(t, ln.program(t), []byte(h.sent))
			require.Zero(t, time.Since(start))
			require.Equal(t, h.address, d.taken()[0].address)
		})
	}
}

// TestATrickleDoesNotExtendTheDeadline: each byte comes in time, and all of them do not.
func TestATrickleDoesNotExtendTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := inMemory()
		d := &dials{err: errNotDialled}
		serve(t, &socks5.Server{Dial: d.dial, HandshakeTimeout: 7 * time.Second}, ln)
		conn := ln.program(t)
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		start := time.Now()
		var err error
		for i := 0; err == nil; i++ {
			_, err = conn.Write([]byte(toHTTP("a:80", "alice", strings.Repeat("x", 100)))[i : i+1])
			time.Sleep(time.Second / 10)
		}
		require.Equal(t, 7*time.Second, time.Since(start).Truncate(time.Second))
		require.Empty(t, d.taken())
	})
}

// TestAProgramThatDoesNotTakeItsAnswerIsClosed: a pipe holds nothing, so whoever writes waits for the reader.
func TestAProgramThatDoesNotTakeItsAnswerIsClosed(t *testing.T) {
	for _, h := range handshakes {
		synctest.Test(t, func(t *testing.T) {
			ln := inMemory()
			far, destination := net.Pipe()
			serve(t, &socks5.Server{Dial: func(context.Context, string, string) (net.Conn, error) { return far, nil }}, ln)
			conn := ln.program(t)
			start := time.Now()
			write(t, conn, h.sent)
			expect(t, conn, h.asked)
			_, err := destination.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, patience, time.Since(start))
		})
	}
}

// TestEveryChangedByteIsAnsweredOrClosed changes each byte of each handshake to each other value.
func TestEveryChangedByteIsAnsweredOrClosed(t *testing.T) {
	for _, h := range handshakes {
		synctest.Test(t, func(t *testing.T) {
			ln := inMemory()
			var dialled atomic.Int64
			serve(t, &socks5.Server{Dial: func(_ context.Context, _, address string) (net.Conn, error) {
				dialled.Add(1)
				checkAddress(t, address)
				return closed(), nil
			}}, ln)
			for i := range len(h.sent) {
				for delta := range 256 {
					if testing.Short() && delta%16 != 1 {
						continue
					}
					b := []byte(h.sent)
					b[i] += byte(delta)
					start := time.Now()
					checkAnswer(t, say(t, ln.program(t), b))
					require.LessOrEqual(t, time.Since(start), patience, "%s: byte %d", h.name, i)
				}
			}
			require.Greater(t, dialled.Load(), int64(10), "hardly anything was dialled: the test tests nothing")
		})
	}
}

func TestConnectionsAboveTheLimitAreClosedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := inMemory()
		var log bytes.Buffer
		s := &socks5.Server{Dial: new(dials).dial, MaxConns: 4, Log: slog.New(slog.NewTextHandler(&log, nil))}
		stop := serve(t, s, ln)
		var open []net.Conn
		for range 4 {
			open = append(open, ln.program(t))
		}
		start := time.Now()
		for range 10 {
			require.Empty(t, say(t, ln.program(t), []byte(noLogin)))
		}
		require.Zero(t, time.Since(start))
		open[0].Close()
		synctest.Wait()
		conn := ln.program(t)
		write(t, conn, noLogin)
		expect(t, conn, noLoginTaken)
		for _, conn := range append(open, conn) {
			conn.Close()
		}
		synctest.Wait()
		stop()
		require.Equal(t, 1, strings.Count(log.String(), "too many connections"), log.String())
		require.Equal(t, 1, strings.Count(log.String(), "room for programs' connections again"))
	})
}

// failing is a listener that fails to accept as its channel says.
type failing struct {
	*memory
	errs chan error
}

func (f *failing) Accept() (net.Conn, error) {
	select {
	case err := <-f.errs:
		return nil, err
	default:
		return f.memory.Accept()
	}
}

func TestAcceptingGoesOnAfterAFailureThatPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := &failing{inMemory(), make(chan error, 3)}
		fail := func() {
			ln.errs <- &net.OpError{Op: "accept", Net: "tcp", Addr: &net.TCPAddr{Port: 4321}, Err: os.NewSyscallError("accept4", syscall.EMFILE)}
		}
		for range 3 {
			fail()
		}
		var log bytes.Buffer
		stop := serve(t, &socks5.Server{Dial: new(dials).dial, Log: slog.New(slog.NewTextHandler(&log, nil))}, ln)
		for range 3 { // accepted and failed in turn
			conn := ln.program(t)
			write(t, conn, noLogin)
			expect(t, conn, noLoginTaken)
			fail()
		}
		stop()
		require.Equal(t, 1, strings.Count(log.String(), "cannot be accepted"), log.String())
		require.NotContains(t, log.String(), "4321")
	})
}

func TestServeReturnsWhatIsWrong(t *testing.T) {
	ln := inMemory()
	require.ErrorContains(t, new(socks5.Server).Serve(t.Context(), ln), "Dial")
	require.ErrorContains(t, (&socks5.Server{Dial: new(dials).dial, MaxConns: -1}).Serve(t.Context(), ln), "MaxConns")
	require.ErrorContains(t, (&socks5.Server{Dial: new(dials).dial, HandshakeTimeout: -1}).Serve(t.Context(), ln), "HandshakeTimeout")
	<-ln.closed

	broken := &failing{inMemory(), make(chan error, 1)}
	why := errors.New("the listener is broken")
	broken.errs <- why
	require.ErrorIs(t, (&socks5.Server{Dial: new(dials).dial}).Serve(t.Context(), broken), why)
	<-broken.closed
}

// TestLogsTellNothingOfPrograms runs everything that can go wrong with a log that keeps all.
func TestLogsTellNothingOfPrograms(t *testing.T) {
	var log bytes.Buffer
	options := &slog.HandlerOptions{Level: slog.Level(-100)}
	d := &dials{err: errors.New("secret.example failed")}
	ln, program := onLoopback(t)
	stop := serve(t, &socks5.Server{Dial: d.dial, Log: slog.New(slog.NewTextHandler(&log, options))}, ln)
	for _, sent := range []string{
		login("alice", "sesame") + toName("secret.example", 80),
		login("alice", "sesame") + toName("secret example", 80),
		toHTTP("secret.example:80", "alice", "sesame"),
		toHTTP("secret.example", "alice", "sesame"),
		"GET http://secret.example HTTP/1.1\r\nProxy-Authorization: Basic !\r\n\r\n",
	} {
		say(t, program(), []byte(sent))
	}
	stop()
	require.Empty(t, log.String())
}
