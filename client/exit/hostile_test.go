package exit_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/client/exit"
	"sphinxmix.example/client/stream"
)

// requireUnharmed has a client move bytes while others misbehave.
func requireUnharmed(t *testing.T, c *client) {
	t.Helper()
	began := time.Now()
	require.NoError(t, c.exchange(echoHost.String(), content(int(c.id), 200_000)))
	require.Less(t, time.Since(began), 30*time.Second)
}

// TestAClientThatVanishes leaves nothing behind: its connections are reset, its session ends, and others never notice.
func TestAClientThatVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, weather{mean: 20 * time.Millisecond}, exit.Config{})
		gone, good := n.newClient(1), n.newClient(2)
		for _, host := range []string{deafHost.String(), endlessHost.String(), echoHost.String()} {
			conn := gone.dial(host)
			_, err := conn.Write(content(1, 10_000))
			require.NoError(t, err)
		}
		requireUnharmed(t, good)
		gone.vanish()
		time.Sleep(4 * time.Minute)
		requireUnharmed(t, good)
		require.Equal(t, 3, n.tcp.Stats().Streams, "it may come back")
		time.Sleep(2 * time.Minute)
		stats := n.tcp.Stats()
		require.Zero(t, stats.Streams)
		require.Equal(t, 1, stats.Sessions)
		require.EqualValues(t, 1, stats.Ended["silent"])
		requireUnharmed(t, good)

		// A session without streams is not missed either.
		time.Sleep(11 * time.Minute)
		stats = n.tcp.Stats()
		require.Zero(t, stats.Sessions)
		require.Zero(t, stats.Memory)
		require.EqualValues(t, 1, stats.Ended["idle"])
	})
}

// TestAClientThatStays keeps a stream on which nothing happens for as long as that may be idle, and no longer.
func TestAClientThatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, weather{mean: 20 * time.Millisecond}, exit.Config{IdleTimeout: 20 * time.Minute})
		c := n.newClient(1)
		conn := c.dial(echoHost.String())
		buf := make([]byte, 5)
		for range 3 {
			time.Sleep(19 * time.Minute)
			_, err := conn.Write([]byte("hello"))
			require.NoError(t, err)
			_, err = io.ReadFull(conn, buf)
			require.NoError(t, err)
		}
		time.Sleep(21 * time.Minute)
		require.Zero(t, n.tcp.Stats().Streams)
		_, err := conn.Read(buf)
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

// TestAClientThatNeverReads holds no more of the exit than a stream's share, however much its host sends.
func TestAClientThatNeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, weather{mean: 20 * time.Millisecond}, exit.Config{})
		greedy, good := n.newClient(1), n.newClient(2)
		const streams = 10
		for range streams {
			greedy.dial(endlessHost.String())
		}
		time.Sleep(30 * time.Second)
		held, carried := n.tcp.Stats().Memory, n.tcp.Stats().ToClients
		require.Less(t, held, int64(streams*300<<10))
		requireUnharmed(t, good)
		time.Sleep(9 * time.Minute)
		require.Less(t, n.tcp.Stats().Memory, int64(streams*300<<10))
		require.LessOrEqual(t, n.tcp.Stats().ToClients, carried+200_000+streams*64<<10, "it goes on reading for nobody")
		requireUnharmed(t, n.newClient(3))
	})
}

// TestAHostThatNeverReads holds no more than a stream's share, however much its client sends.
func TestAHostThatNeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, weather{mean: 20 * time.Millisecond}, exit.Config{})
		greedy, good := n.newClient(1), n.newClient(2)
		const streams = 10
		var writing sync.WaitGroup
		for range streams {
			conn := greedy.dial(deafHost.String())
			writing.Go(func() { _, _ = conn.Write(make([]byte, 4<<20)) })
		}
		time.Sleep(5 * time.Minute)
		require.Less(t, n.tcp.Stats().Memory, int64(streams*400<<10))
		requireUnharmed(t, good)
		greedy.stop()
		writing.Wait()
	})
}

