package stream_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/client/stream"
)

// seedCells are the data of cells of all sorts.
func seedCells() [][]byte {
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	return [][]byte{
		head(0, 0), head(withHello, 0), head(withClose, 0), head(withSURBs, 3),
		acknowledgement(0, 0, 9, 0, nil), acknowledgement(1, 0, 65535, 1, []byte{0x80}), acknowledgement(1<<32-1, 65535, 0, 0, make([]byte, 99)),
		join(head(0, 0), open(0, "a"), open(1, "b"), data(1, 0, "x"), end(1, 1, "y"), credit(1, 1<<62)),
		join(head(0, 0), data(0, 5, "later"), data(0, 0, "first"), end(0, 10, "")),
		join(head(0, 0), data(0, 128<<10-1, "x"), reset(0, 200), opened(0)),
	}
}

// FuzzReceive: no cell makes a session panic, or send for ever; and one that did not end it takes another stream as before. The
// first byte says whose session it is; then each cell has one byte for its number, one for its length, one for its SURBs.
func FuzzReceive(f *testing.F) {
	seeds := seedCells()
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for victim := range byte(2) {
		all := []byte{victim}
		for i, seed := range seeds {
			one := append([]byte{byte(i), byte(len(seed)), seed[0] & withSURBs}, seed...)
			f.Add(append([]byte{victim}, one...))
			all = append(all, one...)
		}
		f.Add(all)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) == 0 || len(input) > 1024 { // more could open so many streams that the last one is refused
			return
		}
		synctest.Test(t, func(t *testing.T) { testReceive(t, input[0]%2 == 1, input[1:]) })
	})
}

func testReceive(t *testing.T, client bool, input []byte) {
	l := newLiar(t, client)
	defer synctest.Wait()
	defer l.victim.Fail(stream.ErrClosed)
	id, target := uint32(1<<30), "another" // of the last stream, at an exit; the input may not have had them
	for bytes.Contains(input, binary.BigEndian.AppendUint32(nil, id)) {
		id++
	}
	for bytes.Contains(input, []byte(target)) {
		target += "x"
	}
	if client {
		conn := dial(t, l)
		conn.Write([]byte("something"))
		l.drain()
	} else {
		require.NoError(t, l.say(7, head(withHello|withSURBs, 0)))
	}
	for len(input) >= 3 {
		number, n, surbs := uint32(input[0]), min(int(input[1]), len(input)-3), int(input[2]%8)
		c := cell.Cell{Stream: sessionID, Sequence: number, Data: input[3:][:n]}
		for range surbs {
			c.SURBs = append(c.SURBs, make([]byte, surbSize))
		}
		input = input[3+n:]
		if err := l.victim.Receive(l.now, c); err != nil && !errors.Is(err, stream.ErrMalformed) {
			require.Error(t, l.victim.Err())
		}
		l.now = l.now.Add(time.Duration(number) * time.Millisecond)
		l.drain()
		if at := l.victim.Deadline(); !at.IsZero() && at.After(l.now) {
			l.now = at
			l.drain()
		}
	}
	require.Less(t, l.victim.Held(), 4<<20)
	if l.victim.Err() != nil {
		return
	}
	l.number = 1000
	var conn *stream.Conn
	if client {
		dialled := make(chan *stream.Conn, 1)
		go func() {
			c, _ := l.victim.Dial(t.Context(), target)
			dialled <- c
		}()
		synctest.Wait()
		for id = range 1000 { // its number is the first that is free
			err := l.say(0, head(0, 0), opened(id))
			require.NoError(t, err)
			synctest.Wait()
			if len(dialled) > 0 {
				break
			}
			require.NoError(t, l.victim.Err())
		}
		conn = <-dialled
	} else {
		require.NoError(t, l.say(0, head(0, 0), open(id, target)))
		for conn == nil || conn.Target() != target {
			var err error
			conn, err = l.victim.Accept(t.Context())
			require.NoError(t, err)
		}
		conn.Open()
	}
	require.NotNil(t, conn)
	require.NoError(t, l.say(0, head(0, 0), end(id, 5, " there")))
	require.NoError(t, l.say(0, head(0, 0), data(id, 0, "hello")))
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "hello there", string(got))
}

// FuzzSchedule: in any order that cells arrive, or are lost, or doubled, both ends read what the other wrote. Each byte says
// what becomes of the next of those cells that are under way, at most 64 before the oldest: 0 is lost, 1 arrives and stays,
// the others arrive; or time passes. After a minute all arrive, as streams that were closed wait for two.
func FuzzSchedule(f *testing.F) {
	seeds := [][]byte{{}, {0, 0, 0, 0}, bytes.Repeat([]byte{2}, 40), bytes.Repeat([]byte{1}, 60), bytes.Repeat([]byte{0, 254, 9, 77, 31, 255}, 20)}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, fates []byte) {
		synctest.Test(t, func(t *testing.T) { testFates(t, fates) })
	})
}

func testFates(t *testing.T, fates []byte) {
	began := time.Now()
	config := stream.Config{Client: true, Room: room, SURBSize: surbSize, Timeout: 5 * time.Second, Patience: time.Hour}
	client := stream.New(config, sessionID, began)
	config.Client, config.Timeout = false, 0
	exit := stream.New(config, sessionID, began)
	defer synctest.Wait()
	defer exit.Fail(stream.ErrClosed)
	defer client.Fail(stream.ErrClosed)
	up, down := content(1, 20_000), content(2, 30_000)
	done := make(chan error, 2)
	go func() {
		c, err := exit.Accept(t.Context())
		if err == nil {
			c.Open()
			var got []byte
			if got, _, err = both(c, down, false, 1, steady(0)); err == nil && !bytes.Equal(got, up) {
				err = errors.New("the exit got something else")
			}
		}
		done <- err
	}()
	go func() {
		c, err := client.Dial(t.Context(), "x")
		if err == nil {
			var got []byte
			if got, _, err = both(c, up, false, 2, steady(0)); err == nil && !bytes.Equal(got, down) {
				err = errors.New("the client got something else")
			}
		}
		done <- err
	}()
	type way struct {
		to *stream.Session
		c  cell.Cell
	}
	var flying []way
	for step := 0; len(done) < 2 || client.Streams()+exit.Streams() > 0; step++ {
		require.Less(t, step, 200_000, "no end: client %s, exit %s", client.State(), exit.State())
		synctest.Wait()
		for _, from := range []*stream.Session{client, exit} {
			to := exit
			if from == exit {
				to = client
			}
			for next, ok := from.Next(time.Now()); ok; next, ok = from.Next(time.Now()) {
				c := cell.Cell{Stream: sessionID, Sequence: next.Number, Data: next.Data}
				for range next.SURBs {
					c.SURBs = append(c.SURBs, make([]byte, surbSize))
				}
				flying = append(flying, way{to, c})
			}
		}
		fate := byte(2)
		if len(fates) > 0 && time.Since(began) < time.Minute {
			fate, fates = fates[0], fates[1:]
		}
		if len(flying) == 0 || fate > 250 {
			time.Sleep(time.Duration(1+fate%8) * 100 * time.Millisecond)
			continue
		}
		i := int(fate>>2) % len(flying)
		if fate%4 != 0 {
			flying[i].to.Receive(time.Now(), flying[i].c)
		}
		if fate%4 != 1 {
			flying = append(flying[:i], flying[i+1:]...)
		}
		if step%16 == 0 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	require.NoError(t, <-done)
	require.NoError(t, <-done)
}
