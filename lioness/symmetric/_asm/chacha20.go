package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	blockSize    = 64 // bytes of keystream in a block of ChaCha20
	doubleRounds = 10
)

// chachaConstants is what the kernels of ChaCha20 read beside their parameters.
type chachaConstants struct {
	sigma     Mem // "expand 32-byte k", the first row of every block (RFC 8439, §2.3)
	count     Mem // 0, 1 ... 15: the block counters of sixteen lanes
	countRows Mem // the same as the last rows of sixteen blocks: the counter first, and the nonce 0
	rotate16  Mem // the bytes of four words, rotated left by 16 bits
	rotate8   Mem // and by 8
}

func newChaChaConstants() chachaConstants {
	var count, rows, rotate16, rotate8 []uint32
	for i := range uint32(16) {
		count = append(count, i)
		rows = append(rows, i, 0, 0, 0)
	}
	for i := range uint32(8) { // the shuffle goes by 128 bits; a ymm register has two
		rotate16 = append(rotate16, 0x01000302+0x04040404*(i%4))
		rotate8 = append(rotate8, 0x02010003+0x04040404*(i%4))
	}
	return chachaConstants{
		sigma:     words("sigma", 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574),
		count:     words("count", count...),
		countRows: words("countRows", rows...),
		rotate16:  words("rotate16", rotate16...),
		rotate8:   words("rotate8", rotate8...),
	}
}

// quad is what a quarter round changes, with a register to spare where rotations need one.
type quad struct{ a, b, c, d, spare reg.Register }

// unit is an instruction set that does quarter rounds.
type unit struct {
	xor    func(...Op)
	rotate func(x, spare reg.Register, bits uint64)
}

func avx512() unit {
	return unit{
		xor:    VPXORD,
		rotate: func(x, _ reg.Register, bits uint64) { VPROLD(Imm(bits), x, x) },
	}
}

func avx2(constants chachaConstants) unit {
	return unit{
		xor: func(operands ...Op) { VPXOR(operands[0], operands[1], operands[2]) },
		rotate: func(x, spare reg.Register, bits uint64) {
			switch bits {
			case 16:
				VPSHUFB(constants.rotate16, x, x)
			case 8:
				VPSHUFB(constants.rotate8, x, x)
			default:
				VPSLLD(Imm(bits), x, spare)
				VPSRLD(Imm(32-bits), x, x)
				VPXOR(spare, x, x)
			}
		},
	}
}

// quarterRounds does the quarter rounds (RFC 8439, §2.1) of all quads side by side, as none waits for another.
func (u unit) quarterRounds(quads []quad) {
	step := func(bits uint64, of func(q quad) (sum, term, turned reg.Register)) {
		for _, q := range quads {
			sum, term, _ := of(q)
			VPADDD(term, sum, sum)
		}
		for _, q := range quads {
			sum, _, turned := of(q)
			u.xor(sum, turned, turned)
		}
		for _, q := range quads {
			_, _, turned := of(q)
			u.rotate(turned, q.spare, bits)
		}
	}
	upper := func(q quad) (sum, term, turned reg.Register) { return q.a, q.b, q.d }
	lower := func(q quad) (sum, term, turned reg.Register) { return q.c, q.d, q.b }
	step(16, upper)
	step(12, lower)
	step(8, upper)
	step(7, lower)
}
