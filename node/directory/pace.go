package directory

import "time"

// rate is how often something may happen: size times at once, and then once in every.
type rate struct {
	every time.Duration
	size  int
}

// bucket holds something to its rate. It starts full. It has no lock and no clock.
type bucket struct {
	full int64 // when it is full again, in nanoseconds since 1970
}

// lacks returns how long it takes until the bucket is full: at most size times every. A bucket that a clock filled
// which has been put back since is full.
func (b *bucket) lacks(now time.Time, r rate) time.Duration {
	lack := time.Duration(b.full - now.UnixNano())
	if lack < 0 || lack > time.Duration(r.size)*r.every {
		return 0
	}
	return lack
}

// has reports whether there are n to take.
func (b *bucket) has(n int, now time.Time, r rate) bool {
	return b.lacks(now, r) <= time.Duration(r.size-n)*r.every
}

// give puts n back that were taken.
func (b *bucket) give(n int, now time.Time, r rate) {
	b.full = now.Add(b.lacks(now, r) - time.Duration(n)*r.every).UnixNano()
}

// take takes n, and leaves an empty bucket empty.
func (b *bucket) take(n int, now time.Time, r rate) {
	lack := min(b.lacks(now, r)+time.Duration(n)*r.every, time.Duration(r.size)*r.every)
	b.full = now.Add(lack).UnixNano()
}