// TestLateCells of a session that has ended, or that this exit never knew, begin none.
func TestLateCells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, weather{}, exit.Config{})
		c := n.newClient(1)
		require.NoError(t, n.handle(greeting(c, echoHost.String())))
		require.Equal(t, 1, n.tcp.Stats().Sessions)
		c.session.Fail(stream.ErrClosed) // which the exit is told
		time.Sleep(time.Second)
		require.Zero(t, n.tcp.Stats().Sessions)
		require.EqualValues(t, 1, n.tcp.Stats().Ended["client"])
		answers := c.answered()
		require.NoError(t, n.handle(greeting(c, echoHost.String())))
		time.Sleep(time.Second)
		require.Zero(t, n.tcp.Stats().Sessions)
		require.Equal(t, answers, c.answered(), "whoever has ended a session waits for no answer")

		// Two minutes later all its cells are here or lost, and its id could be drawn again.
		time.Sleep(2 * time.Minute)
		require.NoError(t, n.handle(greeting(c, echoHost.String())))
		require.Equal(t, 1, n.tcp.Stats().Sessions)

		// One that says no hello has another session in mind.
		other := n.newClient(2)
		unknown := cell.Cell{Stream: 2, Sequence: 3, Data: []byte{2, 0, 0, 0, 0, 0, 0, 0, 0}, SURBs: [][]byte{other.surb()}}
		require.NoError(t, n.handle(unknown.Append(nil)))
		time.Sleep(time.Second)
		require.Equal(t, 1, n.tcp.Stats().Sessions)
		require.Equal(t, 1, other.answered())
		require.ErrorIs(t, other.session.Err(), stream.ErrUnknown)
	})
}

// greeting is the first cell of a session, which opens a stream.
func greeting(c *client, target string) []byte {
	data := []byte{2 | 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x13, 0x88, 1, 0, 0, 0, 0, byte(len(target))}
	hello := cell.Cell{Stream: c.id, Data: append(data, target...), SURBs: [][]byte{c.surb()}}
	return hello.Append(nil)
}

// TestMemory: where sessions hold more than they may, those end that let nothing move, and not the one that carries most.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it carries much")
	}
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		const memory = 16 << 20
		n := newNetwork(t, weather{mean: 150 * time.Millisecond}, exit.Config{
			Memory: memory,
			Log:    slog.New(slog.NewTextHandler(&log, nil)),
		})
		good := n.newClient(1)
		carried := make(chan error)
		go func() { carried <- good.exchange(echoHost.String(), content(1, 6_000_000)) }()
		time.Sleep(12 * time.Second)
		holds := n.tcp.Stats().Memory
		for id := range uint64(100) {
			// Each stream has the last byte of what it may send at once, and takes 4 KiB for it.
			hoard := cell.Cell{Stream: 2 + id, Data: []byte{4, 0, 0, 0, 0, 0, 0, 0, 0}} // which says hello
			for part := range uint32(2) {
				for i := range byte(1 + id) {
					hoard.Data = append(hoard.Data, 4, 0, 0, byte(part), i, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, 1, 'x')
				}
				require.NoError(t, n.handle(hoard.Append(nil)))
				require.LessOrEqual(t, n.tcp.Stats().Memory, int64(memory))
				hoard.Sequence, hoard.Data = 1, []byte{0, 0, 0, 0, 0}
			}
			time.Sleep(10 * time.Millisecond)
		}
		require.NoError(t, <-carried)
		require.Greater(t, holds, int64(600<<10), "the one to be spared holds more than many others")
		require.Greater(t, n.tcp.Stats().Ended["memory"], uint64(5))
		require.Contains(t, log.String(), "memory")
	})
}

// TestWhatASessionCarries is what it did in five seconds: nothing before these are over, more as soon as there is more, and
// less with the next five.
func TestWhatASessionCarries(t *testing.T) {
	type step struct {
		after   time.Duration // since it began
		carried int64
		want    float64
	}
	for name, steps := range map[string][]step{
		"fast":   {{4 * time.Second, 9_000_000, 0}, {5 * time.Second, 1_000_000, 2_000_000}},
		"faster": {{5 * time.Second, 5000, 1000}, {6 * time.Second, 4000, 1000}, {7 * time.Second, 16_000, 4000}, {10 * time.Second, 0, 4000}},
		"slower": {{5 * time.Second, 5000, 1000}, {9 * time.Second, 500, 1000}, {10 * time.Second, 0, 100}, {20 * time.Second, 0, 0}},
		"idle":   {{time.Minute, 0, 0}, {time.Minute + 4*time.Second, 9_000_000, 0}, {time.Minute + 5*time.Second, 0, 1_800_000}},
	} {
		began := time.Now()
		rate := exit.NewRate(began)
		for _, s := range steps {
			require.InDelta(t, s.want, rate.At(began.Add(s.after), s.carried), 1e-6, "%s: after %v", name, s.after)
		}
	}
}

