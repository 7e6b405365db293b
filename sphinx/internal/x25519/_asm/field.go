package main

import (
	"fmt"
	"slices"
)

// A field element mod p = 2²⁵⁵ − 19 is five limbs, the k-th of weight 2⁵²ᵏ: the instructions multiply numbers of 52 bits,
// and the high half of a product then has the weight of the next column. An element is tight where its limbs are 52 bits, and
// the last one little more than 47, so that it can be multiplied. It is loose where a limb is any number of 64 bits: a
// product is loose, and sums and differences of loose elements are, until carry makes them tight.
type element []*value

const (
	limbs   = 5
	radix   = 52
	topBits = 255 - (limbs-1)*radix // 47
	low52   = 1<<radix - 1
	low47   = 1<<topBits - 1

	// fold is 2²⁶⁰ mod p, the weight of column 5.
	fold = 19 << (limbs*radix - 255)

	// minuend is the multiple of p that is added to what something is subtracted from.
	minuend = 1 << 9
)

// bias returns limb k of minuend·p.
func bias(k int) uint64 {
	switch k {
	case 0:
		return minuend * (low52 - 18)
	case limbs - 1:
		return minuend * low47
	}
	return minuend * low52
}

// start says which elements of a vector, of each four, a product's minuend·p is added to.
type start []bool

var (
	nowhere    = start{false, false, false, false}
	everywhere = start{true, true, true, true}
)

// row returns limb k of minuend·p, halved so many times, where s says so, and zero elsewhere; nil for zero everywhere.
func (p *program) row(s start, k, halvings int) *value {
	name := fmt.Sprintf("bias%d_%d", k, halvings)
	if k > 0 && k < limbs-1 {
		name = fmt.Sprintf("bias_%d", halvings)
	}
	numbers, same := make([]uint64, 4), true
	for i := range numbers {
		if s[i] {
			numbers[i] = bias(k) >> halvings
			name += fmt.Sprint("_", i)
		}
		same = same && s[i] == s[0]
	}
	switch {
	case same && !s[0]:
		return nil
	case same:
		return p.constant(name, numbers[0])
	}
	return p.constant(name, numbers...)
}

// columns are the sums that a product is made of, nil where there is nothing yet.
type columns [2 * limbs]*value

// term is half of a product of limbs, which belongs to a column.
type term struct {
	column int
	half   operation // low or high
	a, b   *value
}

// terms returns both halves of fᵢ·gⱼ for all i and j that wanted names, in columns from..to−1.
func terms(f, g element, from, to int, wanted func(i, j int) bool) (all []term) {
	for i := range f {
		for j := range g {
			for over, half := range []operation{low, high} {
				if k := i + j + over; wanted(i, j) && from <= k && k < to {
					all = append(all, term{k, half, f[i], g[j]})
				}
			}
		}
	}
	return all
}

// accumulate adds terms to columns, taking a term of each column in turn, so that neighbours do not wait for each other.
func (p *program) accumulate(c *columns, terms []term) {
	for len(terms) > 0 {
		var later []term
		var taken [2 * limbs]bool
		for _, t := range terms {
			if taken[t.column] {
				later = append(later, t)
				continue
			}
			taken[t.column] = true
			if c[t.column] == nil {
				c[t.column] = p.zero()
			}
			c[t.column] = p.do(t.half, c[t.column], t.a, t.b)
		}
		terms = later
	}
}

// zero is a fresh zero each time, which costs nothing: processors know the idiom.
func (p *program) zero() *value {
	v := p.do(constant)
	v.numbers = []uint64{0}
	return v
}

// foldable makes columns 5 to 9 numbers of 52 bits that the multiples of fold can be made of.
func (p *program) foldable(c *columns) {
	for k := limbs; k < 2*limbs-1; k++ {
		c[k+1] = p.do(add, c[k+1], p.shift(shiftRight, c[k], radix))
		c[k] = p.keep(c[k])
	}
	// The high half of the last multiple would belong to column 5 again. There is none.
	p.check(c[2*limbs-1], low52/fold)
}

// folds are the terms by which columns 5 to 9, foldable, join columns 0 to 4.
func (p *program) folds(c *columns) (all []term) {
	factor := p.constant("fold", fold)
	for k := range limbs {
		all = append(all, term{k, low, c[k+limbs], factor})
		if k+1 < limbs {
			all = append(all, term{k + 1, high, c[k+limbs], factor})
		}
	}
	return all
}

func always(i, j int) bool { return true }

// multiply returns the loose product of tight f and g, plus minuend·p where s says so.
func (p *program) multiply(f, g element, s start) element {
	var c columns
	p.accumulate(&c, terms(f, g, limbs, 2*limbs, always))
	p.foldable(&c)
	for k := range limbs {
		c[k] = p.row(s, k, 0)
	}
	p.accumulate(&c, append(terms(f, g, 0, limbs, always), p.folds(&c)...))
	return c[:limbs]
}

