package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Lanes: register i of sixteen holds word i of sixteen blocks' states. Nothing waits, and nothing is shuffled before the
// end, where the sixteen registers are transposed into sixteen blocks of keystream.

const lanes = 16

// laneRounds turns the states in registers 0 to 15 by all rounds of ChaCha20.
func laneRounds() {
	u := avx512()
	quads := func(turn int) (all []quad) {
		for i := range 4 {
			all = append(all, quad{a: z(i), b: z(4 + (i+turn)%4), c: z(8 + (i+2*turn)%4), d: z(12 + (i+3*turn)%4)})
		}
		return all
	}
	loop("laneRounds", doubleRounds, func() {
		u.quarterRounds(quads(0))
		u.quarterRounds(quads(1))
	})
}

// laneBlocks makes of registers 0 to 15, which hold a word of each of sixteen blocks, the blocks, in their order.
func laneBlocks() {
	four := func(from, step int) [4]reg.Register {
		return [4]reg.Register{z(from), z(from + step), z(from + 2*step), z(from + 3*step)}
	}
	for i := range 4 {
		transposeWords(four(4*i, 1), four(16+4*i, 1))
	}
	for i := range 4 {
		transposeQuarters(four(i, 4), four(16+4*i, 1))
	}
}

// stream is where a kernel is in one stream.
type stream struct{ dst, src, length reg.Register }

// xorAll adds whole blocks of keystream.
func (s stream) xorAll(blocks []reg.Register) {
	for i, block := range blocks {
		VPXORD(Mem{Base: s.src, Disp: blockSize * i}, block, block)
	}
	for i, block := range blocks {
		VMOVDQU32(block, Mem{Base: s.dst, Disp: blockSize * i})
	}
}

// xorLast adds as many of the blocks of keystream as the stream still takes, and jumps to "last" with what of register 0
// it takes beyond.
func (s stream) xorLast(blocks []reg.Register) {
	for i, block := range blocks {
		if i > 0 { // into register 0, which was the first block
			VMOVDQA64(block, z(0))
		}
		CMPQ(s.length, Imm(blockSize))
		JB(LabelRef("last"))
		VPXORD(Mem{Base: s.src}, z(0), z(0))
		VMOVDQU32(z(0), Mem{Base: s.dst})
		s.advance(1)
	}
	JMP(LabelRef("done"))
}

func (s stream) advance(blocks int) {
	ADDQ(U32(blockSize*blocks), s.src)
	ADDQ(U32(blockSize*blocks), s.dst)
	SUBQ(U32(blockSize*blocks), s.length)
}

// xorMasked adds the first length (0 to 64) bytes of a block of keystream, and touches no other.
func xorMasked(dst, src, length, block, data reg.Register) {
	setMask(reg.K1, length)
	VMOVDQU8_Z(Mem{Base: src}, reg.K1, data)
	VPXORD(data, block, block)
	VMOVDQU8(block, reg.K1, Mem{Base: dst})
}

// xorStreamAVX512 is the kernel for one stream.
func xorStreamAVX512(constants chachaConstants) {
	TEXT("xorStreamAVX512", NOSPLIT, "func(dst, src *byte, length int, key *[32]byte)")
	Doc("xorStreamAVX512 sets the length (0 or more) bytes at dst to those at src XOR the keystream of key from block 0.")
	Pragma("noescape")
	s := stream{
		dst:    Load(Param("dst"), GP64()),
		src:    Load(Param("src"), GP64()),
		length: Load(Param("length"), GP64()),
	}
	key := Load(Param("key"), GP64())
	counter := GP32()
	XORL(counter, counter)

	Label("pass")
	CMPQ(s.length, U32(lanes*blockSize))
	JAE(LabelRef("lanes"))
	TESTQ(s.length, s.length)
	JZ(LabelRef("done"))
	CMPQ(s.length, U32(4*blockSize))
	JBE(LabelRef("rows1"))
	CMPQ(s.length, U32(8*blockSize))
	JBE(LabelRef("rows2"))
	CMPQ(s.length, U32(12*blockSize))
	JBE(LabelRef("rows3"))

	Label("lanes")
	for i := range 4 {
		VPBROADCASTD(constants.sigma.Offset(4*i), z(i))
	}
	for i := range 8 {
		VPBROADCASTD(Mem{Base: key, Disp: 4 * i}, z(4+i))
	}
	VPBROADCASTD(counter, z(12))
	VPADDD(constants.count, z(12), z(12))
	VMOVDQA64(z(12), z(16))
	for i := 13; i < 16; i++ {
		VPXORD(z(i), z(i), z(i))
	}
	laneRounds()
	for i := range 4 {
		VPADDD_BCST(constants.sigma.Offset(4*i), z(i), z(i))
	}
	for i := range 8 {
		VPADDD_BCST(Mem{Base: key, Disp: 4 * i}, z(4+i), z(4+i))
	}
	VPADDD(z(16), z(12), z(12))
	laneBlocks()
	var blocks []reg.Register
	for i := range lanes {
		blocks = append(blocks, z(i))
	}
	CMPQ(s.length, U32(lanes*blockSize))
	JB(LabelRef("lanesLast"))
	s.xorAll(blocks)
	s.advance(lanes)
	ADDL(Imm(lanes), counter)
	JMP(LabelRef("pass"))
	Label("lanesLast")
	s.xorLast(blocks)

	for n := 1; n <= 3; n++ {
		Label(name("rows%d", n))
		s.xorLast(rowBlocks(constants, key, counter, n))
	}

	Label("last")
	xorMasked(s.dst, s.src, s.length, z(0), z(1))
	Label("done")
	wipe(32)
	RET()
}

