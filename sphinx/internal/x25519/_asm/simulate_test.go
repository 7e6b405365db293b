package main

import (
	"math"
	"math/bits"
)

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
		if _, ok := item.(checked); ok {
			continue
		}
		v := item.(*value)
		var a, b, c [4]uint64
		for i, into := range []*[4]uint64{&a, &b, &c} {
			if i < len(v.arguments) {
				*into = of(v.arguments[i])
			}
		}
		if v.operation == load {
			a = memory[v.at]
		}
		known[v] = v.evaluate(a, b, c, bit)
	}
	return stored
}

// evaluate computes v from its arguments.
func (v *value) evaluate(a, b, c [4]uint64, bit bool) [4]uint64 {
	r := a
	for i := range r {
		over, under := bits.Mul64(b[i]&low52, c[i]&low52)
		switch v.operation {
		case constant:
			r[i] = v.numbers[i%len(v.numbers)]
		case add:
			r[i] = a[i] + b[i]
		case subtract:
			r[i] = a[i] - b[i]
		case low:
			r[i] = a[i] + under&low52
		case high:
			r[i] = a[i] + (over<<12 | under>>52)
		case shiftRight:
			r[i] = a[i] >> v.count
		case keep: // whatever comes of it must not depend on the higher bits
		case and:
			r[i] = a[i] & b[i]
		case choose:
			if bit {
				r[i] = b[i]
			}
		case xor:
			r[i] = a[i] ^ b[i]
		case times:
			r[i] = a[i] & math.MaxUint32 * (b[i] & math.MaxUint32)
		case shiftLeft:
			r[i] = a[i] << v.count
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
	return r
}

// machine does what is written to it: a processor with registers of four elements.
type machine struct {
	registers [32][4]uint64
	memory    map[int][4]uint64
	bit       bool
}

func (m *machine) read(o operand) (e [4]uint64) {
	switch {
	case o.register >= 0:
		return m.registers[o.register]
	case o.constant != nil:
		for i := range e {
			e[i] = o.constant.numbers[i%len(o.constant.numbers)]
		}
		return e
	}
	return m.memory[o.row]
}

func (m *machine) load(into int, from operand) { m.registers[into] = m.read(from) }
func (m *machine) store(from, at int)          { m.memory[at] = m.registers[from] }
func (m *machine) copy(into, from int)         { m.registers[into] = m.registers[from] }

func (m *machine) instruction(v *value, into int, arguments []operand) {
	var abc [3][4]uint64
	for i, o := range arguments {
		abc[i] = m.read(o)
	}
	if v.changesFirst() {
		abc[0] = m.registers[into]
	}
	m.registers[into] = v.evaluate(abc[0], abc[1], abc[2], m.bit)
}
