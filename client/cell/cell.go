// Package cell cuts messages of any length into cells that fit a mix packet's payload, and joins them again.
//
// A cell on the wire is
//
//	stream(8) ‖ sequence(4) ‖ flags(1) ‖ number of SURBs(1) ‖ length of data(2) ‖ SURBs ‖ data
//
// with big-endian numbers. The stream is the sender's random number for one message, the sequence counts its cells from
// 0. The packet's own padding brings every cell to one size.
package cell

import (
	"encoding/binary"
	"errors"
	"math"
)

const (
	// HeaderSize is the size in bytes of what precedes the SURBs: 16.
	HeaderSize = 8 + 4 + 1 + 1 + 2

	// MaxSURBs is the largest number of SURBs in a cell.
	MaxSURBs = math.MaxUint8
	// MaxData is the largest number of data bytes in a cell.
	MaxData = math.MaxUint16
)

// ErrMalformed is returned for bytes that are not exactly one cell.
var ErrMalformed = errors.New("cell: malformed")

// flagLast marks the last cell of a message. All other bits are zero.
const flagLast = 1

// Cell is one piece of a message.
type Cell struct {
	Stream   uint64
	Sequence uint32
	Last     bool
	SURBs    [][]byte // all of one size, the network's
	Data     []byte
}

// Append appends the cell's encoding, HeaderSize + SURBs + data bytes, to dst. It panics where there are more SURBs or
// data than MaxSURBs and MaxData, which is the caller's mistake.
func (c *Cell) Append(dst []byte) []byte {
	if len(c.SURBs) > MaxSURBs || len(c.Data) > MaxData {
		panic("cell: caller puts too much into one cell")
	}
	var flags byte
	if c.Last {
		flags = flagLast
	}
	dst = binary.BigEndian.AppendUint64(dst, c.Stream)
	dst = binary.BigEndian.AppendUint32(dst, c.Sequence)
	dst = append(dst, flags, byte(len(c.SURBs)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(c.Data)))
	for _, surb := range c.SURBs {
		dst = append(dst, surb...)
	}
	return append(dst, c.Data...)
}

// Parse reads a cell that fills b, in a network whose SURBs have surbSize bytes. The cell's slices point into b. The
// only error is ErrMalformed.
func Parse(b []byte, surbSize int) (Cell, error) {
	if len(b) < HeaderSize {
		return Cell{}, ErrMalformed
	}
	flags, surbs, length := b[12], int(b[13]), int(binary.BigEndian.Uint16(b[14:]))
	if flags&^flagLast != 0 || len(b) != HeaderSize+surbs*surbSize+length {
		return Cell{}, ErrMalformed
	}
	c := Cell{
		Stream:   binary.BigEndian.Uint64(b),
		Sequence: binary.BigEndian.Uint32(b[8:]),
		Last:     flags&flagLast != 0,
		Data:     b[HeaderSize+surbs*surbSize:],
	}
	if surbs > 0 {
		c.SURBs = make([][]byte, surbs)
		for i := range c.SURBs {
			c.SURBs[i] = b[HeaderSize+i*surbSize:][:surbSize:surbSize]
		}
	}
	return c, nil
}

// Count returns the number of cells of size data bytes that a message of length bytes makes: at least one.
func Count(length, size int) int { return max(1, (length+size-1)/size) }

// Piece returns cell i of the Count cells of message, without SURBs. Its data points into message.
func Piece(message []byte, size int, stream uint64, i int) Cell {
	from := i * size
	to := min(from+size, len(message))
	return Cell{Stream: stream, Sequence: uint32(i), Last: to == len(message), Data: message[from:to]}
}

// Joiner puts the cells of one message together, in whatever order and however often they come. The zero Joiner takes
// no bytes; set Limit.
type Joiner struct {
	Limit int // bytes of the longest message

	pieces map[uint32][]byte
	size   int
	end    uint32 // one more than the highest sequence here
	total  uint32 // number of cells, 0 while unknown
}

// ErrTooLong is returned for cells that make a message longer than the joiner's limit.
var ErrTooLong = errors.New("cell: message is longer than the limit")

// Add takes a cell, whose data it keeps, and reports whether it was new. It returns ErrMalformed for a cell that
// contradicts an earlier one, and ErrTooLong; the cell is then forgotten.
func (j *Joiner) Add(c *Cell) (fresh bool, err error) {
	if _, seen := j.pieces[c.Sequence]; seen {
		return false, nil
	}
	switch {
	case c.Last && (j.total != 0 || c.Sequence < j.end || c.Sequence == math.MaxUint32):
		return false, ErrMalformed // a second end, or one before a cell that is here
	case j.total != 0 && c.Sequence >= j.total:
		return false, ErrMalformed
	case !c.Last && len(c.Data) == 0:
		return false, ErrMalformed // or cells without end would fit in the limit
	case j.size+len(c.Data) > j.Limit:
		return false, ErrTooLong
	}
	if c.Last {
		j.total = c.Sequence + 1
	}
	j.end = max(j.end, c.Sequence+1)
	if j.pieces == nil {
		j.pieces = make(map[uint32][]byte)
	}
	j.pieces[c.Sequence] = c.Data
	j.size += len(c.Data)
	return true, nil
}

// Complete reports whether all cells are here.
func (j *Joiner) Complete() bool { return j.total != 0 && uint32(len(j.pieces)) == j.total }

// Message returns the message once Complete, and nil before.
func (j *Joiner) Message() []byte {
	if !j.Complete() {
		return nil
	}
	message := make([]byte, 0, j.size)
	for i := range j.total {
		message = append(message, j.pieces[i]...)
	}
	return message
}
