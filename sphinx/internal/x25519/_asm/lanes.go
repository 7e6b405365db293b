package main

// lanes is the step of a ladder that has one packet in each element of a vector (RFC 7748, §5, in the order of
// operations that needs the fewest carries). Between steps it keeps
//
//	A = X₂ + Z₂   B = X₂ − Z₂   C = X₃ + Z₃   D = X₃ − Z₃
//
// all tight. The bit of a step says whether the scalar's bit differs from the one before, so whether the two points
// change places. The sums D·A ± C·B do not mind, but for a sign that the square takes away.
func lanes() *program {
	p := new(program)
	a, b, c, d := p.loadElement(rowA), p.loadElement(rowB), p.loadElement(rowC), p.loadElement(rowD)

	da := p.multiply(d, a, everywhere)
	cb := p.multiply(c, b, nowhere)
	s := p.carry(p.add(da, cb))
	t := p.carry(p.subtract(da, cb))
	a = p.each(func(k int) *value { return p.do(choose, a[k], c[k]) })
	aa := p.square(a, everywhere)
	b = p.each(func(k int) *value { return p.do(choose, b[k], d[k]) })
	bb := p.square(b, nowhere)

	t = p.carry(p.square(t, nowhere))
	x3 := p.square(s, everywhere)
	z3 := p.multiply(p.loadElement(rowX1), t, nowhere)
	p.storeElement(p.carry(p.add(x3, z3)), rowC)
	p.storeElement(p.carry(p.subtract(x3, z3)), rowD)

	e := p.carry(p.subtract(aa, bb))
	f := p.carry(p.scaled(aa, e))
	x2 := p.multiply(p.carry(aa), p.carry(bb), everywhere)
	z2 := p.multiply(e, f, nowhere)
	p.storeElement(p.carry(p.add(x2, z2)), rowA)
	p.storeElement(p.carry(p.subtract(x2, z2)), rowB)
	return p
}

// The rows of a ladder's memory, each a vector. A step reads and writes the first 20 of them and reads x₁.
const (
	rowA    = 0
	rowB    = rowA + limbs
	rowC    = rowB + limbs
	rowD    = rowC + limbs
	rowX1   = rowD + limbs
	rowBits = rowX1 + limbs // 4: what bit of the scalar differs from the one above it
	rowFree = rowBits + 4   // for values that have no register
)
