package main

import (
	"encoding/binary"
	"io"
	"math"
	"time"
)

// exponential draws a delay from the exponential distribution with that mean, under the condition that it is at most
// longest, from 8 bytes of random.
func exponential(random io.Reader, mean, longest time.Duration) (time.Duration, error) {
	var bytes [8]byte
	if _, err := io.ReadFull(random, bytes[:]); err != nil {
		return 0, err
	}
	u := float64(binary.LittleEndian.Uint64(bytes[:])>>11) / (1 << 53)
	within := -math.Expm1(-float64(longest) / float64(mean)) // the probability of at most longest
	return min(time.Duration(-float64(mean)*math.Log1p(-u*within)), longest), nil
}

// longestDelay is exceeded by one in 10⁹ delays with that mean.
func longestDelay(mean time.Duration) time.Duration {
	return time.Duration(float64(mean) * 9 * math.Ln10)
}
