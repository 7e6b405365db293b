package main

import "math/bits"

// simulate computes what p stores, for four neighbouring elements whose step's bit is bit.
func simulate(p *program, memory map[int][4]uint64, bit bool) map[int][4]uint64 {
	known := make(map[*value][4]uint64)
	stored := make(map[int][4]uint64)
	of := func(v *value) (e [4]uint64) {
		if v.operation != constant {
			return known[v]
		}
		for i := range e {
			e[i] = v.numbers[i%len(v.numbers)]
		}
		return e
	}
	for _, item := range p.body {
		if s, ok := item.(store); ok {
			stored[s.at] = of(s.value)
			continue
		}
		v := item.(*value)
		var a, b, c [4]uint64
		for i, into := range []*[4]uint64{&a, &b, &c} {
			if i < len(v.arguments) {
				*into = of(v.arguments[i])
			}
		}
		r := a
		for i := range r {
			over, under := bits.Mul64(b[i]&(1<<52-1), c[i]&(1<<52-1))
			switch v.operation {
			case load:
				r[i] = memory[v.at][i]
			case constant:
				r[i] = of(v)[i]
			case add:
				r[i] = a[i] + b[i]
			case subtract:
				r[i] = a[i] - b[i]
			case low:
				r[i] = a[i] + under&(1<<52-1)
			case high:
				r[i] = a[i] + (over<<12 | under>>52)
			case shiftLeft:
				r[i] = a[i] << v.count
			case shiftRight:
				r[i] = a[i] >> v.count
			case and:
				r[i] = a[i] & b[i]
			case multiply:
				r[i] = a[i] * b[i]
			case choose:
				if bit {
					r[i] = b[i]
				}
			case addAt:
				if v.elements[i] {
					r[i] = a[i] + b[i]
				}
			case subtractAt:
				if v.elements[i] {
					r[i] = a[i] - b[i]
				}
			case replaceAt:
				if v.elements[i] {
					r[i] = b[i]
				}
			case duplicateEven:
				r[i] = a[i&^1]
			case duplicateOdd:
				r[i] = a[i|1]
			case arrange:
				r[i] = b[a[i]]
			}
		}
		known[v] = r
	}
	return stored
}
