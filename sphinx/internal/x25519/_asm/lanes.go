package main

// lanes is the step of a ladder that has one packet in each element of a vector (RFC 7748, §5, in the order of
// operations that needs the fewest carries). Between steps it keeps
//
//	A = X₂ + Z₂   B = X₂ − Z₂   C = X₃ + Z₃   D = X₃ − Z₃
//
// all tight. The bit of a step says whether the scalar's bit differs from the one before, so whether the two points
// change places. The sums D·A ± C·B do not mind, but for a sign that the square takes away.
func lanes(p arithmetic) {
	a, b, c, d := p.loadElement(elementA), p.loadElement(elementB), p.loadElement(elementC), p.loadElement(elementD)

	da := p.multiply(d, a, everywhere)
	cb := p.multiply(c, b, nowhere)
	s := p.carry(p.add(da, cb))
	t := p.carry(p.subtract(da, cb))
	a = p.choose(a, c)
	aa := p.square(a, everywhere)
	b = p.choose(b, d)
	bb := p.square(b, nowhere)

	t = p.carry(p.square(t, nowhere))
	x3 := p.square(s, everywhere)
	z3 := p.multiply(p.loadElement(elementX1), t, nowhere)
	p.storeElement(p.carry(p.add(x3, z3)), elementC)
	p.storeElement(p.carry(p.subtract(x3, z3)), elementD)

	e := p.carry(p.subtract(aa, bb))
	f := p.carry(p.scaled(aa, e))
	x2 := p.multiply(p.carry(aa), p.carry(bb), everywhere)
	z2 := p.multiply(e, f, nowhere)
	p.storeElement(p.carry(p.add(x2, z2)), elementA)
	p.storeElement(p.carry(p.subtract(x2, z2)), elementB)
}

// arithmetic is how field elements are written and computed with. Where a start is wanted, a multiple of p is added to what
// something is subtracted from; carry takes what the others return and makes it what they take.
type arithmetic interface {
	loadElement(which int) element
	storeElement(f element, which int)
	multiply(f, g element, s start) element
	square(f element, s start) element
	carry(r element) element
	scaled(a, e element) element // a + 121665·e
	add(a, b element) element
	subtract(a, b element) element
	choose(a, b element) element // b where the step's bit is set, a where it is not
}

// lanes52 is for instructions that multiply 52 bits.
func lanes52() *program {
	p := &program{limbs: limbs}
	lanes(p)
	return p
}

// lanes26 is for instructions that multiply 32 bits.
func lanes26() *program {
	p := &program{limbs: narrowLimbs}
	lanes(narrow{p})
	return p
}
