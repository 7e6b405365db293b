package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const hashBlockSize = 128 // bytes of message in a block of BLAKE2b

// iv is BLAKE2b's initialisation vector (RFC 7693, §2.6).
var iv = [8]uint64{
	0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
	0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
}

// schedule is the order of message words in each round (RFC 7693, §2.7).
var schedule = [10][16]int{
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
	{11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
	{7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
	{9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
	{2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
	{12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
	{13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
	{6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
	{10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
}

const hashRounds = 12

// lower and upper are the masks of hashBlocks.
var lower, upper = reg.K1, reg.K2

// hashConstants is what the kernels of BLAKE2b read beside their parameters.
type hashConstants struct {
	iv     Mem
	order  Mem // for each half of each round, where the words are that rows add: four at first, and four more
	turn24 Mem // the bytes of four words, rotated right by 24 bits
	turn16 Mem // and by 16
}

func newHashConstants() hashConstants {
	constants := hashConstants{iv: GLOBL("iv", RODATA|NOPTR)}
	for i, word := range iv {
		DATA(8*i, U64(word))
	}
	constants.order = GLOBL("order", RODATA|NOPTR)
	for round, order := range schedule {
		for turn := range 2 {
			for half := range 2 {
				for i := range 4 {
					// Diagonals are where their words of b are, one to the right.
					word := order[8*turn+2*((i+3*turn)%4)+half]
					DATA(8*(16*round+8*turn+4*half+i), U64(uint64(word)))
				}
			}
		}
	}
	turned := func(name string, bytes uint64) Mem {
		data := GLOBL(name, RODATA|NOPTR)
		for i := range 32 {
			DATA(i, U8(uint64(i)%16/8*8+(uint64(i)+bytes)%8)) // the shuffle goes by 128 bits; a ymm register has two
		}
		return data
	}
	constants.turn24, constants.turn16 = turned("turn24", 3), turned("turn16", 2)
	return constants
}

// hashBlocks lets compress read each block of the key and the message, at from+at, and take it up. counter and final are t
// and f of RFC 7693, §3.2. Masks lower and upper cover what there is of a block's two halves, and the rest is zero; where
// there are no masks, the key and, at filled, the message's last block are filled up with zeros, and filled is not nil.
func hashBlocks(key, message, filled, keySize, left reg.Register, compress func(from, at, counter, final reg.Register)) {
	from, at, next, counter, final := GP64(), GP64(), GP64(), GP64(), GP64()
	XORQ(at, at)
	XORQ(next, next)
	XORQ(counter, counter)
	XORQ(final, final)
	TESTQ(keySize, keySize)
	JZ(LabelRef("message"))

	Comment("The key is a block, and the last one if there is no message.")
	MOVQ(key, from)
	MOVQ(U32(hashBlockSize), counter)
	if filled == nil {
		setMask(lower, keySize)
		KXORQ(upper, upper, upper)
	}
	TESTQ(left, left)
	JNZ(LabelRef("block"))
	DECQ(final)
	JMP(LabelRef("block"))

	Label("message")
	MOVQ(message, from)
	MOVQ(next, at)
	ADDQ(U32(hashBlockSize), next)
	CMPQ(left, U32(hashBlockSize))
	JBE(LabelRef("last"))
	ADDQ(U32(hashBlockSize), counter)
	SUBQ(U32(hashBlockSize), left)
	if filled == nil {
		KXNORQ(lower, lower, lower)
		KXNORQ(upper, upper, upper)
	}
	JMP(LabelRef("block"))

	Label("last")
	ADDQ(left, counter)
	DECQ(final)
	if filled == nil {
		setMask(lower, left)
		zero := GP64()
		XORQ(zero, zero)
		SUBQ(Imm(64), left)
		CMOVQCS(zero, left)
		setMask(upper, left)
	} else {
		MOVQ(filled, from)
		XORQ(at, at)
	}

	Label("block")
	compress(from, at, counter, final)
	TESTQ(final, final)
	JZ(LabelRef("message"))
}
