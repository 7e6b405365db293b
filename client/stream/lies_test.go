package stream_test

import (
	"errors"
	"io"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/bench/thread"
	"sphinxmix.example/client/cell"
	"sphinxmix.example/client/stream"
)

// TestWhatALyingClientMakesAnExitKeep is bounded, whatever there is a flood of.
func TestWhatALyingClientMakesAnExitKeep(t *testing.T) {
	if testing.Short() {
		t.Skip("hundreds of thousands of frames, in one goroutine, by the clock")
	}
	for _, test := range []struct {
		name  string
		most  int
		flood func(*liar)
	}{
		{"streams, and no SURBs", 4 << 20, func(l *liar) {
			l.frames(100_000, func(i int) []byte { return open(uint32(i), "x") })
		}},
		{"streams that are reset", 4 << 20, func(l *liar) {
			for i := range uint32(50_000) {
				require.NoError(t, l.say(0, head(0, 0), open(i, "x"), reset(i, 0)))
			}
		}},
		{"resets", 1 << 20, func(l *liar) {
			l.frames(100_000, func(i int) []byte { return reset(uint32(i), 0) })
		}},
		{"every second stream", 4 << 20, func(l *liar) {
			l.frames(100_000, func(i int) []byte { return reset(uint32(2*i), 0) })
		}},
		{"the last byte of each stream's credit", 256 * (4<<10 + 2<<10), func(l *liar) {
			l.frames(256, func(i int) []byte { return data(uint32(i), 128<<10-1, "x") })
		}},
		{"every second byte", 8 << 20, func(l *liar) {
			l.frames(60_000, func(i int) []byte { return data(0, uint64(2*i), "x") })
		}},
		{"SURBs", stream.MaxStock*(surbSize+64) + 1<<20, func(l *liar) {
			for i := range uint32(20_000) {
				require.NoError(t, l.say(7, head(withSURBs, i/5000)))
			}
		}},
		{"credit", 1 << 20, func(l *liar) {
			l.frames(50_000, func(i int) []byte { return credit(0, uint64(math.MaxInt64-i)) })
		}},
		{"numbers", 1 << 20, func(l *liar) {
			for i := range uint32(50_000) {
				l.number = 3 * i
				require.NoError(t, l.say(0, head(0, 0)))
			}
		}},
		{"SURBs for refused streams, whose RESETs are never acknowledged", 16 << 20, func(l *liar) {
			for i := range uint32(10_000) {
				parts := [][]byte{head(withSURBs, 0)}
				for j := range uint32(200) {
					parts = append(parts, open(200*i+j, "x"))
				}
				require.NoError(t, l.say(2, parts...))
				l.now = l.now.Add(time.Millisecond)
				l.drain()
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLiar(t, false)
			require.NoError(t, l.say(0, head(withHello, 0)))
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var took time.Duration
			size := grown(func() {
				began := thread.Time()
				test.flood(l)
				took = thread.Time() - began
			})
			perCell := took / time.Duration(l.number)
			t.Logf("%d KiB, %v for a cell, %d held, %s", size>>10, perCell, l.victim.Held(), l.victim.State())
			require.Less(t, size, test.most)
			require.NoError(t, l.victim.Err())
			require.Less(t, took, time.Duration(l.number)*2*time.Millisecond+time.Second, "and some for the garbage collector")
			runtime.KeepAlive(l.victim)
		})
	}
}

// TestAClientThatNeverAcknowledges gets one window of cells for each timeout, and no more memory than that.
func TestAClientThatNeverAcknowledges(t *testing.T) {
	l := newLiar(t, false)
	require.NoError(t, l.say(0, head(withHello, 0), open(0, "x"), credit(0, math.MaxInt64)))
	accepted, err := l.victim.Accept(t.Context())
	require.NoError(t, err)
	go accepted.Write(make([]byte, 64<<20))
	cells := 0
	size := grown(func() {
		for i := range 600 {
			for range 100 {
				require.NoError(t, l.say(7, head(withSURBs, 0)))
			}
			n, _ := l.drain()
			cells += n
			l.now = l.now.Add(time.Second)
			if i%100 == 0 {
				runtime.Gosched()
			}
		}
	})
	t.Logf("%d cells, %d KiB, %d held, %s", cells, size>>10, l.victim.Held(), l.victim.State())
	require.Less(t, size, 10<<20)
	require.Less(t, l.victim.Held(), 10<<20)
	l.victim.Fail(stream.ErrClosed)
}

// TestBrokenProtocolEndsTheSession with a clear error, which all its streams return.
func TestBrokenProtocolEndsTheSession(t *testing.T) {
	for _, test := range []struct {
		name string
		say  [][]byte
	}{
		{"acknowledges what was never sent", [][]byte{acknowledgement(5, 0, 0, 0, nil)}},
		{"acknowledges more than all", [][]byte{acknowledgement(0, 1, 0, 0, nil)}},
		{"acknowledges a number below 0", [][]byte{acknowledgement(0, 0, 0, 0, []byte{0x80})}},
		{"data beyond the credit", [][]byte{append(head(0, 0), data(0, 128<<10, "x")...)}},
		{"data at the end of all numbers", [][]byte{append(head(0, 0), data(0, math.MaxUint64, "xx")...)}},
		{"data after the end", [][]byte{append(head(0, 0), end(0, 0, "all")...), append(head(0, 0), data(0, 3, "x")...)}},
		{"another end", [][]byte{append(head(0, 0), end(0, 0, "all")...), append(head(0, 0), end(0, 0, "al")...)}},
		{"an end before what came", [][]byte{append(head(0, 0), data(0, 0, "all")...), append(head(0, 0), end(0, 0, "al")...)}},
		{"endless credit", [][]byte{append(head(0, 0), credit(0, math.MaxInt64+1)...)}},
		{"opens and says opened", [][]byte{append(append(head(0, 0), opened(0)...), open(0, "x")...)}},
		{"opens nothing", [][]byte{append(head(0, 0), open(0, "")...)}},
	} {
		for _, victim := range []string{"exit", "client"} {
			t.Run(test.name+" to a "+victim, func(t *testing.T) {
				l := newLiar(t, victim == "client")
				var conn *stream.Conn
				if victim == "client" {
					conn = dial(t, l)
				} else {
					require.NoError(t, l.say(2, head(withHello|withSURBs, 0), open(0, "x")))
					var err error
					conn, err = l.victim.Accept(t.Context())
					require.NoError(t, err)
					if test.name == "acknowledges more than all" || test.name == "acknowledges a number below 0" {
						conn.Open()
						l.drain()
					}
				}
				for _, cell := range test.say {
					require.NoError(t, l.victim.Err())
					require.NoError(t, l.say(0, cell))
				}
				require.ErrorIs(t, l.victim.Err(), stream.ErrProtocol)
				_, err := conn.Read(make([]byte, 1))
				require.ErrorIs(t, err, stream.ErrProtocol)
				_, err = conn.Write(make([]byte, 1))
				require.ErrorIs(t, err, stream.ErrProtocol)
				require.ErrorIs(t, l.say(0, head(0, 0)), stream.ErrProtocol)
				<-l.victim.Done()
				require.Zero(t, l.victim.Held())
			})
		}
	}
}

// dial opens stream 0 of a client that is the liar's victim.
func dial(t testing.TB, l *liar) *stream.Conn {
	conns := make(chan *stream.Conn, 1)
	go func() {
		conn, err := l.victim.Dial(t.Context(), "x")
		if err != nil {
			t.Errorf("%v", err)
		}
		conns <- conn
	}()
	<-l.victim.Wake()
	cells, _ := l.drain()
	require.Positive(t, cells)
	require.NoError(t, l.say(0, head(0, 0), opened(0)))
	return <-conns
}

// TestAnExitMayNotInventStreams, nor send SURBs or hellos.
func TestAnExitMayNotInventStreams(t *testing.T) {
	for kind, f := range map[string][]byte{
		"open": open(1, "x"), "opened": opened(1), "reset": reset(1, 0), "data": data(1, 0, "x"), "end": end(1, 0, "x"), "credit": credit(1, 1),
	} {
		l := newLiar(t, true)
		dial(t, l)
		require.NoError(t, l.say(0, head(0, 0), f), kind)
		require.ErrorIs(t, l.victim.Err(), stream.ErrProtocol, kind)
	}
	l := newLiar(t, true)
	dial(t, l)
	require.ErrorIs(t, l.say(1, head(withSURBs, 0)), stream.ErrMalformed)
	require.ErrorIs(t, l.say(0, head(withHello, 0)), stream.ErrMalformed)
	require.NoError(t, l.victim.Err(), "the owner ends it")
}

// TestMalformedCellsChangeNothing: those cut anywhere, and of unknown flags and frames.
func TestMalformedCellsChangeNothing(t *testing.T) {
	l := newLiar(t, false)
	whole := append(head(withHello, 0), open(0, "host:1")...)
	whole = append(whole, data(0, 0, "hello")...)
	l.now = l.now.Add(time.Second)
	whole = append(whole, credit(0, 200_000)...)
	at := map[int]bool{} // where a shorter cell is whole as well
	for _, n := range []int{9, 9 + 12, 9 + 12 + 20} {
		at[n] = true
	}
	for n := range whole {
		if at[n] {
			continue
		}
		require.ErrorIs(t, l.victim.Receive(l.now, cell.Cell{Sequence: 5, Data: whole[:n]}), stream.ErrMalformed, "%d bytes", n)
	}
	for flag := byte(16); flag != 0; flag <<= 1 {
		require.ErrorIs(t, l.say(0, head(flag, 0)), stream.ErrMalformed)
	}
	for _, kind := range []byte{0, 7, 255} {
		require.ErrorIs(t, l.say(0, head(0, 0), frame(kind, 0)), stream.ErrMalformed)
	}
	late := head(0, 0)
	late[4] = 99 // least, of a cell with a lower number
	require.ErrorIs(t, l.say(0, late), stream.ErrMalformed)
	require.ErrorIs(t, l.say(1, head(0, 0)), stream.ErrMalformed, "SURBs without a generation")
	require.Zero(t, l.victim.Streams())
	require.NotEqual(t, l.now, l.victim.Heard())
	require.NoError(t, l.victim.Receive(l.now, cell.Cell{Sequence: 5, Data: whole}))
	require.Equal(t, 1, l.victim.Streams())
}

// TestAnExitThatSaysItHasNoSURBs, whatever it was given, gets as many as it uses a few times over.
func TestAnExitThatSaysItHasNoSURBs(t *testing.T) {
	l := newLiar(t, true)
	dial(t, l)
	total, cells := 0, 0
	for range 60 { // seconds
		for range 20 {
			l.now = l.now.Add(50 * time.Millisecond)
			_, surbs := l.drain()
			total += surbs
			err := l.say(0, acknowledgement(l.victim.Sent()-1, uint16(min(l.victim.Sent()-1, 1000)), 0, 0, nil))
			require.NoError(t, err)
			require.NoError(t, l.victim.Err())
			cells++
		}
	}
	t.Logf("%d SURBs for %d cells", total, cells)
	require.Less(t, total, 9*cells+60*2*32)
}

// TestGapsCanAlwaysBeClosed: an exit that has as many gaps as it keeps still takes what fills them.
func TestGapsCanAlwaysBeClosed(t *testing.T) {
	l := newLiar(t, false)
	require.NoError(t, l.say(0, head(withHello, 0), open(0, "x")))
	for range 10 { // as what was refused is sent again
		l.frames(30_000, func(i int) []byte { return data(0, uint64(2*i+1), "b") })
		l.frames(30_000, func(i int) []byte { return reset(uint32(2*i+2), 0) })
		l.frames(30_000, func(i int) []byte { return data(0, uint64(2*i), "a") })
		l.frames(30_000, func(i int) []byte { return reset(uint32(2*i+1), 0) })
	}
	require.NoError(t, l.say(0, head(0, 0), end(0, 60_000, "")))
	conn, err := l.victim.Accept(t.Context())
	require.NoError(t, err)
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Len(t, got, 60_000)
	for i, b := range got {
		require.Equal(t, "ab"[i%2], b)
	}
}

// TestNumbersMayJump: a client that gives the last number there is hurts nobody, and the session still answers.
func TestNumbersMayJump(t *testing.T) {
	l := newLiar(t, false)
	require.NoError(t, l.say(1, head(withHello|withSURBs, 0)))
	l.number = math.MaxUint32
	require.NoError(t, l.say(3, head(withSURBs, 0), open(0, "x")))
	for range 100 {
		require.NoError(t, l.say(1, head(withSURBs, 0), open(1, "y"))) // all too old
	}
	require.Equal(t, 1, l.victim.Streams())
	l.now = l.now.Add(time.Second)
	cells, _ := l.drain()
	require.Equal(t, 1, cells)
}

func TestGoodbyeEndsAClient(t *testing.T) {
	l := newLiar(t, true)
	conn := dial(t, l)
	require.NoError(t, l.victim.Receive(l.now, cell.Cell{Data: stream.Goodbye()}))
	_, err := conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, stream.ErrUnknown)
	require.True(t, errors.Is(l.victim.Err(), stream.ErrUnknown))
}
