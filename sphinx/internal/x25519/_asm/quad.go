package main

// quad is the step of a ladder that has one packet in each four elements of a vector, whose four products go side by
// side; after Hisil, Eğrice and Yassı, "Fast 4 way vectorized ladder for the complete set of Montgomery curves" (2020), in
// three multiplications. Between steps it keeps A, B, C and D of lanes, side by side. bits are as there.
func quad() *program {
	p := &program{limbs: limbs}
	v, x1 := p.loadElement(elementA), p.loadElement(elementX1)
	even, odd := start{true, false, true, false}, []bool{false, true, false, true}

	// A'², B'², D·A, C·B
	left := p.order("left", []uint64{0, 1, 0, 1}, []uint64{2, 3, 0, 1})
	right := p.order("right", []uint64{0, 1, 3, 2}, []uint64{2, 3, 3, 2})
	f := p.each(func(k int) *value { return p.arrange(left, v[k]) })
	g := p.each(func(k int) *value { return p.arrange(right, v[k]) })
	first := p.multiplySoon(f, g, even)

	// AA·BB, 121665·E, S², T²
	aa := p.each(func(k int) *value { return p.do(duplicateEven, first[k]) }) // AA AA DA DA
	bb := p.each(func(k int) *value { return p.do(duplicateOdd, first[k]) })  // BB BB CB CB
	sums := p.each(func(k int) *value {                                       // AA E S T
		return p.at(addAt, []bool{false, false, true, false}, p.at(subtractAt, odd, aa[k], bb[k]), bb[k])
	})
	f = p.carry(sums)
	g = p.carry(p.each(func(k int) *value { return p.at(replaceAt, []bool{true, false, false, false}, sums[k], bb[k]) }))
	g = p.each(func(k int) *value {
		factor := p.constant("zero", 0)
		if k == 0 {
			factor = p.constant("c121665", 121665)
		}
		return p.at(replaceAt, []bool{false, true, false, false}, g[k], factor)
	})
	second := p.multiplySoon(f, g, nowhere)

	// 1·X₂, E·F, 1·X₃, x₁·T²
	g = p.carry(p.each(func(k int) *value { return p.at(addAt, []bool{false, true, false, false}, second[k], aa[k]) }))
	f = p.each(func(k int) *value { return p.at(replaceAt, []bool{false, true, false, false}, x1[k], f[k]) })
	third := p.multiplySoon(f, g, even)
	x := p.each(func(k int) *value { return p.do(duplicateEven, third[k]) }) // X₂ X₂ X₃ X₃
	z := p.each(func(k int) *value { return p.do(duplicateOdd, third[k]) })  // Z₂ Z₂ Z₃ Z₃
	p.storeElement(p.carry(p.each(func(k int) *value { return p.at(addAt, even, p.at(subtractAt, odd, x[k], z[k]), z[k]) })), elementA)
	return p
}