// TestMalformed: what is no cell of a session is an error, begins nothing and gets no answer.
func TestMalformed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, weather{}, exit.Config{})
		c := n.newClient(1)
		good := greeting(c, echoHost.String())
		for length := range good {
			require.Error(t, n.handle(bytes.Clone(good[:length])), "cut to %d bytes", length)
		}
		require.Error(t, n.handle(append(bytes.Clone(good), 0)))
		for name, data := range map[string][]byte{
			"an unknown flag":   {4 | 16, 0, 0, 0, 0, 0, 0, 0, 1},
			"an unknown frame":  {4, 0, 0, 0, 0, 0, 0, 0, 1, 9, 0, 0, 0, 0},
			"half a frame":      {4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0},
			"a longer target":   {4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 9, 'a'},
			"SURBs without one": {2 | 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
			"an early least":    {4, 0, 0, 0, 9, 0, 0, 0, 1},
		} {
			bad := cell.Cell{Stream: 7, Data: data}
			require.ErrorIs(t, n.handle(bad.Append(nil)), stream.ErrMalformed, name)
		}
		empty := cell.Cell{Stream: 7}
		require.NoError(t, n.handle(empty.Append(nil))) // of an unknown session, without a SURB for an answer
		synctest.Wait()
		require.Zero(t, n.tcp.Stats().Sessions)
		require.Zero(t, c.answered())
		require.NoError(t, n.handle(good))
		require.Equal(t, 1, n.tcp.Stats().Sessions)
	})
}

// TestAClientThatBreaksTheProtocol loses its session, and nobody else anything.
func TestAClientThatBreaksTheProtocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, weather{}, exit.Config{})
		liar, good := n.newClient(1), n.newClient(2)
		requireUnharmed(t, good)
		require.NoError(t, n.handle(greeting(liar, echoHost.String())))
		beyond := []byte{4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 'x'} // offset 2²⁴
		lie := cell.Cell{Stream: 1, Sequence: 1, Data: beyond}
		require.NoError(t, n.handle(lie.Append(nil)))
		time.Sleep(time.Second)
		require.EqualValues(t, 1, n.tcp.Stats().Ended["protocol"])
		require.Equal(t, 1, n.tcp.Stats().Sessions)
		require.Zero(t, n.tcp.Stats().Streams)
		requireUnharmed(t, good)
	})
}

// TestSURBsThatLeadNowhere cost their own client what would have come through them.
func TestSURBsThatLeadNowhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, weather{}, exit.Config{})
		c, good := n.newClient(1), n.newClient(2)
		spoilt := greeting(c, echoHost.String())
		spoilt[cell.HeaderSize] = 0 // an address of no mix
		require.NoError(t, n.handle(spoilt))
		time.Sleep(time.Minute)
		require.Zero(t, c.answered())
		requireUnharmed(t, good)
	})
}

// TestClose ends everything: sessions, streams that are dialled, idle, or in the middle of much, and sites.
func TestClose(t *testing.T) {
	for name, end := range map[string]func(n *network, node context.CancelFunc){
		"the exit": func(n *network, _ context.CancelFunc) { n.tcp.Close() },
		"the node": func(_ *network, node context.CancelFunc) { node() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t, weather{mean: 20 * time.Millisecond}, exit.Config{})
				var node context.CancelFunc
				n.ctx, node = context.WithCancel(n.ctx)
				defer node()
				for id := range uint64(3) {
					c := n.newClient(id)
					for _, host := range []string{echoHost.String(), endlessHost.String(), deafHost.String()} {
						c.dial(host)
					}
					go func() { _, _ = c.session.Dial(soon(t), silentHost.String()) }()
				}
				time.Sleep(5 * time.Second)
				require.Equal(t, 12, n.tcp.Stats().Streams)
				end(n, node)
				synctest.Wait()
				stats := n.tcp.Stats()
				require.Zero(t, stats.Sessions)
				require.Zero(t, stats.Streams)
				require.Zero(t, stats.Memory)
				require.EqualValues(t, 3, stats.Ended["closed"])
				if name == "the exit" {
					require.Error(t, n.handle(greeting(n.newClient(9), echoHost.String())))
				}
			})
		})
	}
}
