package exit_test

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/exit"
	"sphinxmix.example/client/stream"
)

// newHost serves each connection to a port of this machine, whose address it returns. What serve returns is given to what
// the test receives from.
func newHost(t *testing.T, serve func(conn *net.TCPConn) error) (address string, served <-chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	results := make(chan error, 10)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				results <- serve(conn.(*net.TCPConn))
			}()
		}
	}()
	return listener.Addr().String(), results
}

// TestRealConnections: what is an end to a host is one to the client, and a reset a reset, in both directions.
func TestRealConnections(t *testing.T) {
	n := newBareNetwork(t, weather{}, exit.Config{Policy: loopback})
	c := n.newClient(1)

	t.Run("half-close", func(t *testing.T) {
		address, served := newHost(t, func(conn *net.TCPConn) error {
			got, err := io.ReadAll(conn)
			if err != nil {
				return err
			}
			_, err = conn.Write(append(got, '!'))
			return err
		})
		sent := content(1, 300_000)
		conn := c.dial(address)
		_, err := conn.Write(sent)
		require.NoError(t, err)
		require.NoError(t, conn.CloseWrite())
		got, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.True(t, string(sent)+"!" == string(got))
		require.NoError(t, <-served)
	})
	t.Run("the host resets", func(t *testing.T) {
		proceed := make(chan struct{})
		address, _ := newHost(t, func(conn *net.TCPConn) error {
			_, _ = io.WriteString(conn, "hello")
			<-proceed
			return conn.SetLinger(0) // and it is closed
		})
		conn := c.dial(address)
		_, err := io.ReadFull(conn, make([]byte, 5))
		require.NoError(t, err)
		close(proceed)
		_, err = conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
	t.Run("the client resets", func(t *testing.T) {
		address, served := newHost(t, func(conn *net.TCPConn) error {
			_, err := io.Copy(io.Discard, conn)
			return err
		})
		conn := c.dial(address)
		_, err := io.WriteString(conn, "hello")
		require.NoError(t, err)
		conn.Reset(stream.Aborted)
		require.ErrorIs(t, <-served, syscall.ECONNRESET)
	})
	t.Run("the client vanishes", func(t *testing.T) {
		address, served := newHost(t, func(conn *net.TCPConn) error {
			_, err := io.Copy(io.Discard, conn)
			return err
		})
		gone := n.newClient(2)
		gone.dial(address)
		gone.session.Fail(errors.New("the user closes the program"))
		require.ErrorIs(t, <-served, syscall.ECONNRESET)
	})
	// writing is what a client does that does not listen to what the host says.
	writing := func(conn *stream.Conn) {
		for {
			if _, err := conn.Write(make([]byte, 1000)); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	t.Run("the host has enough", func(t *testing.T) {
		n.slow(50 * time.Millisecond)
		defer n.slow(0)
		address, served := newHost(t, func(conn *net.TCPConn) error {
			if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil {
				return err
			}
			_, err := conn.Write(content(2, 10_000)) // which the exit has at once, and the client later
			_ = conn.CloseWrite()
			_, _ = io.ReadFull(conn, make([]byte, 1000))
			return err // and it is closed, which resets it
		})
		conn := c.dial(address)
		go writing(conn)
		require.NoError(t, <-served)
		got, err := io.ReadAll(conn)
		require.NoError(t, err, "what it said before is not lost")
		require.True(t, string(content(2, 10_000)) == string(got))
		conn.Reset(stream.Aborted)
	})
	t.Run("the host resets while it is written to", func(t *testing.T) {
		for range 20 {
			address, _ := newHost(t, func(conn *net.TCPConn) error {
				_, err := conn.Write(content(2, 200_000))
				_ = conn.CloseWrite()
				_, _ = io.CopyN(io.Discard, conn, 1000)
				return err // and closed with the rest unsent
			})
			conn := c.dial(address)
			go writing(conn)
			got, err := io.ReadAll(conn)
			if err == nil {
				require.Len(t, got, 200_000, "a part must not look like the whole")
			} else {
				require.ErrorIs(t, err, syscall.ECONNRESET)
			}
			conn.Reset(stream.Aborted)
		}
	})
	t.Run("nobody listens", func(t *testing.T) {
		_, err := c.session.Dial(soon(t), refusing(t))
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
	t.Run("not allowed", func(t *testing.T) {
		_, err := c.session.Dial(soon(t), "10.0.0.1:80")
		require.ErrorIs(t, err, syscall.EACCES)
	})
}

// refusing returns an address where nobody listens, nor can while the test runs: that of the calling end of a
// connection.
func refusing(t *testing.T) string {
	t.Helper()
	conn, err := net.Dial("tcp", listen(t).String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String()
}
