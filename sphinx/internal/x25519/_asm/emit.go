package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// assembly writes instructions over vectors of width elements of 64 bits: 4 (ymm) or 8 (zmm).
type assembly struct {
	width  int
	memory reg.Register
	name   string
	rows   map[string]Mem // constants in memory
}

// bit is the mask register with the elements whose scalars have the step's bit; chosen are those for addAt and
// subtractAt.
var (
	bit    = reg.K1
	chosen = []reg.OpmaskPhysical{reg.K2, reg.K3, reg.K4, reg.K5, reg.K6}
)

func (a *assembly) vector(r int) Op {
	if a.width == 4 {
		return ymm[r]
	}
	return zmm[r]
}

func (a *assembly) row(at int) Mem { return Mem{Base: a.memory, Disp: at * a.width * 8} }

// constantRow returns where the numbers of a constant are, and whether they are one for all elements.
func (a *assembly) constantRow(v *value) (at Mem, one bool) {
	one = len(v.numbers) == 1
	name := v.name
	if !one {
		name = fmt.Sprintf("%s_x%d", name, a.width)
	}
	at, ok := globals[name]
	if !ok {
		at = GLOBL(name, RODATA|NOPTR)
		count := a.width
		if one {
			count = 1
		}
		for i := range count {
			number := v.numbers[i%len(v.numbers)]
			if v.order {
				number += uint64(i &^ 3)
			}
			DATA(8*i, U64(number))
		}
		globals[name] = at
	}
	return at, one
}

// globals are the constants that were written, by name, for all functions.
var globals = make(map[string]Mem)

func (a *assembly) load(into int, from operand) {
	switch {
	case from.constant == nil:
		VMOVDQU64(a.row(from.row), a.vector(into))
	default:
		at, one := a.constantRow(from.constant)
		if one {
			VPBROADCASTQ(at, a.vector(into))
		} else {
			VMOVDQU64(at, a.vector(into))
		}
	}
}

func (a *assembly) store(from, at int)  { VMOVDQU64(a.vector(from), a.row(at)) }
func (a *assembly) copy(into, from int) { VMOVDQA64(a.vector(from), a.vector(into)) }
func (a *assembly) mask(e []bool) Op    { return chosen[a.masks(e)] }
func (a *assembly) masks(elements []bool) int {
	for i, pattern := range patterns {
		same := true
		for j := range pattern {
			same = same && pattern[j] == elements[j]
		}
		if same {
			return i
		}
	}
	panic("no mask register has these elements")
}

// patterns are what the chosen mask registers hold.
var patterns = [][]bool{
	{false, true, false, true},
	{true, false, true, false},
	{false, false, true, false},
	{false, true, false, false},
	{true, false, false, false},
}

func (a *assembly) instruction(v *value, into int, arguments []operand) {
	dst := a.vector(into)
	if v.operation == constant {
		VPXORQ(dst, dst, dst)
		return
	}
	one := false
	at := func(i int) Op {
		switch o := arguments[i]; {
		case o.register >= 0:
			return a.vector(o.register)
		case o.constant != nil:
			var m Mem
			m, one = a.constantRow(o.constant)
			return m
		default:
			return a.row(o.row)
		}
	}
	last := at(len(arguments) - 1)
	pick := func(plain, broadcast func(...Op)) func(...Op) {
		if one {
			return broadcast
		}
		return plain
	}
	switch v.operation {
	case add:
		pick(VPADDQ, VPADDQ_BCST)(last, at(0), dst)
	case subtract:
		pick(VPSUBQ, VPSUBQ_BCST)(last, at(0), dst)
	case low:
		pick(three(VPMADD52LUQ), three(VPMADD52LUQ_BCST))(last, at(1), dst)
	case high:
		pick(three(VPMADD52HUQ), three(VPMADD52HUQ_BCST))(last, at(1), dst)
	case shiftRight:
		VPSRLQ(Imm(uint64(v.count)), last, dst)
	case and:
		pick(VPANDQ, VPANDQ_BCST)(last, at(0), dst)
	case choose:
		pick(VPBLENDMQ, VPBLENDMQ_BCST)(last, at(0), bit, dst)
	case addAt:
		VPADDQ(last, dst, a.mask(v.elements), dst)
	case subtractAt:
		VPSUBQ(last, dst, a.mask(v.elements), dst)
	case replaceAt:
		pick(VPBLENDMQ, VPBLENDMQ_BCST)(last, at(0), a.mask(v.elements), dst)
	case arrange:
		VPERMQ(last, at(0), dst)
	case duplicateEven:
		VPUNPCKLQDQ(last, last, dst)
	case duplicateOdd:
		VPUNPCKHQDQ(last, last, dst)
	default:
		panic("no instruction for this operation")
	}
}

func three(f func(...Op)) func(...Op) { return f }