// rowBlocks computes the next 4n blocks of keystream by rows, and returns the registers in which they are.
func rowBlocks(constants chachaConstants, key, counter reg.Register, n int) (blocks []reg.Register) {
	Comment(name("%d blocks at once.", 4*n))
	initial := [4]reg.Register{z(16), z(17), z(18), z(19)}
	VBROADCASTI32X4(constants.sigma, initial[0])
	VBROADCASTI32X4(Mem{Base: key}, initial[1])
	VBROADCASTI32X4(Mem{Base: key, Disp: 16}, initial[2])
	VMOVD(counter, x(19))
	VSHUFI32X4(Imm(0), z(19), z(19), z(19))
	quads, counters := make([]quad, n), make([]reg.Register, n)
	for i := range quads {
		q := quad{a: z(4 * i), b: z(4*i + 1), c: z(4*i + 2), d: z(4*i + 3)}
		quads[i], counters[i] = q, z(20+i)
		VPADDD(constants.countRows.Offset(64*i), initial[3], counters[i])
		VMOVDQA64(initial[0], q.a)
		VMOVDQA64(initial[1], q.b)
		VMOVDQA64(initial[2], q.c)
		VMOVDQA64(counters[i], q.d)
	}
	avx512().rounds(name("rowRounds%d", n), quads)
	for i, q := range quads {
		VPADDD(initial[0], q.a, q.a)
		VPADDD(initial[1], q.b, q.b)
		VPADDD(initial[2], q.c, q.c)
		VPADDD(counters[i], q.d, q.d)
		r := [4]reg.Register{q.a, q.b, q.c, q.d}
		transposeQuarters(r, [4]reg.Register{z(24), z(25), z(26), z(27)})
		blocks = append(blocks, r[:]...)
	}
	return blocks
}

// xorBlocksAVX512 is the kernel for blocks of several streams.
func xorBlocksAVX512(constants chachaConstants) {
	TEXT("xorBlocksAVX512", NOSPLIT, "func(dst, src *[16]*byte, lengths *[16]int, keys *[16]*[32]byte, counters *[16]uint32)")
	Doc("xorBlocksAVX512 sets the lengths[i] (0 to 64) bytes at dst[i] to those at src[i] XOR block counters[i] of the",
		"keystream of keys[i]. No pointer may be nil, whatever the length.")
	Pragma("noescape")
	dst := Load(Param("dst"), GP64())
	src := Load(Param("src"), GP64())
	lengths := Load(Param("lengths"), GP64())
	keys := Load(Param("keys"), GP64())
	counters := Load(Param("counters"), GP64())

	// Quarter p of the loaded register i has half a key of lane 4p+i, so that transposed words come in the lanes' order.
	halves := [2][4]reg.Register{{z(24), z(25), z(26), z(27)}, {z(28), z(29), z(30), z(31)}}
	key := GP64()
	for i := range 4 {
		for quarter := range 4 {
			MOVQ(Mem{Base: keys, Disp: 8 * (4*quarter + i)}, key)
			for half := range halves {
				at := Mem{Base: key, Disp: 16 * half}
				if to := halves[half][i]; quarter == 0 {
					VMOVDQU32(at, to.(reg.Vec).AsX())
				} else {
					VINSERTI32X4(Imm(uint64(quarter)), at, to, to)
				}
			}
		}
	}
	for half := range halves {
		transposeWords(halves[half], [4]reg.Register{z(0), z(1), z(2), z(3)})
	}
	for i := range 4 {
		VPBROADCASTD(constants.sigma.Offset(4*i), z(i))
	}
	for i := range 8 {
		VMOVDQA64(z(24+i), z(4+i))
	}
	VMOVDQU32(Mem{Base: counters}, z(12))
	for i := 13; i < 16; i++ {
		VPXORD(z(i), z(i), z(i))
	}
	laneRounds()
	for i := range 4 {
		VPADDD_BCST(constants.sigma.Offset(4*i), z(i), z(i))
	}
	for i := range 8 {
		VPADDD(z(24+i), z(4+i), z(4+i))
	}
	VPADDD(Mem{Base: counters}, z(12), z(12))
	laneBlocks()
	to, from, length := GP64(), GP64(), GP64()
	for i := range lanes {
		MOVQ(Mem{Base: dst, Disp: 8 * i}, to)
		MOVQ(Mem{Base: src, Disp: 8 * i}, from)
		MOVQ(Mem{Base: lengths, Disp: 8 * i}, length)
		xorMasked(to, from, length, z(i), z(16+i))
	}
	wipe(32)
	RET()
}
