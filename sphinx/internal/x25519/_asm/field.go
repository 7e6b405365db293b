package main

import "fmt"

// A field element mod p = 2²⁵⁵ − 19 is five limbs, the k-th of weight 2⁵¹ᵏ. It is tight where each limb has at most 52
// bits, so that it can be multiplied, and loose where a limb is any number of 64 bits: a product is loose, and sums and
// differences of loose elements are, until carry makes them tight.
type element [limbs]*value

const (
	limbs = 5
	radix = 51
	low51 = 1<<radix - 1

	// minuend is the multiple of p that is added to what something is subtracted from.
	minuend = 1 << 10
)

// bias returns limb k of minuend·p.
func bias(k int) uint64 {
	if k == 0 {
		return minuend * (low51 - 18)
	}
	return minuend * low51
}

// start says which elements of a vector, of each four, a product's minuend·p is added to.
type start []bool

var (
	nowhere    = start{false, false, false, false}
	everywhere = start{true, true, true, true}
)

// row returns limb k of minuend·p, divided by 2ʰᵃˡᵛⁱⁿᵍˢ, where s says so, and zero elsewhere; nil for zero everywhere.
func (p *program) row(s start, k, halvings int) *value {
	numbers, name := make([]uint64, 4), fmt.Sprintf("bias%d_%d", min(k, 1), halvings)
	same := true
	for i := range numbers {
		if s[i] {
			numbers[i] = bias(k) >> halvings
		}
		same = same && s[i] == s[0]
	}
	switch {
	case same && !s[0]:
		return nil
	case same:
		return p.constant(name, numbers[0])
	}
	for i := range s {
		if s[i] {
			name += fmt.Sprintf("_%d", i)
		}
	}
	return p.constant(name, numbers...)
}

// sum adds values of which some are nil, for zero.
func (p *program) sum(values ...*value) (total *value) {
	for _, v := range values {
		switch {
		case total == nil:
			total = v
		case v != nil:
			total = p.do(add, total, v)
		}
	}
	return total
}

// term is a product of limbs that belongs to a column.
type term struct {
	column int
	half   operation // low or high
	a, b   *value
}

