package main

import (
	"fmt"
	"slices"
)

// narrow computes for instructions that multiply numbers of 32 bits. A field element is ten limbs, the k-th of weight
// 2^⌈25.5·k⌉. It is tight where these have 26 and 25 bits in turn, and the second little more.
type narrow struct{ *program }

const (
	narrowLimbs = 10

	// narrowMinuend is the multiple of p that is added to what something is subtracted from.
	narrowMinuend = 1 << 34
)

// limbBits is how many bits limb k has.
func limbBits(k int) int { return 26 - k%2 }

func lowBits(k int) uint64 { return 1<<limbBits(k) - 1 }

// bias returns limb k of narrowMinuend·p.
func (p narrow) bias(k int) *value {
	if k == 0 {
		return p.constant("narrow_0", narrowMinuend*(lowBits(0)-18))
	}
	return p.constant([]string{"narrow_even", "narrow_odd"}[k%2], narrowMinuend*lowBits(k))
}

// columns returns the sums that a product is made of: narrowMinuend·p where s says so, else nothing.
func (p narrow) columns(s start) element {
	if s[0] {
		return p.each(p.bias)
	}
	return make(element, narrowLimbs)
}

// accumulate adds a·b to column k. What is beyond 2²⁵⁵ is to be 19 times as much, and goes to the column ten below.
func (p narrow) accumulate(columns element, k int, a, b *value) {
	column := &columns[k%narrowLimbs]
	product := p.do(times, a, b)
	if *column != nil {
		product = p.do(add, *column, product)
	}
	*column = product
}

// multiple returns what gives a limb of f times factor, computed once.
func (p narrow) multiple(f element, factor uint64) func(k int) *value {
	known := make(element, len(f))
	return func(k int) *value {
		switch {
		case known[k] != nil:
		case factor == 2:
			known[k] = p.do(add, f[k], f[k])
		default:
			known[k] = p.do(times, f[k], p.constant(fmt.Sprint("c", factor), factor))
		}
		return known[k]
	}
}

// multiply returns the loose product of tight f and g. The product of two odd limbs counts twice, as each has half a bit
// more than its place.
func (p narrow) multiply(f, g element, s start) element {
	c := p.columns(s)
	twice, beyond := p.multiple(f, 2), p.multiple(g, 19)
	for i := range f {
		for j := range g {
			a, b := f[i], g[j]
			if i%2 == 1 && j%2 == 1 {
				a = twice(i)
			}
			if i+j >= narrowLimbs {
				b = beyond(j)
			}
			p.accumulate(c, i+j, a, b)
		}
	}
	return c
}

// square returns the loose square of a tight f: 55 products in place of 100, whose cross terms count twice.
func (p narrow) square(f element, s start) element {
	c := p.columns(s)
	twice, beyond, twiceBeyond := p.multiple(f, 2), p.multiple(f, 19), p.multiple(f, 38)
	for i := range f {
		for j := i; j < narrowLimbs; j++ {
			a, b := f[i], f[j]
			odd := i%2 == 1 && j%2 == 1
			switch {
			case i+j < narrowLimbs && odd:
				b = twice(j)
			case i+j >= narrowLimbs && j%2 == 1:
				b = twiceBeyond(j)
			case i+j >= narrowLimbs:
				b = beyond(j)
			}
			if i < j && (odd || i+j < narrowLimbs || j%2 == 0) {
				a = twice(i)
			}
			p.accumulate(c, i+j, a, b)
		}
	}
	return c
}

// carry makes a loose r tight: what each limb has above its bits goes to the next, and what the last one has goes to the
// first 19 times over, because 2²⁵⁵ = 19.
func (p narrow) carry(r element) element {
	f := slices.Clone(r)
	over := func(k int) (over *value) {
		over = p.shift(shiftRight, f[k], limbBits(k))
		f[k] = p.do(and, f[k], p.constant(fmt.Sprint("low", limbBits(k)), lowBits(k)))
		return over
	}
	for k := range narrowLimbs - 1 {
		f[k+1] = p.do(add, f[k+1], over(k))
	}
	last := over(narrowLimbs - 1)
	for _, multiple := range []*value{last, p.shift(shiftLeft, last, 1), p.shift(shiftLeft, last, 4)} {
		f[0] = p.do(add, f[0], multiple)
	}
	f[1] = p.do(add, f[1], over(0))
	return f
}

// scaled returns a + 121665·e, for a loose a and a tight e.
func (p narrow) scaled(a, e element) element {
	return p.each(func(k int) *value { return p.do(add, a[k], p.do(times, e[k], p.constant("c121665", 121665))) })
}

func (p narrow) choose(a, b element) element {
	mask := p.load(p.rowMask())
	return p.each(func(k int) *value { return p.do(xor, a[k], p.do(and, p.do(xor, a[k], b[k]), mask)) })
}

func (p narrow) loadElement(which int) element {
	return p.each(func(k int) *value { return p.load(p.place(which) + k) })
}
