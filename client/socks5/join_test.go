package socks5_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/socks5"
)

// overTCP serves a proxy whose destinations come out of the channel, and returns how programs connect.
func overTCP(t *testing.T) (program func() *net.TCPConn, destinations <-chan *net.TCPConn) {
	exit, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	accepted := make(chan *net.TCPConn, 1)
	ln, program := onLoopback(t)
	serve(t, &socks5.Server{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		far, err := new(net.Dialer).DialContext(ctx, "tcp", exit.Addr().String())
		if err != nil {
			return nil, err
		}
		there, err := exit.Accept()
		if err != nil {
			return nil, err
		}
		_ = there.SetDeadline(time.Now().Add(longEnough)) // a test that would hang fails instead
		accepted <- there.(*net.TCPConn)
		return far, nil
	}}, ln)
	t.Cleanup(func() { exit.Close() })
	return program, accepted
}

// joined is a program's connection through a proxy, and its other end.
func joined(t *testing.T) (program, destination *net.TCPConn) {
	connect, destinations := overTCP(t)
	program = connect()
	write(t, program, noLogin+toName("a", 80))
	expect(t, program, noLoginTaken+granted)
	destination = <-destinations
	t.Cleanup(func() { destination.Close() })
	return program, destination
}

// toEnd reads what comes until the end, which has to be a good one.
func toEnd(t *testing.T, conn net.Conn) string {
	t.Helper()
	b, err := io.ReadAll(conn)
	require.NoError(t, err)
	return string(b)
}

func TestEachDirectionEndsByItself(t *testing.T) {
	program, destination := joined(t)
	write(t, program, "question")
	require.NoError(t, program.CloseWrite())
	require.Equal(t, "question", toEnd(t, destination))
	write(t, destination, "answer")
	write(t, destination, ", and more")
	require.NoError(t, destination.CloseWrite())
	require.Equal(t, "answer, and more", toEnd(t, program))

	program, destination = joined(t)
	write(t, destination, "greeting")
	require.NoError(t, destination.CloseWrite())
	require.Equal(t, "greeting", toEnd(t, program))
	write(t, program, "thanks")
	require.NoError(t, program.CloseWrite())
	require.Equal(t, "thanks", toEnd(t, destination))
}

// TestContentIsEqualBothWays: many bytes, in pieces of all sizes, both ways at once.
func TestContentIsEqualBothWays(t *testing.T) {
	program, destination := joined(t)
	const size = 20 << 20
	send := func(conn *net.TCPConn, seed byte) [32]byte {
		random := rand.NewChaCha8([32]byte{seed})
		sizes := rand.New(rand.NewPCG(uint64(seed), 0))
		hash := sha256.New()
		for sent := 0; sent < size; {
			b := make([]byte, min(1+sizes.IntN(100_000), size-sent))
			_, _ = random.Read(b)
			hash.Write(b)
			if _, err := conn.Write(b); err != nil {
				t.Error(err)
				break
			}
			sent += len(b)
		}
		_ = conn.CloseWrite()
		return [32]byte(hash.Sum(nil))
	}
	receive := func(conn *net.TCPConn) [32]byte {
		hash := sha256.New()
		if _, err := io.Copy(hash, conn); err != nil {
			t.Error(err)
		}
		return [32]byte(hash.Sum(nil))
	}
	var up, down, upSeen [32]byte
	var running sync.WaitGroup
	running.Go(func() { up = send(program, 1) })
	running.Go(func() { down = send(destination, 2) })
	running.Go(func() { upSeen = receive(destination) })
	require.Equal(t, receive(program), func() [32]byte { running.Wait(); return down }())
	require.Equal(t, up, upSeen)
	require.NotEqual(t, up, down)
}

// TestResetsAreHandedOn: a connection that broke is not taken for one that ended.
func TestResetsAreHandedOn(t *testing.T) {
	program, destination := joined(t)
	write(t, destination, "the first half of")
	expect(t, program, "the first half of")
	require.NoError(t, destination.SetLinger(0))
	require.NoError(t, destination.Close())
	_, err := program.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)

	program, destination = joined(t)
	write(t, program, "the first half of")
	expect(t, destination, "the first half of")
	require.NoError(t, program.SetLinger(0))
	require.NoError(t, program.Close())
	_, err = destination.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

// TestAWriterLearnsThatNobodyReads: the program has closed both directions, and the destination goes on.
func TestAWriterLearnsThatNobodyReads(t *testing.T) {
	program, destination := joined(t)
	require.NoError(t, program.Close())
	require.Empty(t, toEnd(t, destination))
	var err error
	for err == nil {
		_, err = destination.Write(make([]byte, 10_000))
	}
	require.True(t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE), "%v", err)
}

func TestASlowReaderHoldsTheWriterBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := inMemory()
		far, destination := net.Pipe()
		serve(t, &socks5.Server{Dial: func(context.Context, string, string) (net.Conn, error) { return far, nil }}, ln)
		program := ln.program(t)
		write(t, program, noLogin)
		expect(t, program, noLoginTaken)
		write(t, program, toName("a", 80))
		expect(t, program, granted)
		sent := 0
		require.NoError(t, program.SetWriteDeadline(time.Now().Add(time.Hour)))
		for {
			n, err := program.Write(make([]byte, 1000))
			sent += n
			if err != nil {
				break
			}
		}
		require.LessOrEqual(t, sent, 16<<10, "more was taken than one buffer holds")
		_, err := io.ReadFull(destination, make([]byte, sent))
		require.NoError(t, err)
		destination.Close()
	})
}