// accumulate adds terms to columns, taking a term of each column in turn, so that neighbours do not wait for each other.
func (p *program) accumulate(columns []*value, terms []term) {
	for len(terms) > 0 {
		var later []term
		taken := make(map[int]bool)
		for _, t := range terms {
			if taken[t.column] {
				later = append(later, t)
				continue
			}
			taken[t.column] = true
			if columns[t.column] == nil {
				columns[t.column] = p.zero()
			}
			columns[t.column] = p.do(t.half, columns[t.column], t.a, t.b)
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

// double doubles columns from..to−1.
func (p *program) double(columns []*value, from, to int) {
	for k := from; k < to; k++ {
		if columns[k] != nil {
			columns[k] = p.do(add, columns[k], columns[k])
		}
	}
}

// multiply returns the loose product of tight f and g, plus minuend·p where s says so.
//
// The columns 5 to 9 of the product, which have weights of 2²⁵⁵ and more, come first; 19 times each joins one of the
// columns 0 to 4. A high half has the weight 2⁵², which is twice that of the next column.
func (p *program) multiply(f, g element, s start) (r element) {
	var columns [2 * limbs]*value
	half := func(o operation, from, to int) {
		var terms []term
		for i := range f {
			for j := range g {
				k := i + j
				if o == high {
					k++
				}
				if from <= k && k < to {
					terms = append(terms, term{k, o, f[i], g[j]})
				}
			}
		}
		p.accumulate(columns[:], terms)
	}
	half(high, limbs, 2*limbs)
	p.double(columns[:], limbs, 2*limbs)
	half(low, limbs, 2*limbs)
	var folded element
	for k := range folded {
		folded[k] = p.do(multiply, columns[k+limbs], p.constant("c19", 19))
	}
	for k := 1; k < limbs; k++ {
		columns[k] = p.row(s, k, 1)
	}
	half(high, 0, limbs)
	p.double(columns[:], 1, limbs)
	columns[0] = p.row(s, 0, 0)
	for k := range folded {
		columns[k] = p.sum(columns[k], folded[k])
	}
	half(low, 0, limbs)
	copy(r[:], columns[:])
	return r
}

// multiplySoon is multiply with more instructions that wait less for each other: low and high halves apart, and no sum of
// more than three.
func (p *program) multiplySoon(f, g element, s start) (r element) {
	sumOf := func(k int, o operation) *value {
		if o == high {
			k--
		}
		var chains []*value
		n := 0
		for i := range f {
			if j := k - i; 0 <= j && j < limbs {
				if n%3 == 0 {
					chains = append(chains, p.zero())
				}
				last := &chains[len(chains)-1]
				*last = p.do(o, *last, f[i], g[j])
				n++
			}
		}
		return p.sum(chains...)
	}
	column := func(k int) *value {
		v := sumOf(k, high)
		if v != nil {
			v = p.do(add, v, v)
		}
		return p.sum(v, sumOf(k, low))
	}
	for k := range r {
		v := column(k + limbs)
		three := p.do(add, p.do(add, v, v), v)
		r[k] = p.do(add, p.shift(shiftLeft, v, 4), three)
	}
	for k := range r {
		r[k] = p.do(add, p.sum(column(k), p.row(s, k, 0)), r[k])
	}
	return r
}

// square returns the loose square of a tight f, plus minuend·p where s says so: fifteen products in place of 25, whose
// cross terms count twice.
func (p *program) square(f element, s start) (r element) {
	var columns [2 * limbs]*value
	half := func(o operation, cross bool, from, to int) {
		var terms []term
		for i := range f {
			for j := i; j < limbs; j++ {
				k := i + j
				if o == high {
					k++
				}
				if cross == (i != j) && from <= k && k < to {
					terms = append(terms, term{k, o, f[i], f[j]})
				}
			}
		}
		p.accumulate(columns[:], terms)
	}
	all := func(from, to int) { // 2·(2·(cross high) + diagonal high + cross low) + diagonal low
		half(high, true, from, to)
		p.double(columns[:], from, to)
		half(high, false, from, to)
		half(low, true, from, to)
		p.double(columns[:], from, to)
	}
	all(limbs, 2*limbs)
	half(low, false, limbs, 2*limbs)
	var folded element
	for k := range folded {
		folded[k] = p.do(multiply, columns[k+limbs], p.constant("c19", 19))
	}
	for k := 1; k < limbs; k++ {
		halvings := 2
		if k == 1 {
			halvings = 1 // has no cross term of high halves, and is doubled once
		}
		columns[k] = p.row(s, k, halvings)
	}
	half(high, true, 0, limbs)
	p.double(columns[:], 2, limbs)
	half(high, false, 0, limbs)
	half(low, true, 0, limbs)
	p.double(columns[:], 1, limbs)
	columns[0] = p.row(s, 0, 0)
	for k := range folded {
		columns[k] = p.sum(columns[k], folded[k])
	}
	half(low, false, 0, limbs)
	copy(r[:], columns[:])
	return r
}

// carry makes a loose r tight: each limb keeps 51 bits and gives the rest to the next, and the last one to the first 19
// times over, because 2²⁵⁵ = 19.
func (p *program) carry(r element) (f element) {
	var over element
	for k := range r {
		over[k] = p.shift(shiftRight, r[k], radix)
	}
	for k := range r {
		f[k] = p.do(and, r[k], p.constant("low51", low51))
	}
	f[0] = p.do(low, f[0], over[limbs-1], p.constant("c19", 19))
	for k := 1; k < limbs; k++ {
		f[k] = p.do(add, f[k], over[k-1])
	}
	return f
}

func (p *program) each(f func(k int) *value) (r element) {
	for k := range r {
		r[k] = f(k)
	}
	return r
}

func (p *program) add(a, b element) element {
	return p.each(func(k int) *value { return p.do(add, a[k], b[k]) })
}

// subtract returns a − b for loose elements, of which a was computed with minuend·p added.
func (p *program) subtract(a, b element) element {
	return p.each(func(k int) *value { return p.do(subtract, a[k], b[k]) })
}
