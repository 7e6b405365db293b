package stream

import "slices"

// span is the numbers from ≤ n < to.
type span struct{ from, to uint64 }

// ranges is a set of numbers: spans in ascending order, no two of which touch.
type ranges []span

// find returns the index of the first span that ends at n or later.
func (r ranges) find(n uint64) int {
	i, _ := slices.BinarySearchFunc(r, n, func(s span, n uint64) int {
		if s.to < n {
			return -1
		}
		return 1
	})
	return i
}

// add puts in the numbers of a span.
func (r *ranges) add(from, to uint64) {
	if from >= to {
		return
	}
	first := r.find(from)
	last := first
	for ; last < len(*r) && (*r)[last].from <= to; last++ {
		from, to = min(from, (*r)[last].from), max(to, (*r)[last].to)
	}
	*r = slices.Replace(*r, first, last, span{from, to})
}

// remove takes out the numbers of a span.
func (r *ranges) remove(from, to uint64) {
	if from >= to {
		return
	}
	first := r.find(from + 1)
	var left []span
	last := first
	for ; last < len(*r) && (*r)[last].from < to; last++ {
		s := (*r)[last]
		if s.from < from {
			left = append(left, span{s.from, from})
		}
		if s.to > to {
			left = append(left, span{to, s.to})
		}
	}
	*r = slices.Replace(*r, first, last, left...)
}

// has reports whether n is in the set.
func (r ranges) has(n uint64) bool {
	i := r.find(n + 1)
	return i < len(r) && r[i].from <= n
}

// touches reports whether the set has any number of a span, or one right beside it.
func (r ranges) touches(from, to uint64) bool {
	i := r.find(from)
	return i < len(r) && r[i].from <= to
}

// until returns the end of the span that from is in, or from where it is in none.
func (r ranges) until(from uint64) uint64 {
	if i := r.find(from + 1); i < len(r) && r[i].from <= from {
		return r[i].to
	}
	return from
}
