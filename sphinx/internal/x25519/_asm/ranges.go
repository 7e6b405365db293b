package main

import (
	"fmt"
	"math"
	"math/bits"
)

// span is what an element can be, from and to included.
type span struct{ from, to uint64 }

// spans are those of four neighbouring elements, which all fours of a vector share.
type spans [4]span

func (s spans) within(limit uint64) bool {
	for _, e := range s {
		if e.to > limit {
			return false
		}
	}
	return true
}

// ranges follows what the elements of every value of p can be, given what the rows of memory can. It returns what is
// stored and the largest number that is computed; or the first operation that could overflow its 64 bits, take more from a number
// than that is, or multiply numbers of more than 52 bits, or 32, of which the instruction would leave some away.
func ranges(p *program, memory func(row int) spans) (stored map[int]spans, largest uint64, err error) {
	known := make(map[*value]spans)
	of := func(v *value) (s spans) {
		if v.operation != constant {
			return known[v]
		}
		for i := range s {
			n := v.numbers[i%len(v.numbers)]
			s[i] = span{n, n}
		}
		return s
	}
	stored = make(map[int]spans)
	for position, item := range p.body {
		if s, ok := item.(store); ok {
			stored[s.at] = of(s.value)
			continue
		}
		if c, ok := item.(checked); ok {
			if !of(c.value).within(c.most) {
				return nil, 0, fmt.Errorf("operation %d: more than %d: %v", position, c.most, of(c.value))
			}
			continue
		}
		v := item.(*value)
		var a, b, c spans
		for i, into := range []*spans{&a, &b, &c} {
			if i < len(v.arguments) {
				*into = of(v.arguments[i])
			}
		}
		if v.operation == load {
			a = memory(v.at)
		}
		var result spans
		for i := range result {
			if result[i], err = v.span(i, a, b, c); err != nil {
				return nil, 0, fmt.Errorf("operation %d, element %d: %w", position, i, err)
			}
			if v.operation != load {
				largest = max(largest, result[i].to)
			}
		}
		known[v] = result
	}
	return stored, largest, nil
}

// span returns what element i of v can be, where its arguments' can be a, b and c.
func (v *value) span(i int, a, b, c spans) (span, error) {
	switch v.operation {
	case load:
		return a[i], nil
	case constant:
		return span{v.numbers[i%len(v.numbers)], v.numbers[i%len(v.numbers)]}, nil
	case add:
		return a[i].plus(b[i])
	case subtract:
		return a[i].minus(b[i])
	case low, high:
		product, err := v.product(b[i], c[i])
		if err != nil {
			return span{}, err
		}
		return a[i].plus(product)
	case xor:
		return span{0, 1<<bits.Len64(a[i].to|b[i].to) - 1}, nil
	case shiftRight:
		return span{a[i].from >> v.count, a[i].to >> v.count}, nil
	case shiftLeft:
		if bits.Len64(a[i].to)+v.count > 64 {
			return span{}, fmt.Errorf("%d·2^%d overflows", a[i].to, v.count)
		}
		return span{a[i].from << v.count, a[i].to << v.count}, nil
	case times:
		if a[i].to > math.MaxUint32 || b[i].to > math.MaxUint32 {
			return span{}, fmt.Errorf("a product of %d and %d, of which one has more than 32 bits", a[i].to, b[i].to)
		}
		return span{a[i].from * b[i].from, a[i].to * b[i].to}, nil
	case keep:
		if a[i].to > low52 {
			return span{0, low52}, nil
		}
		return a[i], nil
	case and:
		return span{0, min(a[i].to, b[i].to)}, nil
	case choose:
		return a[i].or(b[i]), nil
	case addAt:
		if v.elements[i] {
			return a[i].plus(b[i])
		}
		return a[i], nil
	case subtractAt:
		if v.elements[i] {
			return a[i].minus(b[i])
		}
		return a[i], nil
	case replaceAt:
		if v.elements[i] {
			return b[i], nil
		}
		return a[i], nil
	case duplicateEven:
		return a[i&^1], nil
	case duplicateOdd:
		return a[i|1], nil
	case arrange:
		return b[v.orders[0].numbers[i]].or(b[v.orders[1].numbers[i]]), nil
	}
	return span{}, fmt.Errorf("operation %d is unknown", v.operation)
}

// product is what half of b·c can be.
func (v *value) product(b, c span) (span, error) {
	if b.to > low52 || c.to > low52 {
		return span{}, fmt.Errorf("a product of %d and %d, of which one has more than 52 bits", b.to, c.to)
	}
	over, under := bits.Mul64(b.to, c.to)
	top := over<<12 | under>>52
	switch {
	case v.operation == high:
		return span{0, top}, nil
	case top > 0:
		return span{0, low52}, nil
	}
	return span{0, under}, nil
}

func (s span) plus(t span) (span, error) {
	if _, carry := bits.Add64(s.to, t.to, 0); carry != 0 {
		return span{}, fmt.Errorf("%d + %d overflows", s.to, t.to)
	}
	return span{s.from + t.from, s.to + t.to}, nil
}

func (s span) minus(t span) (span, error) {
	if s.from < t.to {
		return span{}, fmt.Errorf("%d - %d is negative", s.from, t.to)
	}
	return span{s.from - t.to, s.to - t.from}, nil
}

func (s span) or(t span) span { return span{min(s.from, t.from), max(s.to, t.to)} }
