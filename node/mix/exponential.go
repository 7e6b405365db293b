package mix

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"time"
)

// Exponential draws the delay of a packet for one "poisson" mix, from the exponential distribution with the given mean
// under the condition that it is at most max. Its mean is a little less than mean, for that. It reads 8 bytes of random,
// crypto/rand if nil, and fails if they cannot be read, or if mean or max is not positive.
//
// Of those 8 bytes 53 bits count, as a fraction of 1; the delay is rounded down to a nanosecond. Whoever writes it down
// with fewer digits must round all packets' delays alike.
func Exponential(random io.Reader, mean, max time.Duration) (time.Duration, error) {
	if mean <= 0 || max <= 0 {
		return 0, fmt.Errorf("mix: exponential delays with mean %v and at most %v: both must be positive", mean, max)
	}
	if random == nil {
		random = rand.Reader
	}
	var bytes [8]byte
	if _, err := io.ReadFull(random, bytes[:]); err != nil {
		return 0, fmt.Errorf("mix: randomness for a delay: %w", err)
	}
	u := float64(binary.LittleEndian.Uint64(bytes[:])>>11) / (1 << 53)
	within := -math.Expm1(-float64(max) / float64(mean)) // the probability of at most max
	return min(duration(-float64(mean)*math.Log1p(-u*within)), max), nil
}

// Quantile returns what a delay from the exponential distribution with the given mean exceeds with probability 1-q, rounded
// down to a nanosecond: the MaxDelay of a "poisson" mix, and the max that its packets' makers give to [Exponential]. One
// in 10,000 would be longer than Quantile(mean, 0.9999), which is 9.2 times the mean. It is 0 for a q or mean that is not
// positive, and the longest Duration for a q of 1 or more.
func Quantile(mean time.Duration, q float64) time.Duration {
	if !(q > 0) || mean <= 0 {
		return 0
	}
	return duration(-float64(mean) * math.Log1p(-min(q, 1)))
}

// duration rounds nanoseconds down, to no more than a Duration can say.
func duration(nanoseconds float64) time.Duration {
	if nanoseconds >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(nanoseconds)
}
