package stream_test

import (
	"encoding/binary"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/client/stream"
)

// liar is an end of a session that says what it likes to the other, whose cells it need not have read. The layouts are
// written out as package stream's comment has them.
type liar struct {
	t      testing.TB
	victim *stream.Session
	number uint32 // of the next cell
	now    time.Time
}

func newLiar(t testing.TB, victimIsClient bool) *liar {
	now := time.Now()
	config := stream.Config{Client: victimIsClient, Room: room, SURBSize: surbSize, Timeout: time.Second}
	return &liar{t: t, victim: stream.New(config, sessionID, now), now: now}
}

const (
	withAck = 1 << iota
	withSURBs
	withHello
	withClose
)

// head has no acknowledgement.
func head(flags byte, generation uint32) []byte {
	b := []byte{flags, 0, 0, 0, 0}
	if flags&withSURBs != 0 {
		b = binary.BigEndian.AppendUint32(b, generation)
	}
	if flags&withHello != 0 {
		b = binary.BigEndian.AppendUint32(b, 1000)
	}
	return b
}

func acknowledgement(largest uint32, run, stock uint16, generation uint32, bits []byte) []byte {
	b := []byte{withAck, 0, 0, 0, 0}
	b = binary.BigEndian.AppendUint32(b, largest)
	b = binary.BigEndian.AppendUint16(b, run)
	b = binary.BigEndian.AppendUint16(b, stock)
	b = binary.BigEndian.AppendUint32(b, generation)
	b = binary.BigEndian.AppendUint16(b, uint16(len(bits)))
	return append(b, bits...)
}

func frame(kind byte, id uint32, rest ...byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, id), rest...)
}

func open(id uint32, target string) []byte {
	return frame(1, id, append([]byte{byte(len(target))}, target...)...)
}

func opened(id uint32) []byte           { return frame(2, id) }
func reset(id uint32, code byte) []byte { return frame(3, id, code) }

func data(id uint32, offset uint64, b string) []byte {
	rest := binary.BigEndian.AppendUint64(nil, offset)
	rest = binary.BigEndian.AppendUint16(rest, uint16(len(b)))
	return frame(4, id, append(rest, b...)...)
}

func end(id uint32, offset uint64, b string) []byte {
	f := data(id, offset, b)
	f[0] = 5
	return f
}

func credit(id uint32, offset uint64) []byte {
	return frame(6, id, binary.BigEndian.AppendUint64(nil, offset)...)
}

// say sends a cell of these parts.
func (l *liar) say(surbs int, parts ...[]byte) error {
	c := cell.Cell{Stream: sessionID, Sequence: l.number}
	for _, part := range parts {
		c.Data = append(c.Data, part...)
	}
	require.LessOrEqual(l.t, len(c.Data)+surbs*surbSize, room)
	for range surbs {
		c.SURBs = append(c.SURBs, make([]byte, surbSize))
	}
	l.number++
	return l.victim.Receive(l.now, c)
}

// frames sends as many cells as it takes for those frames, and no SURB.
func (l *liar) frames(count int, frame func(int) []byte) {
	parts, size := [][]byte{head(0, 0)}, 5
	for i := range count {
		f := frame(i)
		if size+len(f) > room {
			require.NoError(l.t, l.say(0, parts...))
			parts, size = parts[:1], 5
		}
		parts, size = append(parts, f), size+len(f)
	}
	require.NoError(l.t, l.say(0, parts...))
}

// drain lets the victim send what it can at the time.
func (l *liar) drain() (cells, surbs int) {
	for {
		c, ok := l.victim.Next(l.now)
		if !ok {
			return cells, surbs
		}
		cells++
		surbs += c.SURBs
		require.Less(l.t, cells, 20_000, "there is no end to what the session has to send")
	}
}

// grown returns by how many bytes the heap is larger after f.
func grown(f func()) int {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int(after.HeapAlloc) - int(before.HeapAlloc)
}
