package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Registers are named by hand: there are as many values alive as there are registers.
var vectors = [32]reg.VecPhysical{
	reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
	reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
	reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
	reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
}

// x, y and z are register i at its three widths: 128, 256 and 512 bits.
func x(i int) reg.Register { return vectors[i].AsX() }
func y(i int) reg.Register { return vectors[i].AsY() }
func z(i int) reg.Register { return vectors[i].AsZ() }

// words defines 32-bit constants.
func words(name string, values ...uint32) Mem {
	data := GLOBL(name, RODATA|NOPTR)
	for i, value := range values {
		DATA(4*i, U32(value))
	}
	return data
}

// wipe clears all vector registers and leaves their upper halves as other code wants them. VZEROALL knows 16 of 32.
func wipe(registers int) {
	Comment("Clear the registers.")
	VZEROALL()
	for i := 16; i < registers; i++ {
		VPXORD(x(i), x(i), x(i))
	}
}

// transposeWords transposes 4×4 32-bit words in each 128 bits of four registers r, with four others: afterwards r[i] has
// word i of each of them.
func transposeWords(r, spare [4]reg.Register) {
	VPUNPCKLDQ(r[1], r[0], spare[0])
	VPUNPCKHDQ(r[1], r[0], spare[1])
	VPUNPCKLDQ(r[3], r[2], spare[2])
	VPUNPCKHDQ(r[3], r[2], spare[3])
	VPUNPCKLQDQ(spare[2], spare[0], r[0])
	VPUNPCKHQDQ(spare[2], spare[0], r[1])
	VPUNPCKLQDQ(spare[3], spare[1], r[2])
	VPUNPCKHQDQ(spare[3], spare[1], r[3])
}

// transposeQuarters transposes the 4×4 quarters of four zmm registers r, with four others: afterwards r[i] has quarter i
// of each of them.
func transposeQuarters(r, spare [4]reg.Register) {
	const lower, upper, even, odd = 0x44, 0xee, 0x88, 0xdd
	VSHUFI32X4(Imm(lower), r[1], r[0], spare[0])
	VSHUFI32X4(Imm(upper), r[1], r[0], spare[1])
	VSHUFI32X4(Imm(lower), r[3], r[2], spare[2])
	VSHUFI32X4(Imm(upper), r[3], r[2], spare[3])
	VSHUFI32X4(Imm(even), spare[2], spare[0], r[0])
	VSHUFI32X4(Imm(odd), spare[2], spare[0], r[1])
	VSHUFI32X4(Imm(even), spare[3], spare[1], r[2])
	VSHUFI32X4(Imm(odd), spare[3], spare[1], r[3])
}

// setMask lets mask cover the first length bytes (0 to 255, of which it can cover 64).
func setMask(mask, length reg.Register) {
	bits := GP64()
	MOVQ(I32(-1), bits)
	BZHIQ(length, bits, bits)
	KMOVQ(bits, mask)
}

// loop runs body that often, counting down.
func loop(name string, times uint64, body func()) {
	count := GP64()
	MOVQ(U32(times), count)
	Label(name)
	body()
	DECQ(count)
	JNZ(LabelRef(name))
}

func name(format string, arguments ...any) string { return fmt.Sprintf(format, arguments...) }
