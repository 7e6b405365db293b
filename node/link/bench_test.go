package link_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/link"
)

// raceEnabled tells whether the race detector is on, under which sync.Pool, and
// so crypto/tls, allocates at random.
func raceEnabled() bool {
	info, _ := debug.ReadBuildInfo()
	for _, setting := range info.Settings {
		if setting.Key == "-race" {
			return setting.Value == "true"
		}
	}
	return false
}

// burst is how many frames the tests below send at a time: two TLS records of
// them, which a socket's buffers always hold.
const burst = 26

func sendBurst(t testing.TB, c *link.Conn, content []byte) {
	for range burst {
		if err := c.WriteFrame(1, 2, content); err != nil {
			require.NoError(t, err)
		}
	}
	if err := c.Flush(); err != nil {
		require.NoError(t, err)
	}
}

func receiveBurst(t testing.TB, c *link.Conn, buf []byte) {
	for range burst {
		if _, _, err := c.ReadFrame(buf); err != nil {
			require.NoError(t, err)
		}
	}
}

func TestWritingAllocatesNothing(t *testing.T) {
	if raceEnabled() {
		t.Skip("the race detector allocates")
	}
	n := loopback(t)
	cert := selfSigned(t, identity("mix"))
	far := make(chan net.Conn)
	go func() {
		conn, err := n.Accept()
		if assert.NoError(t, err) {
			assert.NoError(t, tls.Server(conn, serverTLS(cert)).HandshakeContext(t.Context()))
			far <- conn
		}
	}()
	dialed := dial(t, n.dial(t, "127.0.0.1"), config(""))
	drain := <-far
	defer drain.Close()

	content := body(1)
	wire := make([]byte, burst*(2+frameSize)+2*(5+1+16)) // RFC 8446 §5.2
	assert.Zero(t, testing.AllocsPerRun(200, func() {
		sendBurst(t, dialed, content)
		if _, err := io.ReadFull(drain, wire); err != nil {
			require.NoError(t, err)
		}
	}))
}

// What remains is crypto/tls's: 24 bytes each time that it goes to the socket,
// for the header of a record and, if it has not come along, for the rest.
func TestReadingAllocatesPerRecordAndNotPerFrame(t *testing.T) {
	if raceEnabled() {
		t.Skip("the race detector allocates")
	}
	dialed, served := pair(t, loopback(t), config(""), config("mix"))
	content, buf := body(1), make([]byte, frameSize)
	perBurst := testing.AllocsPerRun(200, func() {
		sendBurst(t, dialed, content)
		receiveBurst(t, served, buf)
	})
	assert.Equal(t, content, buf)
	t.Logf("%.0f allocations for %d frames in 2 records", perBurst, burst)
	assert.LessOrEqual(t, perBurst, 4.0)

	perFrame := testing.AllocsPerRun(200, func() {
		if err := dialed.WriteFrame(1, 2, content); err != nil {
			require.NoError(t, err)
		}
		if err := dialed.Flush(); err != nil {
			require.NoError(t, err)
		}
		if _, _, err := served.ReadFrame(buf); err != nil {
			require.NoError(t, err)
		}
	})
	t.Logf("%.0f allocations for a frame in a record of its own", perFrame)
	assert.LessOrEqual(t, perFrame, 2.0)
}

func BenchmarkFrames(b *testing.B) {
	for _, size := range []int{1248, 8192} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			near, far := config(""), config("mix")
			near.FrameSize, far.FrameSize = size, size
			dialed, served := pair(b, loopback(b), near, far)
			var reader sync.WaitGroup
			reader.Go(func() {
				buf := make([]byte, size)
				for {
					if _, _, err := served.ReadFrame(buf); err != nil {
						return
					}
				}
			})
			content := make([]byte, size)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if err := dialed.WriteFrame(1, 2, content); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			require.NoError(b, dialed.Close())
			reader.Wait()
		})
	}
}

func BenchmarkHandshake(b *testing.B) {
	n := loopback(b)
	serve(b, n, config("mix"), func(_ context.Context, c *link.Conn) {
		_, _, _ = c.ReadFrame(make([]byte, frameSize))
	})
	cfg := config("other mix")
	buf := make([]byte, frameSize)
	b.ReportAllocs()
	for b.Loop() {
		conn, err := net.Dial("tcp", n.Addr().String())
		require.NoError(b, err)
		c, err := link.Dial(b.Context(), conn, public("mix"), cfg)
		require.NoError(b, err)
		requireSend(b, c, 1, 2, buf)
		_, _, err = c.ReadFrame(buf) // until the server is done with it
		require.Error(b, err)
		c.Close()
	}
}
