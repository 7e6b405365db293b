package directory

import "time"

// bucket limits how often something happens: size times at once, and then once in every. It starts full. It has no lock
// and no clock.
type bucket struct {
	full int64 // when it is full again, in nanoseconds since 1970
}

// lacks returns how long it takes until the bucket is full: at most size times every. A bucket that a clock filled
// which has been put back since is full.
func (b *bucket) lacks(now time.Time, every time.Duration, size int) time.Duration {
	lack := time.Duration(b.full - now.UnixNano())
	if lack < 0 || lack > time.Duration(size)*every {
		return 0
	}
	return lack
}

// has reports whether there is one to take.
func (b *bucket) has(now time.Time, every time.Duration, size int) bool {
	return b.lacks(now, every, size) <= time.Duration(size-1)*every
}

// take takes one, and leaves an empty bucket empty.
func (b *bucket) take(now time.Time, every time.Duration, size int) {
	lack := min(b.lacks(now, every, size)+every, time.Duration(size)*every)
	b.full = now.Add(lack).UnixNano()
}
