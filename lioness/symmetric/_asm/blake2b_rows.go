package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Rows: four ymm registers hold the working vector of one message, as RFC 7693 draws it. A block takes as long as its
// chain of instructions, of which every one must find its port free. So message words are first brought into the order in
// which all rounds add them, by zmm registers, which close one port of three; the rounds then read them from memory.

// column is what the function G changes: a column or a diagonal of the working vector, or here all of them at once.
type column struct{ a, b, c, d reg.Register }

// mixRows is the function G of RFC 7693, §3.1, for all columns or diagonals of v, with the message words at words: four to
// be added first, and four more. It then turns the rows a, c and d by so many words to the left, each as soon as it can,
// to where the next G wants them under b: b is the last to be computed, so that nothing waits for the turn.
func mixRows(v column, words Mem, a, c, d uint64) {
	turn := func(row reg.Register, by uint64) { VPERMQ(Imm([]uint64{0xe4, 0x39, 0x4e, 0x93}[by]), row, row) }
	for half, bits := range [2]struct{ d, b uint64 }{{32, 24}, {16, 63}} {
		VPADDQ(words.Offset(32*half), v.a, v.a)
		VPADDQ(v.b, v.a, v.a)
		VPXORQ(v.a, v.d, v.d)
		if half == 1 {
			turn(v.a, a)
		}
		VPRORQ(Imm(bits.d), v.d, v.d)
		VPADDQ(v.d, v.c, v.c)
		if half == 1 {
			turn(v.d, d)
		}
		VPXORQ(v.c, v.b, v.b)
		if half == 1 {
			turn(v.c, c)
		}
		VPRORQ(Imm(bits.b), v.b, v.b)
	}
}

// hashRowsAVX512 is the kernel for one message.
func hashRowsAVX512(constants hashConstants) {
	TEXT("hashRowsAVX512", NOSPLIT, "func(ordered *[24][8]uint64, sum, key, message *byte, "+
		"size, keySize, length int, parameters uint64)")
	Doc("hashRowsAVX512 sets the size bytes at sum to the BLAKE2b of the length bytes at message under the keySize bytes at",
		"key. parameters is the word that goes into the first of the initial chaining value. ordered is working memory,",
		"which is cleared.")
	Pragma("noescape")
	ordered := Load(Param("ordered"), GP64())
	sum := Load(Param("sum"), GP64())
	key := Load(Param("key"), GP64())
	message := Load(Param("message"), GP64())
	size := Load(Param("size"), GP64())
	keySize := Load(Param("keySize"), GP64())
	left := Load(Param("length"), GP64())
	parameters := Load(Param("parameters"), GP64())

	v := column{y(0), y(1), y(2), y(3)}
	chain := [2]reg.Register{y(4), y(5)}
	block := [2]reg.Register{z(6), z(7)}
	VMOVQ(parameters, x(4))
	VPXORQ(constants.iv, chain[0], chain[0])
	VMOVDQU64(constants.iv.Offset(32), chain[1])
	hashBlocks(key, message, nil, keySize, left, func(from, at, counter, final reg.Register) {
		VMOVDQU8_Z(Mem{Base: from, Index: at, Scale: 1}, lower, block[0])
		VMOVDQU8_Z(Mem{Base: from, Index: at, Scale: 1, Disp: 64}, upper, block[1])
		for i := range 2 * hashRounds {
			words := z(8 + i%8)
			VMOVDQU64(constants.order.Offset(64*(i%(2*len(schedule)))), words)
			VPERMI2Q(block[1], block[0], words)
			VMOVDQU64(words, Mem{Base: ordered, Disp: 64 * i})
		}
		VMOVDQA64(chain[0], v.a)
		VMOVDQA64(chain[1], v.b)
		VMOVDQU64(constants.iv, v.c)
		VMOVQ(counter, x(3))
		VMOVQ(final, x(8))
		VINSERTI64X2(Imm(1), x(8), v.d, v.d)
		VPXORQ(constants.iv.Offset(32), v.d, v.d)
		for i := range hashRounds {
			Comment(name("Round %d.", i+1))
			mixRows(v, Mem{Base: ordered, Disp: 64 * 2 * i}, 3, 1, 2)
			mixRows(v, Mem{Base: ordered, Disp: 64 * (2*i + 1)}, 1, 3, 2)
		}
		VPTERNLOGQ(Imm(0x96), v.c, v.a, chain[0]) // exclusive or of three
		VPTERNLOGQ(Imm(0x96), v.d, v.b, chain[1])
	})
	VINSERTI64X4(Imm(1), chain[1], z(4), z(4))
	setMask(lower, size)
	VMOVDQU8(z(4), lower, Mem{Base: sum})
	VPXORQ(z(4), z(4), z(4))
	for i := range 2 * hashRounds {
		VMOVDQU64(z(4), Mem{Base: ordered, Disp: 64 * i})
	}
	wipe(16)
	RET()
}
