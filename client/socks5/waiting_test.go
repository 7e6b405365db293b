package socks5_test

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/socks5"
)

// waiting is a Dial that takes as long as it is left to, or until there is something on give.
func waiting(give <-chan net.Conn, ended chan<- error) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		select {
		case conn := <-give:
			return conn, nil
		case <-ctx.Done():
			ended <- ctx.Err()
			return nil, ctx.Err()
		}
	}
}

func TestWhatIsSentWhileDialIsUnderWayArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := inMemory()
		give := make(chan net.Conn)
		serve(t, &socks5.Server{Dial: waiting(give, nil)}, ln)
		program := ln.program(t)
		write(t, program, toHTTP("a:80", "", ""))
		time.Sleep(time.Hour) // as long as it takes: the deadline of the handshake is over
		write(t, program, "more ")
		time.Sleep(time.Hour)
		write(t, program, "and more")
		synctest.Wait()
		far, destination := net.Pipe()
		give <- far
		expect(t, program, connected)
		expect(t, destination, "more and more")
		write(t, destination, "answer")
		expect(t, program, "answer")
		time.Sleep(24 * time.Hour) // nothing ends a connection that is only silent
		write(t, program, "next")
		expect(t, destination, "next")
	})
}

func TestDialEndsWhenItsProgramGoes(t *testing.T) {
	for _, h := range handshakes {
		synctest.Test(t, func(t *testing.T) {
			ln := inMemory()
			ended := make(chan error, 1)
			serve(t, &socks5.Server{Dial: waiting(nil, ended)}, ln)
			program := ln.program(t)
			write(t, program, h.sent)
			expect(t, program, h.asked)
			time.Sleep(time.Hour)
			start := time.Now()
			program.Close()
			require.ErrorIs(t, <-ended, context.Canceled)
			require.Zero(t, time.Since(start))
		})
	}
	// Over TCP: by closing, and by a reset, also after more has been sent than was asked for.
	for _, c := range []struct {
		name, eager string
		leave       func(*net.TCPConn)
	}{
		{"closed", "", func(c *net.TCPConn) { c.Close() }},
		{"reset", "", func(c *net.TCPConn) { _ = c.SetLinger(0); c.Close() }},
		{"reset, with something said", "eager", func(c *net.TCPConn) { _ = c.SetLinger(0); c.Close() }},
	} {
		begun, ended := make(chan struct{}), make(chan error, 1)
		ln, connect := onLoopback(t)
		serve(t, &socks5.Server{Dial: func(ctx context.Context, isolation, address string) (net.Conn, error) {
			close(begun)
			return waiting(nil, ended)(ctx, isolation, address)
		}}, ln)
		program := connect()
		write(t, program, noLogin)
		expect(t, program, noLoginTaken)
		write(t, program, toName("a", 80)+c.eager)
		<-begun // a reset may take with it what was sent before
		c.leave(program)
		require.ErrorIs(t, <-ended, context.Canceled, c.name)
	}
}

// TestAConnectionThatCameTooLateIsClosed: Dial may return one although its context has ended.
func TestAConnectionThatCameTooLateIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := inMemory()
		far, destination := net.Pipe()
		serve(t, &socks5.Server{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return far, nil
		}}, ln)
		program := ln.program(t)
		write(t, program, toHTTP("a:80", "", ""))
		program.Close()
		_, err := destination.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
	})
}

// TestSuccessIsToldAfterDial: nothing may look like a connection before there is one.
func TestSuccessIsToldAfterDial(t *testing.T) {
	for _, h := range handshakes {
		synctest.Test(t, func(t *testing.T) {
			ln := inMemory()
			give := make(chan net.Conn)
			serve(t, &socks5.Server{Dial: waiting(give, make(chan error, 1))}, ln)
			program := ln.program(t)
			write(t, program, h.sent)
			expect(t, program, h.asked)
			require.NoError(t, program.SetReadDeadline(time.Now().Add(time.Hour)))
			n, err := program.Read(make([]byte, 1))
			require.Zero(t, n)
			require.Error(t, err)
			require.NoError(t, program.SetReadDeadline(time.Time{}))
			give <- closed()
			require.Equal(t, h.granted, toEnd(t, program))
		})
	}
}