func TestWhatIsSentEagerlyArrives(t *testing.T) {
	for name, request := range map[string]string{
		"SOCKS5":            noLogin + toName("a", 80),
		"SOCKS5 with login": login("a", "b") + toName("a", 80),
		"CONNECT":           toHTTP("a:80", "", ""),
		"CONNECT with LF":   "CONNECT a:80 HTTP/1.1\n\n",
	} {
		for _, size := range []int{1, 100, 16 << 10, 100_000} {
			connect, destinations := overTCP(t)
			program := connect()
			eager := strings.Repeat("eager data\r\n\r\n\x05\x01", size/16+1)[:size]
			var writing sync.WaitGroup
			writing.Go(func() { // no system need hold it all until the destination reads
				_, _ = program.Write([]byte(request + eager))
				_ = program.CloseWrite()
			})
			destination := <-destinations
			require.Equal(t, eager, toEnd(t, destination), name)
			writing.Wait()
			write(t, destination, "answer")
			require.NoError(t, destination.Close())
			require.True(t, strings.HasSuffix(toEnd(t, program), "answer"))
		}
	}
}

// halves are two pipes that make a connection of which each direction ends by itself.
type halves struct {
	net.Conn          // what is read
	out      net.Conn // what is written
}

func (h halves) Write(b []byte) (int, error)        { return h.out.Write(b) }
func (h halves) CloseWrite() error                  { return h.out.Close() }
func (h halves) SetWriteDeadline(t time.Time) error { return h.out.SetWriteDeadline(t) }

func (h halves) SetDeadline(t time.Time) error {
	return errors.Join(h.Conn.SetDeadline(t), h.out.SetDeadline(t))
}

func (h halves) Close() error {
	return errors.Join(h.Conn.Close(), h.out.Close())
}

func halfClosable() (here, there halves) {
	a, b := net.Pipe()
	c, d := net.Pipe()
	return halves{a, d}, halves{c, b}
}

// TestHalfAConnectionMayNotBeSilentForEver: what has closed is not to be told from what only listens.
func TestHalfAConnectionMayNotBeSilentForEver(t *testing.T) {
	for _, words := range []int{0, 10} {
		synctest.Test(t, func(t *testing.T) {
			ln := inMemory()
			far, destination := halfClosable()
			serve(t, &socks5.Server{Dial: func(context.Context, string, string) (net.Conn, error) { return far, nil }}, ln)
			program, there := halfClosable()
			ln.conns <- there
			write(t, program, toHTTP("a:80", "", ""))
			expect(t, program, connected)
			time.Sleep(24 * time.Hour)
			require.NoError(t, program.CloseWrite())
			require.Empty(t, toEnd(t, destination))
			for range words {
				time.Sleep(9 * time.Minute)
				write(t, destination, "still there")
				expect(t, program, "still there")
			}
			start := time.Now()
			require.Empty(t, toEnd(t, program))
			require.Equal(t, 10*time.Minute, time.Since(start))
		})
	}
}

// TestWithoutHalvesTheFirstEndIsTheEnd: a pipe cannot say that one direction has ended.
func TestWithoutHalvesTheFirstEndIsTheEnd(t *testing.T) {
	for name, pick := range map[string]func(program, destination net.Conn) (first, last net.Conn){
		"the program's":     func(program, destination net.Conn) (first, last net.Conn) { return program, destination },
		"the destination's": func(program, destination net.Conn) (first, last net.Conn) { return destination, program },
	} {
		synctest.Test(t, func(t *testing.T) {
			ln := inMemory()
			far, destination := net.Pipe()
			serve(t, &socks5.Server{Dial: func(context.Context, string, string) (net.Conn, error) { return far, nil }}, ln)
			program := ln.program(t)
			write(t, program, toHTTP("a:80", "", ""))
			expect(t, program, connected)
			first, last := pick(program, destination)
			start := time.Now()
			write(t, first, "all there is")
			go first.Close()
			require.Equal(t, "all there is", toEnd(t, last), name)
			require.Zero(t, time.Since(start), name)
		})
	}
}

// TestServeEndsWithItsContext: from every state that a connection can be in.
func TestServeEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := inMemory()
		far, destination := net.Pipe()
		deaf, ears := net.Pipe()
		give, ended := make(chan net.Conn, 2), make(chan error, 1)
		give <- far
		give <- deaf
		stop := serve(t, &socks5.Server{Dial: waiting(give, ended)}, ln)
		program := ln.program(t)
		write(t, program, toHTTP("a:80", "", ""))
		expect(t, program, connected)
		unheard := ln.program(t)
		write(t, unheard, toHTTP("a:80", "", ""))
		expect(t, unheard, connected)
		write(t, unheard, "which the destination does not read")
		dialling := ln.program(t)
		write(t, dialling, toHTTP("a:80", "", ""))
		silent := ln.program(t)
		write(t, silent, noLogin) // and does not take the answer
		synctest.Wait()
		start := time.Now()
		stop()
		require.Zero(t, time.Since(start))
		for _, conn := range []net.Conn{program, destination, unheard, ears, dialling, silent} {
			require.Empty(t, toEnd(t, conn))
		}
		require.ErrorIs(t, <-ended, context.Canceled)
		<-ln.closed
	})
}
