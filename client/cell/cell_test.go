package cell_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/cell"
)

const surbSize = 7

// cells are one of each shape, with SURBs of surbSize bytes.
var cells = []cell.Cell{
	{Data: []byte{}},
	{Stream: 1, Sequence: 2, Last: true, Data: []byte{}},
	{Stream: math.MaxUint64, Sequence: math.MaxUint32, Last: true, Data: []byte("x")},
	{Stream: 0x0123456789abcdef, Sequence: 0xfedcba98, SURBs: [][]byte{[]byte("surb-01")}, Data: []byte("hello")},
	{Stream: 5, SURBs: [][]byte{[]byte("surb-01"), []byte("surb-02"), []byte("surb-03")}, Data: []byte{}},
	{Stream: 6, SURBs: slices.Repeat([][]byte{[]byte("surb-04")}, cell.MaxSURBs), Data: bytes.Repeat([]byte{9}, 3)},
	{Stream: 7, Data: bytes.Repeat([]byte{8}, cell.MaxData)},
}

func TestParseReadsWhatAppendWrote(t *testing.T) {
	for i, c := range cells {
		b := c.Append(nil)
		require.Len(t, b, cell.HeaderSize+len(c.SURBs)*surbSize+len(c.Data))
		got, err := cell.Parse(b, surbSize)
		require.NoError(t, err)
		require.Equal(t, c, got, "cell %d", i)
		require.Equal(t, append([]byte("before"), b...), c.Append([]byte("before")))
	}
}

// TestEncoding is an example by hand: other implementations must write the same.
func TestEncoding(t *testing.T) {
	c := cell.Cell{Stream: 0x0102030405060708, Sequence: 0x090a0b0c, Last: true, SURBs: [][]byte{{0xaa, 0xbb}, {0xcc, 0xdd}}, Data: []byte{0xee}}
	require.Equal(t, "0102030405060708"+"090a0b0c"+"01"+"02"+"0001"+"aabbccdd"+"ee", hex.EncodeToString(c.Append(nil)))
}

func TestParseIsStrict(t *testing.T) {
	refused := func(b []byte, what ...any) {
		t.Helper()
		_, err := cell.Parse(b, surbSize)
		require.ErrorIs(t, err, cell.ErrMalformed, fmt.Sprintln(what...))
	}
	for i, c := range cells[:len(cells)-2] {
		b := c.Append(nil)
		for n := range len(b) {
			refused(b[:n], "cell", i, "cut to", n)
		}
		refused(append(slices.Clone(b), 0), "cell", i, "and one byte")
		for bit := 1; bit < 8; bit++ {
			changed := slices.Clone(b)
			changed[12] ^= 1 << bit
			refused(changed, "cell", i, "with flag", bit)
		}
		for _, at := range []int{13, 14, 15} { // the numbers of SURBs and of bytes
			for bit := range 8 {
				changed := slices.Clone(b)
				changed[at] ^= 1 << bit
				refused(changed, "cell", i, "with bit", bit, "of byte", at)
			}
		}
	}
	refused(nil)
	refused([]byte{}, "nothing")
}

// TestParsedSURBsDoNotRunIntoEachOther when somebody appends to one.
func TestParsedSURBsDoNotRunIntoEachOther(t *testing.T) {
	b := cells[4].Append(nil)
	c, err := cell.Parse(b, surbSize)
	require.NoError(t, err)
	_ = append(c.SURBs[0], "overwritten"...)
	require.Equal(t, cells[4].Append(nil), b)
}

func TestAppendPanicsOnWhatDoesNotFit(t *testing.T) {
	require.Panics(t, func() { (&cell.Cell{Data: make([]byte, cell.MaxData+1)}).Append(nil) })
	require.Panics(t, func() { (&cell.Cell{SURBs: make([][]byte, cell.MaxSURBs+1)}).Append(nil) })
}

// TestPiecesAreTheMessage: for every length and size, Count pieces that are the message in order, all full but the last,
// which alone says so.
func TestPiecesAreTheMessage(t *testing.T) {
	message := make([]byte, 100)
	for i := range message {
		message[i] = byte(i)
	}
	for length := range len(message) + 1 {
		for _, size := range []int{1, 2, 3, 7, 50, 99, 100, 101} {
			count := cell.Count(length, size)
			var joined []byte
			for i := range count {
				c := cell.Piece(message[:length], size, 42, i)
				require.Equal(t, uint64(42), c.Stream)
				require.Equal(t, uint32(i), c.Sequence)
				require.Equal(t, i == count-1, c.Last)
				require.Empty(t, c.SURBs)
				if c.Last {
					require.LessOrEqual(t, len(c.Data), size)
					require.True(t, len(c.Data) > 0 || length == 0, "an empty cell for nothing")
				} else {
					require.Len(t, c.Data, size)
				}
				joined = append(joined, c.Data...)
			}
			require.True(t, bytes.Equal(message[:length], joined))
		}
	}
}
