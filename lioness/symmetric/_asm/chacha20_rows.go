package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Rows: a register holds one row of several blocks' states, 128 bits of each, and a quad is that many blocks. A round
// takes as long as its chain of instructions, whatever the width; up to three quads hide in each other's waiting. That
// is best for short messages, and for long ones where there are too few registers for lanes.

// rounds turns the quads by all rounds of ChaCha20. Between rounds over columns and over diagonals the rows a, c and d
// turn under b: b is the last to be computed, so that nothing waits for the turn.
func (u unit) rounds(label string, quads []quad) {
	turn := func(a, c, d uint64) {
		for _, q := range quads {
			VPSHUFD(Imm(a), q.a, q.a)
			VPSHUFD(Imm(d), q.d, q.d)
			VPSHUFD(Imm(c), q.c, q.c)
		}
	}
	const one, two, three = 0x39, 0x4e, 0x93 // words to the left
	loop(label, doubleRounds, func() {
		u.quarterRounds(quads)
		turn(three, one, two)
		u.quarterRounds(quads)
		turn(one, three, two)
	})
}

// xorBlocksAVX2 is the kernel for machines without AVX-512: six blocks at once, and two or four where no more are left.
func xorBlocksAVX2(constants chachaConstants) {
	TEXT("xorBlocksAVX2", NOSPLIT, "func(dst, src *byte, blocks int, key *[32]byte, counter uint32)")
	Doc("xorBlocksAVX2 sets dst to src XOR the keystream of key from block counter, for 1 or more whole blocks.")
	Pragma("noescape")
	dst := Load(Param("dst"), GP64())
	src := Load(Param("src"), GP64())
	blocks := Load(Param("blocks"), GP64())
	key := Load(Param("key"), GP64())
	counter := Load(Param("counter"), GP32())
	u := avx2(constants)

	spare := [4]reg.Register{y(12), y(13), y(14), y(15)}
	counters := func() {
		VMOVD(counter, x(12))
		VINSERTI128(Imm(1), x(12), y(12), y(12))
	}
	pass := func(n int) {
		Comment(name("%d blocks at once.", 2*n))
		quads := make([]quad, n)
		counters()
		for i := range quads {
			q := quad{y(4 * i), y(4*i + 1), y(4*i + 2), y(4*i + 3), spare[1+i%3]}
			quads[i] = q
			VBROADCASTI128(constants.sigma, q.a)
			VBROADCASTI128(Mem{Base: key}, q.b)
			VBROADCASTI128(Mem{Base: key, Disp: 16}, q.c)
			VPADDD(constants.countRows.Offset(32*i), spare[0], q.d)
		}
		u.rounds(name("rounds%d", n), quads)
		counters()
		VBROADCASTI128(constants.sigma, spare[1])
		VBROADCASTI128(Mem{Base: key}, spare[2])
		VBROADCASTI128(Mem{Base: key, Disp: 16}, spare[3])
		for i, q := range quads {
			VPADDD(spare[1], q.a, q.a)
			VPADDD(spare[2], q.b, q.b)
			VPADDD(spare[3], q.c, q.c)
			VPADDD(spare[0], q.d, q.d)
			VPADDD(constants.countRows.Offset(32*i), q.d, q.d)
		}
		for i, q := range quads {
			const lower, upper = 0x20, 0x31
			for j, half := range []uint64{lower, upper} {
				VPERM2I128(Imm(half), q.b, q.a, spare[1])
				VPERM2I128(Imm(half), q.d, q.c, spare[2])
				at := blockSize * (2*i + j)
				VPXOR(Mem{Base: src, Disp: at}, spare[1], spare[1])
				VPXOR(Mem{Base: src, Disp: at + 32}, spare[2], spare[2])
				VMOVDQU(spare[1], Mem{Base: dst, Disp: at})
				VMOVDQU(spare[2], Mem{Base: dst, Disp: at + 32})
				DECQ(blocks)
				JZ(LabelRef("done"))
			}
		}
	}

	Label("pass")
	CMPQ(blocks, Imm(4))
	JA(LabelRef("three"))
	CMPQ(blocks, Imm(2))
	JA(LabelRef("two"))
	pass(1)
	Label("two")
	pass(2)
	Label("three")
	pass(3)
	ADDQ(U32(6*blockSize), dst)
	ADDQ(U32(6*blockSize), src)
	ADDL(Imm(6), counter)
	JMP(LabelRef("pass"))
	Label("done")
	wipe(16)
	RET()
}
