package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Lanes: register i holds word i of the working vector of eight messages, and 16+i word i of their message blocks, so that
// all 32 registers are in use and nothing else is needed.

// column is what the function G changes: a column or a diagonal of the working vector.
type column struct{ a, b, c, d reg.Register }

// mix is the function G of RFC 7693, §3.1, for four columns side by side, each with the two message words that it adds.
func mix(columns [4]column, words [4][2]reg.Register) {
	each := func(step func(column)) {
		for _, v := range columns {
			step(v)
		}
	}
	for half, turn := range [2]struct{ d, b uint64 }{{32, 24}, {16, 63}} {
		for i, v := range columns {
			VPADDQ(words[i][half], v.a, v.a)
		}
		each(func(v column) { VPADDQ(v.b, v.a, v.a) })
		each(func(v column) { VPXORQ(v.a, v.d, v.d) })
		each(func(v column) { VPRORQ(Imm(turn.d), v.d, v.d) })
		each(func(v column) { VPADDQ(v.d, v.c, v.c) })
		each(func(v column) { VPXORQ(v.c, v.b, v.b) })
		each(func(v column) { VPRORQ(Imm(turn.b), v.b, v.b) })
	}
}

// hashRound is round i of BLAKE2b: four columns, then four diagonals.
func hashRound(i int) {
	order := schedule[i%len(schedule)]
	for turn := range 2 {
		var columns [4]column
		var words [4][2]reg.Register
		for j := range columns {
			columns[j] = column{z(j), z(4 + (j+turn)%4), z(8 + (j+2*turn)%4), z(12 + (j+3*turn)%4)}
			words[j] = [2]reg.Register{z(16 + order[8*turn+2*j]), z(16 + order[8*turn+2*j+1])}
		}
		mix(columns, words)
	}
}

// transposeLanes transposes 8×8 64-bit words: to[i] is set to word i of each of from, which is overwritten.
func transposeLanes(from, to [8]reg.Register) {
	for i := 0; i < 8; i += 2 { // even words of two registers, and odd ones
		VPUNPCKLQDQ(from[i+1], from[i], to[i])
		VPUNPCKHQDQ(from[i+1], from[i], to[i+1])
	}
	for odd := range 2 {
		transposeQuarters(
			[4]reg.Register{to[odd], to[2+odd], to[4+odd], to[6+odd]},
			[4]reg.Register{from[odd], from[2+odd], from[4+odd], from[6+odd]},
		)
	}
}

func eight(from int) (registers [8]reg.Register) {
	for i := range registers {
		registers[i] = z(from + i)
	}
	return registers
}

// hashLanesAVX512 is the kernel for eight messages.
func hashLanesAVX512(constants hashConstants) {
	TEXT("hashLanesAVX512", NOSPLIT, "func(state *[8][8]uint64, sums, keys, messages *[8]*byte, "+
		"size, keySize, length int, parameters uint64)")
	Doc("hashLanesAVX512 sets the size bytes at each of sums to the BLAKE2b of the length bytes at its message under the",
		"keySize bytes at its key. parameters is the word that goes into the first of the initial chaining value.",
		"state is working memory, which is cleared.")
	Pragma("noescape")
	state := Load(Param("state"), GP64())
	sums := Load(Param("sums"), GP64())
	keys := Load(Param("keys"), GP64())
	messages := Load(Param("messages"), GP64())
	size := Load(Param("size"), GP64())
	keySize := Load(Param("keySize"), GP64())
	left := Load(Param("length"), GP64())
	parameters := Load(Param("parameters"), GP64())

	VPBROADCASTQ(parameters, z(0))
	for i := range 8 {
		if i == 0 {
			VPXORQ_BCST(constants.iv, z(0), z(0))
		} else {
			VPBROADCASTQ(constants.iv.Offset(8*i), z(i))
		}
		VMOVDQU64(z(i), Mem{Base: state, Disp: 64 * i})
	}
	hashBlocks(keys, messages, keySize, left, func(from, at, counter, final reg.Register) {
		message := GP64()
		for half, mask := range []reg.Register{lower, upper} {
			for lane := range 8 {
				MOVQ(Mem{Base: from, Disp: 8 * lane}, message)
				VMOVDQU8_Z(Mem{Base: message, Index: at, Scale: 1, Disp: 64 * half}, mask, z(lane+8*half))
			}
			transposeLanes(eight(8*half), eight(16+8*half))
		}
		for i := range 8 {
			VMOVDQU64(Mem{Base: state, Disp: 64 * i}, z(i))
			switch i {
			case 4:
				VPBROADCASTQ(counter, z(12))
				VPXORQ_BCST(constants.iv.Offset(8*i), z(12), z(12))
			case 6:
				VPBROADCASTQ(final, z(14))
				VPXORQ_BCST(constants.iv.Offset(8*i), z(14), z(14))
			default:
				VPBROADCASTQ(constants.iv.Offset(8*i), z(8+i))
			}
		}
		for i := range hashRounds {
			Comment(name("Round %d.", i+1))
			hashRound(i)
		}
		for i := range 8 {
			VPXORQ(z(8+i), z(i), z(i))
			VPXORQ(Mem{Base: state, Disp: 64 * i}, z(i), z(i))
			VMOVDQU64(z(i), Mem{Base: state, Disp: 64 * i})
		}
	})
	Comment("Lanes without a message of their own write once more what the first has written.")
	transposeLanes(eight(0), eight(16))
	setMask(lower, size)
	VPXORQ(z(0), z(0), z(0))
	sum := GP64()
	for i := range 8 {
		MOVQ(Mem{Base: sums, Disp: 8 * i}, sum)
		VMOVDQU8(z(16+i), lower, Mem{Base: sum})
		VMOVDQU64(z(0), Mem{Base: state, Disp: 64 * i})
	}
	wipe(32)
	RET()
}
