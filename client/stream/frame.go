package stream

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// ErrMalformed is returned for data that are not those of a cell of a session.
var ErrMalformed = errors.New("stream: malformed")

// The flags of a head.
const (
	flagAck = 1 << iota
	flagSURBs
	flagHello
	flagClose

	allFlags = flagAck | flagSURBs | flagHello | flagClose
)

// The kinds of frames.
const (
	frameOpen = 1 + iota
	frameOpened
	frameReset
	frameData
	frameEnd
	frameCredit
)

// The sizes of parts in bytes.
const (
	headSize       = 1 + 4
	ackSize        = 4 + 2 + 2 + 4 + 2 // without the bits
	generationSize = 4
	helloSize      = 4
	frameSize      = 1 + 4         // what each frame starts with
	openSize       = frameSize + 1 // without the target
	resetSize      = frameSize + 1
	creditSize     = frameSize + 8
	dataSize       = frameSize + 8 + 2 // without the bytes

	// MaxTarget is the length of the longest target of a stream in bytes.
	MaxTarget = math.MaxUint8
)

// head is what precedes the frames of a cell.
type head struct {
	flags      byte
	least      uint32
	ack        ack           // if flagAck
	generation uint32        // if flagSURBs
	timeout    time.Duration // if flagHello; in whole milliseconds
}

// ack is an acknowledgement.
type ack struct {
	largest    uint32
	run        uint16
	stock      uint16
	generation uint32 // of the stock
	bits       []byte
}

func (h *head) append(b []byte) []byte {
	b = append(b, h.flags)
	b = binary.BigEndian.AppendUint32(b, h.least)
	if h.flags&flagAck != 0 {
		b = binary.BigEndian.AppendUint32(b, h.ack.largest)
		b = binary.BigEndian.AppendUint16(b, h.ack.run)
		b = binary.BigEndian.AppendUint16(b, h.ack.stock)
		b = binary.BigEndian.AppendUint32(b, h.ack.generation)
		b = binary.BigEndian.AppendUint16(b, uint16(len(h.ack.bits)))
		b = append(b, h.ack.bits...)
	}
	if h.flags&flagSURBs != 0 {
		b = binary.BigEndian.AppendUint32(b, h.generation)
	}
	if h.flags&flagHello != 0 {
		b = binary.BigEndian.AppendUint32(b, uint32(min(h.timeout.Milliseconds(), math.MaxUint32)))
	}
	return b
}

// IsHello reports whether data are those of a cell whose client has not heard from its exit yet. Only such a cell begins a
// session.
func IsHello(data []byte) bool { return len(data) > 0 && data[0]&flagHello != 0 }

// size is how many bytes append appends.
func (h *head) size() int {
	size := headSize
	if h.flags&flagAck != 0 {
		size += ackSize + len(h.ack.bits)
	}
	if h.flags&flagSURBs != 0 {
		size += generationSize
	}
	if h.flags&flagHello != 0 {
		size += helloSize
	}
	return size
}

// reader takes numbers and bytes from the front of a cell's data. After a failure it returns zeros.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.failed, r.rest = true, nil
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) number(size int) (n uint64) {
	for _, b := range r.take(size) {
		n = n<<8 | uint64(b)
	}
	return n
}

// head reads a head. Its slices point into the data.
func (r *reader) head() (h head) {
	h.flags = byte(r.number(1))
	if h.flags&^allFlags != 0 {
		r.failed = true
	}
	h.least = uint32(r.number(4))
	if h.flags&flagAck != 0 {
		h.ack.largest = uint32(r.number(4))
		h.ack.run = uint16(r.number(2))
		h.ack.stock = uint16(r.number(2))
		h.ack.generation = uint32(r.number(4))
		h.ack.bits = r.take(int(r.number(2)))
	}
	if h.flags&flagSURBs != 0 {
		h.generation = uint32(r.number(4))
	}
	if h.flags&flagHello != 0 {
		h.timeout = time.Duration(r.number(4)) * time.Millisecond
	}
	return h
}

// frame is any frame; what its kind has not is zero.
type frame struct {
	kind   byte
	stream uint32
	offset uint64 // of data, or the credit
	code   Code
	bytes  []byte // data or target
}

func (f *frame) append(b []byte) []byte {
	b = append(b, f.kind)
	b = binary.BigEndian.AppendUint32(b, f.stream)
	switch f.kind {
	case frameOpen:
		b = append(b, byte(len(f.bytes)))
		b = append(b, f.bytes...)
	case frameReset:
		b = append(b, byte(f.code))
	case frameCredit:
		b = binary.BigEndian.AppendUint64(b, f.offset)
	case frameData, frameEnd:
		b = binary.BigEndian.AppendUint64(b, f.offset)
		b = binary.BigEndian.AppendUint16(b, uint16(len(f.bytes)))
		b = append(b, f.bytes...)
	}
	return b
}

// frame reads one frame. Its bytes point into the data.
func (r *reader) frame() (f frame) {
	f.kind = byte(r.number(1))
	f.stream = uint32(r.number(4))
	switch f.kind {
	case frameOpen:
		f.bytes = r.take(int(r.number(1)))
	case frameOpened:
	case frameReset:
		f.code = Code(r.number(1))
	case frameCredit:
		f.offset = r.number(8)
	case frameData, frameEnd:
		f.offset = r.number(8)
		f.bytes = r.take(int(r.number(2)))
	default:
		r.failed = true
	}
	return f
}
