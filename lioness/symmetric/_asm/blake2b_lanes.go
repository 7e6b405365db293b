package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Lanes: register i holds word i of the working vector of as many messages as it has words. Nothing waits, and nothing is
// shuffled but what is read, so that lanes take as long as the processor needs for so many instructions.

// laneUnit is an instruction set that does rounds in lanes.
type laneUnit struct {
	vector func(i int) reg.Register // at its width
	word   func(i int) Op           // where word i of the message blocks is
	xor    func(...Op)
	rotate func(rows [4]reg.Register, lent reg.Register, bits uint64) // to the right; lent is none of rows, and kept
}

// mix is the function G of RFC 7693, §3.1, for four columns or diagonals of the working vector side by side, given as
// rows of four, each with the two message words that it adds.
func (u laneUnit) mix(a, b, c, d [4]reg.Register, words [2][4]Op) {
	add := func(terms, sums [4]reg.Register) {
		for i := range sums {
			VPADDQ(terms[i], sums[i], sums[i])
		}
	}
	xor := func(terms, sums [4]reg.Register) {
		for i := range sums {
			u.xor(terms[i], sums[i], sums[i])
		}
	}
	for half, bits := range [2]struct{ d, b uint64 }{{32, 24}, {16, 63}} {
		for i, word := range words[half] {
			VPADDQ(word, a[i], a[i])
		}
		add(b, a)
		xor(a, d)
		u.rotate(d, a[0], bits.d)
		add(d, c)
		xor(c, b)
		u.rotate(b, a[0], bits.b)
	}
}

// rounds turns the working vectors in registers 0 to 15 by all rounds of BLAKE2b, each of four columns and four diagonals.
func (u laneUnit) rounds() {
	for round := range hashRounds {
		Comment(name("Round %d.", round+1))
		for turn := range 2 {
			var v [4][4]reg.Register
			var words [2][4]Op
			for i := range 4 {
				for row := range v {
					v[row][i] = u.vector(4*row + (i+row*turn)%4)
				}
				for half := range words {
					words[half][i] = u.word(schedule[round%len(schedule)][8*turn+2*i+half])
				}
			}
			u.mix(v[0], v[1], v[2], v[3], words)
		}
	}
}

// lanesAVX512 has words of message in registers 16 to 31, so that all 32 are in use and nothing else is needed.
func lanesAVX512() laneUnit {
	return laneUnit{
		vector: z,
		word:   func(i int) Op { return z(16 + i) },
		xor:    VPXORQ,
		rotate: func(rows [4]reg.Register, _ reg.Register, bits uint64) {
			for _, row := range rows {
				VPRORQ(Imm(bits), row, row)
			}
		},
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
	TEXT("hashLanesAVX512", NOSPLIT, "func(state *[8][64]byte, sums, keys, messages *[8]*byte, "+
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
	hashBlocks(keys, messages, nil, keySize, left, func(from, at, counter, final reg.Register) {
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
		lanesAVX512().rounds()
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
