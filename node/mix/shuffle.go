package mix

import (
	"encoding/binary"
	"io"
	"math"
)

// A source draws random numbers from a reader, many at a time.
type source struct {
	from io.Reader
	buf  [512]byte
	rest []byte // what is left of buf
}

// shuffle puts items into an order that every permutation is equally likely to give (Fisher and Yates). If it fails,
// items are in some order that must not be used, but none is lost.
func shuffle[T any](s *source, items []T) error {
	for i := len(items) - 1; i > 0; i-- {
		j, err := s.below(uint64(i) + 1)
		if err != nil {
			return err
		}
		items[i], items[j] = items[j], items[i]
	}
	return nil
}

// below returns a number from 0 to n-1, each equally likely.
func (s *source) below(n uint64) (uint64, error) {
	// Numbers past the last whole multiple of n would favour small remainders.
	end := math.MaxUint64 - math.MaxUint64%n
	for {
		x, err := s.next()
		if err != nil {
			return 0, err
		}
		if x < end {
			return x % n, nil
		}
	}
}

// next returns 64 random bits: 8 bytes of the reader, the least significant first.
func (s *source) next() (uint64, error) {
	if len(s.rest) == 0 {
		if _, err := io.ReadFull(s.from, s.buf[:]); err != nil {
			return 0, err
		}
		s.rest = s.buf[:]
	}
	x := binary.LittleEndian.Uint64(s.rest)
	clear(s.rest[:8]) // so that memory does not tell how past batches were shuffled
	s.rest = s.rest[8:]
	return x, nil
}
