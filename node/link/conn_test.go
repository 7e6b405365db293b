package link_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/link"
)

// exchange sends frames both ways at once, with padding in between, and compares
// what arrives: content, arguments, kinds and order.
func exchange(t *testing.T, a, b *link.Conn, frames int) {
	var done sync.WaitGroup
	send := func(c *link.Conn, first int) {
		for i := range frames {
			n := first + i
			assert.NoError(t, c.WriteFrame(link.Kind(1+n%255), byte(n), body(n)))
			if n%3 == 0 {
				assert.NoError(t, c.WriteFrame(link.Padding, byte(n), body(-n)))
			}
			if n%7 == 0 {
				assert.NoError(t, c.Flush())
			}
		}
		assert.NoError(t, c.Flush())
	}
	receive := func(c *link.Conn, first int) {
		got := make([]byte, frameSize)
		for i := range frames {
			n := first + i
			kind, arg, err := c.ReadFrame(got)
			if !assert.NoError(t, err) || !assert.Equal(t, body(n), got, "frame %d", n) {
				a.Close()
				b.Close()
				return
			}
			assert.Equal(t, link.Kind(1+n%255), kind)
			assert.Equal(t, byte(n), arg)
		}
	}
	done.Go(func() { send(a, 0) })
	done.Go(func() { send(b, 1000) })
	done.Go(func() { receive(a, 1000) })
	done.Go(func() { receive(b, 0) })
	done.Wait()
}

func TestFramesBothWays(t *testing.T) {
	overBoth(t, func(t *testing.T, n network) {
		dialed, served := pair(t, n, config("other mix"), config("mix"))
		exchange(t, dialed, served, 300)
	})
}

func TestReadEndsWithTheLink(t *testing.T) {
	for _, test := range []struct {
		name string
		sent []byte
		want error
	}{
		{"between frames", []byte{}, io.EOF},
		{"in a header", []byte{5}, io.ErrUnexpectedEOF},
		{"after a header", []byte{5, 6}, io.ErrUnexpectedEOF},
		{"in a body", append([]byte{5, 6}, body(2)[1:]...), io.ErrUnexpectedEOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, n network) {
				conns := accepted(t, n, config("mix"))
				raw := tls.Client(n.dial(t, "127.0.0.1"), dialerTLS())
				require.NoError(t, raw.HandshakeContext(t.Context()))
				c := <-conns
				go func() {
					_, err := raw.Write(append(append([]byte{3, 4}, body(1)...), test.sent...))
					assert.NoError(t, err)
					// Not raw.Close, so that there is no close_notify either.
					assert.NoError(t, raw.NetConn().Close())
				}()
				requireFrame(t, c, 3, 4, body(1))
				for range 2 {
					_, _, err := c.ReadFrame(make([]byte, frameSize))
					require.Equal(t, test.want, err)
				}
			})
		})
	}
}

func TestFramesOutliveTheirSender(t *testing.T) {
	overBoth(t, func(t *testing.T, n network) {
		dialed, served := pair(t, n, config(""), config("mix"))
		go func() {
			for i := range 5 {
				assert.NoError(t, dialed.WriteFrame(1, 2, body(i)))
			}
			assert.NoError(t, dialed.Flush())
			assert.NoError(t, dialed.Close())
		}()
		for i := range 5 {
			requireFrame(t, served, 1, 2, body(i))
			n.settle()
		}
		_, _, err := served.ReadFrame(make([]byte, frameSize))
		require.Equal(t, io.EOF, err)
	})
}

func TestSilenceEndsAtTheReadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config("mix")
		cfg.ReadTimeout = time.Minute
		dialed, served := pair(t, memory(), config(""), cfg)

		// Padding is a sign of life, though ReadFrame never returns for it.
		go func() {
			for range 5 {
				time.Sleep(59 * time.Second)
				assert.NoError(t, dialed.WriteFrame(link.Padding, 0, body(0)))
				assert.NoError(t, dialed.Flush())
			}
		}()
		start := time.Now()
		_, _, err := served.ReadFrame(make([]byte, frameSize))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.Equal(t, 5*59*time.Second+time.Minute, time.Since(start))
	})
}

func TestTrickleEndsAtTheReadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory()
		cfg := config("mix")
		cfg.ReadTimeout = time.Minute
		conns := accepted(t, n, cfg)
		raw := tls.Client(n.dial(t, "127.0.0.1"), dialerTLS())
		require.NoError(t, raw.HandshakeContext(t.Context()))
		served := <-conns

		var trickle sync.WaitGroup
		trickle.Go(func() {
			for {
				if _, err := raw.Write([]byte{1}); err != nil {
					return
				}
				time.Sleep(10 * time.Second)
			}
		})
		start := time.Now()
		_, _, err := served.ReadFrame(make([]byte, frameSize))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.Equal(t, time.Minute, time.Since(start))
		served.Close()
		trickle.Wait()
	})
}

func TestWriteToOneWhoDoesNotReadEndsAtTheWriteTimeout(t *testing.T) {
	overBoth(t, func(t *testing.T, n network) {
		cfg := config("")
		cfg.WriteTimeout = time.Second // which holds for each write of the handshake, too
		dialed, _ := pair(t, n, cfg, config("mix"))
		err := writeUntilError(dialed)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.ErrorIs(t, dialed.Flush(), os.ErrDeadlineExceeded)
		require.ErrorIs(t, dialed.WriteFrame(1, 1, body(1)), os.ErrDeadlineExceeded)
	})
	synctest.Test(t, func(t *testing.T) {
		dialed, _ := pair(t, memory(), config(""), config("mix"))
		start := time.Now()
		require.ErrorIs(t, writeUntilError(dialed), os.ErrDeadlineExceeded)
		assert.Equal(t, 30*time.Second, time.Since(start), "the default")
	})
}

func writeUntilError(c *link.Conn) error {
	content := body(1)
	for {
		if err := c.WriteFrame(1, 1, content); err != nil {
			return err
		}
	}
}

func TestIdleWriterIsNotTimedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config("")
		cfg.WriteTimeout = time.Second
		dialed, served := pair(t, memory(), cfg, config("mix"))
		for n := range 3 {
			time.Sleep(time.Minute)
			go requireSend(t, dialed, 1, 2, body(n))
			requireFrame(t, served, 1, 2, body(n))
		}
	})
}

func TestCloseUnblocks(t *testing.T) {
	ends := map[string]func(dialed, served *link.Conn) *link.Conn{
		"dialer": func(dialed, _ *link.Conn) *link.Conn { return dialed },
		"server": func(_, served *link.Conn) *link.Conn { return served },
	}
	for name, end := range ends {
		t.Run("end="+name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, n network) {
				c := end(pair(t, n, config(""), config("mix")))
				var calls sync.WaitGroup
				var readErr, writeErr error
				calls.Go(func() { _, _, readErr = c.ReadFrame(make([]byte, frameSize)) })
				calls.Go(func() { writeErr = writeUntilError(c) }) // the peer does not read
				n.settle()

				require.NoError(t, c.Close())
				calls.Wait()
				assert.ErrorIs(t, readErr, net.ErrClosed)
				assert.ErrorIs(t, writeErr, net.ErrClosed)

				require.NoError(t, c.Close(), "closing again")
				assert.ErrorIs(t, c.WriteFrame(1, 1, body(1)), net.ErrClosed)
				_, _, err := c.ReadFrame(make([]byte, frameSize))
				assert.ErrorIs(t, err, net.ErrClosed)
			})
		})
	}
}

// A tap keeps what is written through it.
type tap struct {
	net.Conn
	mu      sync.Mutex
	written bytes.Buffer
}

func (t *tap) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.written.Write(p)
	return t.Conn.Write(p)
}

