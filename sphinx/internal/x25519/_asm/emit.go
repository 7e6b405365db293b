package main

import (
	"fmt"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// assembly writes instructions over vectors of width elements of 64 bits: 4 (ymm) or 8 (zmm).
type assembly struct {
	width  int
	avx2   bool         // no instruction of AVX-512: 16 registers, no masks, constants are rows
	memory reg.Register // points to row 0
}

// patterns are the choices among each four elements that operations make, and chosen the mask registers that hold them;
// bit holds the elements whose scalars have the step's bit.
var (
	patterns = [][]bool{
		{false, true, false, true},
		{true, false, true, false},
		{false, false, true, false},
		{false, true, false, false},
		{true, false, false, false},
	}
	chosen = []reg.OpmaskPhysical{reg.K2, reg.K3, reg.K4, reg.K5, reg.K6}
	bit    = reg.K1
)

// mask returns the register of the pattern that elements are.
func mask(elements []bool) Op {
	at := slices.IndexFunc(patterns, func(pattern []bool) bool { return slices.Equal(pattern, elements) })
	return chosen[at]
}

func (a *assembly) vector(r int) Op {
	if a.width == 4 {
		return vectors[r].AsY()
	}
	return vectors[r]
}

func (a *assembly) row(at int) Mem { return Mem{Base: a.memory, Disp: at * a.width * 8} }

// constantRow returns where the numbers of a constant are, and whether they are one for all elements.
func (a *assembly) constantRow(v *value) (at Mem, one bool) {
	one = len(v.numbers) == 1 && !a.avx2
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
	at, one := a.row(from.row), false
	if from.constant != nil {
		at, one = a.constantRow(from.constant)
	}
	switch {
	case one:
		VPBROADCASTQ(at, a.vector(into))
	case a.avx2:
		VMOVDQU(at, a.vector(into))
	default:
		VMOVDQU64(at, a.vector(into))
	}
}

func (a *assembly) store(from, at int) {
	if a.avx2 {
		VMOVDQU(a.vector(from), a.row(at))
	} else {
		VMOVDQU64(a.vector(from), a.row(at))
	}
}

func (a *assembly) copy(into, from int) { VMOVDQA64(a.vector(from), a.vector(into)) } // which AVX2 needs nowhere

// instruction writes that of v. Where all elements of a constant are one number it is broadcast from one place.
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
		pick(VPMADD52LUQ, VPMADD52LUQ_BCST)(last, at(1), dst)
	case high:
		pick(VPMADD52HUQ, VPMADD52HUQ_BCST)(last, at(1), dst)
	case times:
		VPMULUDQ(last, at(0), dst)
	case shiftRight:
		VPSRLQ(Imm(uint64(v.count)), last, dst)
	case shiftLeft:
		VPSLLQ(Imm(uint64(v.count)), last, dst)
	case and:
		if a.avx2 {
			VPAND(last, at(0), dst)
		} else {
			pick(VPANDQ, VPANDQ_BCST)(last, at(0), dst)
		}
	case choose:
		pick(VPBLENDMQ, VPBLENDMQ_BCST)(last, at(0), bit, dst)
	case xor:
		VPXOR(last, at(0), dst)
	case addAt:
		VPADDQ(last, dst, mask(v.elements), dst)
	case subtractAt:
		VPSUBQ(last, dst, mask(v.elements), dst)
	case replaceAt:
		pick(VPBLENDMQ, VPBLENDMQ_BCST)(last, at(0), mask(v.elements), dst)
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

var vectors = []reg.VecPhysical{
	reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
	reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
}