// multiplySoon is multiply with more instructions that wait less for each other: a column is a sum of sums of three, and
// what columns 5 to 8 have above their 52 bits joins by itself.
func (p *program) multiplySoon(f, g element, s start) element {
	sum := func(first *value, terms ...term) *value {
		var sums []*value
		if first != nil {
			sums = append(sums, first)
		}
		for i, t := range terms {
			if i%3 == 0 {
				sums = append(sums, p.zero())
			}
			last := &sums[len(sums)-1]
			*last = p.do(t.half, *last, t.a, t.b)
		}
		for len(sums) > 1 {
			sums = append(sums[2:], p.do(add, sums[0], sums[1]))
		}
		return sums[0]
	}
	var c columns
	for k := limbs; k < 2*limbs; k++ {
		c[k] = sum(nil, terms(f, g, k, k+1, always)...)
	}
	for k := range limbs {
		c[k] = sum(p.row(s, k, 0), terms(f, g, k, k+1, always)...)
	}
	p.check(c[2*limbs-1], low52/fold)
	var over columns
	for k := limbs; k < 2*limbs-1; k++ {
		over[k+1] = p.shift(shiftRight, c[k], radix)
		c[k] = p.keep(c[k])
	}
	p.accumulate(&c, p.folds(&c))
	r := make(element, limbs)
	for k := range r {
		r[k] = c[k]
		if v := over[k+limbs]; v != nil {
			r[k] = sum(r[k], term{k, low, v, p.constant("fold", fold)})
		}
	}
	return r
}

// square returns the loose square of a tight f, plus minuend·p where s says so: fifteen products in place of 25, whose
// cross terms count twice.
func (p *program) square(f element, s start) element {
	cross := func(i, j int) bool { return i < j }
	diagonal := func(i, j int) bool { return i == j }
	double := func(c *columns, from, to int) {
		for k := from; k < to; k++ {
			c[k] = p.do(add, c[k], c[k])
		}
	}
	var c columns
	p.accumulate(&c, terms(f, f, limbs, 2*limbs, cross))
	double(&c, limbs, 2*limbs-1)
	p.accumulate(&c, terms(f, f, limbs, 2*limbs, diagonal))
	p.foldable(&c)
	c[0] = p.row(s, 0, 0) // has no cross term
	for k := 1; k < limbs; k++ {
		c[k] = p.row(s, k, 1)
	}
	p.accumulate(&c, terms(f, f, 0, limbs, cross))
	double(&c, 1, limbs)
	p.accumulate(&c, append(terms(f, f, 0, limbs, diagonal), p.folds(&c)...))
	return c[:limbs]
}

// carry makes a loose r tight. What the last limb has above its 47 bits goes to the first 19 times over, because 2²⁵⁵ =
// 19, and then what each has above 52 goes to the next. Nothing takes it away where it was: multiplications do not see it.
func (p *program) carry(r element) element {
	const last = limbs - 1
	r, f := slices.Clone(r), make(element, limbs)
	over := p.shift(shiftRight, r[last], topBits)
	r[last] = p.do(and, r[last], p.constant("low47", low47))
	r[0] = p.do(low, r[0], over, p.constant("c19", 19))
	for k := range last {
		f[k] = p.keep(r[k])
		r[k+1] = p.do(add, r[k+1], p.shift(shiftRight, r[k], radix))
	}
	f[last] = r[last]
	return f
}

// scaled returns a + 121665·e, for a loose a and a tight e.
func (p *program) scaled(a, e element) element {
	factor := p.constant("c121665", 121665)
	var c columns
	copy(c[:], a)
	var all []term
	for k := range e {
		all = append(all, term{k, low, e[k], factor}, term{k + 1, high, e[k], factor})
	}
	p.accumulate(&c, all)
	c[0] = p.do(low, c[0], c[limbs], p.constant("fold", fold))
	return c[:limbs]
}

func (p *program) each(f func(k int) *value) element {
	r := make(element, p.limbs)
	for k := range r {
		r[k] = f(k)
	}
	return r
}

func (p *program) choose(a, b element) element {
	return p.each(func(k int) *value { return p.do(choose, a[k], b[k]) })
}

func (p *program) add(a, b element) element {
	return p.each(func(k int) *value { return p.do(add, a[k], b[k]) })
}

// subtract returns a − b for loose elements, of which a was computed with minuend·p added.
func (p *program) subtract(a, b element) element {
	return p.each(func(k int) *value { return p.do(subtract, a[k], b[k]) })
}

// storeElement keeps a tight f in memory.
func (p *program) storeElement(f element, which int) {
	for k := range f {
		p.store(f[k], p.place(which)+k)
	}
}

// loadElement returns a tight element that is in memory.
func (p *program) loadElement(which int) element {
	return p.each(func(k int) *value {
		v := p.load(p.place(which) + k)
		if k == limbs-1 {
			return v
		}
		return p.keep(v)
	})
}
