package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// lanesAVX2 has the words of message in memory, as the working vector takes all 16 registers; where a rotation needs one
// more, it keeps another one's content at kept.
func lanesAVX2(constants hashConstants, word func(i int) Op, kept Mem) laneUnit {
	return laneUnit{
		vector: y,
		word:   word,
		xor:    func(operands ...Op) { VPXOR(operands[0], operands[1], operands[2]) },
		rotate: func(rows [4]reg.Register, lent reg.Register, bits uint64) {
			if bits == 63 {
				VMOVDQU(lent, kept)
				defer VMOVDQU(kept, lent)
			}
			for _, row := range rows {
				switch bits {
				case 32:
					const swapped = 0xb1 // halves of words
					VPSHUFD(Imm(swapped), row, row)
				case 24:
					VPSHUFB(constants.turn24, row, row)
				case 16:
					VPSHUFB(constants.turn16, row, row)
				case 63:
					VPADDQ(row, row, lent)
					VPSRLQ(Imm(63), row, row)
					VPXOR(lent, row, row)
				}
			}
		},
	}
}

// hashLanesAVX2 is the kernel for four messages on machines without AVX-512. No mask lets it read a part of a block.
func hashLanesAVX2(constants hashConstants) {
	TEXT("hashLanesAVX2", NOSPLIT, "func(state *[8][64]byte, words *[24][8]uint64, keys, messages, last *[4]*byte, "+
		"keySize, length int, parameters uint64)")
	Doc("hashLanesAVX2 sets state[i], for i up to 3, to the BLAKE2b of the length bytes at messages[i] under the keySize",
		"bytes at keys[i]. The last block of each message is read at last; it and keys are filled up to 128 bytes with",
		"zeros. parameters is the word that goes into the first of the initial chaining value. words is working memory,",
		"which is cleared.")
	Pragma("noescape")
	state := Load(Param("state"), GP64())
	words := Load(Param("words"), GP64())
	keys := Load(Param("keys"), GP64())
	messages := Load(Param("messages"), GP64())
	last := Load(Param("last"), GP64())
	keySize := Load(Param("keySize"), GP64())
	left := Load(Param("length"), GP64())
	parameters := Load(Param("parameters"), GP64())
	row := func(memory reg.Register, i int) Mem { return Mem{Base: memory, Disp: 32 * i} }
	kept := row(words, 16)
	u := lanesAVX2(constants, func(i int) Op { return row(words, i) }, kept)
	xorAll := func(word reg.Register, to, spare int) { // into all lanes
		VMOVQ(word, x(spare))
		VPBROADCASTQ(x(spare), y(spare))
		VPXOR(y(spare), y(to), y(to))
	}

	for i := range 8 {
		VPBROADCASTQ(constants.iv.Offset(8*i), y(i))
	}
	xorAll(parameters, 0, 8)
	for i := range 8 {
		VMOVDQU(y(i), row(state, i))
	}
	hashBlocks(keys, messages, last, keySize, left, func(from, at, counter, final reg.Register) {
		var lanes [4]reg.Register
		for i := range lanes {
			lanes[i] = GP64()
			MOVQ(Mem{Base: from, Disp: 8 * i}, lanes[i])
		}
		for i := 0; i < 16; i += 2 { // words i and i+1 of lanes 0 and 2, and of lanes 1 and 3; then of all lanes
			for lane := range 2 {
				VMOVDQU(Mem{Base: lanes[lane], Index: at, Scale: 1, Disp: 8 * i}, x(lane))
				VINSERTI128(Imm(1), Mem{Base: lanes[lane+2], Index: at, Scale: 1, Disp: 8 * i}, y(lane), y(lane))
			}
			VPUNPCKLQDQ(y(1), y(0), y(2))
			VPUNPCKHQDQ(y(1), y(0), y(3))
			VMOVDQU(y(2), row(words, i))
			VMOVDQU(y(3), row(words, i+1))
		}
		for i := range 8 {
			VPBROADCASTQ(constants.iv.Offset(8*i), y(8+i))
		}
		xorAll(counter, 12, 0)
		xorAll(final, 14, 0)
		for i := range 8 {
			VMOVDQU(row(state, i), y(i))
		}
		u.rounds()
		for i := range 8 {
			VPXOR(y(8+i), y(i), y(i))
			VPXOR(row(state, i), y(i), y(i))
			VMOVDQU(y(i), row(state, i))
		}
	})
	for half := range 2 {
		w := [4]reg.Register{y(4 * half), y(4*half + 1), y(4*half + 2), y(4*half + 3)}
		VPUNPCKLQDQ(w[1], w[0], y(8)) // of lanes 0 and 2
		VPUNPCKLQDQ(w[3], w[2], y(9))
		VPUNPCKHQDQ(w[1], w[0], y(10)) // of lanes 1 and 3
		VPUNPCKHQDQ(w[3], w[2], y(11))
		const lower, upper = 0x20, 0x31
		for lane := range 4 {
			VPERM2I128(Imm([]uint64{lower, upper}[lane/2]), y(9+lane%2*2), y(8+lane%2*2), w[0])
			VMOVDQU(w[0], Mem{Base: state, Disp: 64*lane + 32*half})
		}
	}
	VPXOR(y(0), y(0), y(0))
	for i := range 16 + 1 { // and what was kept
		VMOVDQU(y(0), row(words, i))
	}
	wipe(16)
	RET()
}
