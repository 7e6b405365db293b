// Package cell cuts messages of any length into cells that fit a mix packet's payload.
//
// A cell on the wire is
//
//	stream(8) ‖ sequence(4) ‖ flags(1) ‖ number of SURBs(1) ‖ length of data(2) ‖ SURBs ‖ data
//
// with big-endian numbers. The packet's own padding brings every cell to one size.
//
// In a message and its reply the stream is the sender's random number for the message, and the sequence counts cells from 0.
// Of a session of streams they are its id and a number that package stream gives.
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