func TestEveryRecordHoldsWholeFrames(t *testing.T) {
	overBoth(t, func(t *testing.T, n network) {
		conns := accepted(t, n, config("mix"))
		wire := &tap{Conn: n.dial(t, "127.0.0.1")}
		dialed := dial(t, wire, config(""))
		served := <-conns
		wire.written.Reset()

		var sent sync.WaitGroup
		sent.Go(func() {
			for i := range 40 {
				assert.NoError(t, dialed.WriteFrame(1, 0, body(i)))
				if i == 30 {
					assert.NoError(t, dialed.Flush())
				}
			}
			assert.NoError(t, dialed.Flush())
		})
		for i := range 40 {
			requireFrame(t, served, 1, 0, body(i))
		}
		sent.Wait()

		const frame = 2 + frameSize
		var frames []int
		for rest := wire.written.Bytes(); len(rest) > 0; {
			length := int(binary.BigEndian.Uint16(rest[3:]))
			plain := length - 1 - 16 // content type and AEAD tag, RFC 8446 §5.2
			require.Zero(t, plain%frame, "a record of %d bytes", plain)
			frames = append(frames, plain/frame)
			rest = rest[5+length:]
		}
		assert.Equal(t, []int{13, 13, 5, 9}, frames)
	})
}

func TestWrongLengthIsTheCallersError(t *testing.T) {
	overBoth(t, func(t *testing.T, n network) {
		dialed, served := pair(t, n, config(""), config("mix"))
		for _, wrong := range [][]byte{nil, make([]byte, frameSize-1), make([]byte, frameSize+1)} {
			require.Error(t, dialed.WriteFrame(1, 1, wrong))
			_, _, err := served.ReadFrame(wrong)
			require.Error(t, err)
		}
		exchange(t, dialed, served, 20)
	})
}

func TestDialGivesUpOnASilentServer(t *testing.T) {
	overBoth(t, func(t *testing.T, n network) {
		for _, test := range []struct {
			name    string
			context time.Duration // 0: none of its own
			timeout time.Duration
			want    time.Duration
		}{
			{"context", 20 * time.Millisecond, 0, 20 * time.Millisecond},
			{"timeout", 0, 30 * time.Millisecond, 30 * time.Millisecond},
			{"both", 20 * time.Millisecond, 30 * time.Millisecond, 20 * time.Millisecond},
		} {
			accept(t, n)
			conn := n.dial(t, "127.0.0.1")
			cfg := config("")
			cfg.HandshakeTimeout = test.timeout
			ctx := t.Context()
			if test.context > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, test.context)
				defer cancel()
			}
			start := time.Now()
			_, err := link.Dial(ctx, conn, public("mix"), cfg)
			require.ErrorIs(t, err, context.DeadlineExceeded, test.name)
			if n.virtual {
				assert.Equal(t, test.want, time.Since(start), test.name)
			}
			_, err = conn.Write([]byte{1})
			require.Error(t, err, "the connection is closed")
		}
	})
}

func TestDialObeysItsContext(t *testing.T) {
	overBoth(t, func(t *testing.T, n network) {
		accept(t, n)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			n.settle()
			cancel()
		}()
		_, err := link.Dial(ctx, n.dial(t, "127.0.0.1"), public("mix"), config(""))
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestDialedLinkOutlivesTheContextOfDial(t *testing.T) {
	overBoth(t, func(t *testing.T, n network) {
		conns := accepted(t, n, config("mix"))
		ctx, cancel := context.WithCancel(t.Context())
		dialed, err := link.Dial(ctx, n.dial(t, "127.0.0.1"), public("mix"), config(""))
		require.NoError(t, err)
		t.Cleanup(func() { dialed.Close() })
		cancel()
		n.settle()
		exchange(t, dialed, <-conns, 20)
	})
}

func TestDialRefusesABadConfigAndClosesTheConnection(t *testing.T) {
	peer := public("mix")
	for name, broken := range map[string]func(*link.Config){
		"no frame size":         func(c *link.Config) { c.FrameSize = 0 },
		"negative frame size":   func(c *link.Config) { c.FrameSize = -1 },
		"short key":             func(c *link.Config) { c.Key = c.Key[:32] },
		"negative timeout":      func(c *link.Config) { c.HandshakeTimeout = -1 },
		"negative read timeout": func(c *link.Config) { c.ReadTimeout = -1 },
		"negative limit":        func(c *link.Config) { c.MaxConns = -1 },
		"short peer key":        func(*link.Config) { peer = peer[1:] },
	} {
		cfg := config("client")
		broken(&cfg)
		near, far := net.Pipe()
		_, err := link.Dial(t.Context(), near, peer, cfg)
		require.Error(t, err, name)
		_, err = far.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err, name)
	}
}
