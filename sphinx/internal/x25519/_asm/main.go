// Command _asm writes the vector kernels of package x25519: Montgomery ladders (RFC 7748, §5) for AVX-512 IFMA, whose
// multiply-add instructions take the low or the high 52 bits of eight products of 52 bits at once; and for AVX2, whose
// multiplications are of four pairs of 32 bits.
//
//	field.go      field elements of five limbs in radix 2⁵², for the former
//	narrow.go     field elements of ten limbs in radix 2²⁵·⁵, for the latter
//	lanes.go      a ladder's step with a packet in each element of a vector: throughput
//	quad.go       a step with a packet in four elements: latency
//	program.go    the straight-line code that these write
//	ranges.go     the proof that no number in it overflows (go test)
//	schedule.go   their order
//	allocate.go   registers for its values
//	emit.go       instructions for its operations
//
// # Constant time
//
// A kernel's branch is the loop over the 255 bits of a scalar, and its addresses are constants but for the row of bits
// of the position in that loop. Neither depends on what is in the vectors. Secrets are in vector and mask registers alone,
// and in the caller's memory: they choose by VPBLENDMQ with a mask, by VPERMQ with an index, or by
// AND with ones and zeros, all of which do the same work for every mask and index. No other operation than those of
// program.go is emitted, and processors take the same time for each whatever its operands (Intel's list of instructions
// with data-independent timing has all but VPERMQ with an index, for which nobody has measured anything else: its time
// shows in no published table as depending on the index; the test of timing has a look at it).
package main

import (
	"fmt"
	"os"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	steps = 255 // of a ladder: a clamped scalar has bits 254 to 0
	room  = 512 // 64-bit elements of memory that a caller reserves
)

func main() {
	ConstraintExpr("amd64,!purego")
	ladder("quad1", &assembly{width: 4}, schedule(quad()))
	ladder("quad2", &assembly{width: 8}, schedule(quad()))
	ladder("lanes4", &assembly{width: 4}, schedule(lanes52()))
	ladder("lanes8", &assembly{width: 8}, schedule(lanes52()))
	// As it is written: with 16 registers, any other order costs more in moves than it saves in waiting.
	ladder("narrow4", &assembly{width: 4, avx2: true}, lanes26())
	Generate()
}

// ladder writes a function that takes step for each of the bits 254 to 0, and leaves nothing in the registers.
func ladder(name string, a *assembly, step *program) {
	rows := room / a.width
	TEXT(name, NOSPLIT, fmt.Sprintf("func(memory *[%d]uint64)", room))
	Pragma("noescape")
	Doc(fmt.Sprintf("%s runs a ladder over vectors of %d elements, %d of which memory has room for.", name, a.width, rows))
	a.memory = Load(Param("memory"), reg.RAX)
	position, at := reg.RCX, reg.RBX
	if !a.avx2 {
		a.setPatterns()
	}
	MOVQ(U32(steps-1), position)
	Label("step")
	// The row of the step's bits is the position's multiple of 64, and the bit in it the rest.
	MOVQ(position, at)
	ANDQ(I8(-64), at)
	if a.width == 4 {
		SHRQ(Imm(1), at)
	}
	a.setBits(Mem{Base: a.memory, Index: at, Scale: 1, Disp: step.rowBits() * a.width * 8}, step.rowMask())
	allocated := allocate(step, a.registers(), a)
	if allocated.memory() > rows {
		panic(fmt.Sprintf("%s needs %d rows of memory", name, allocated.memory()))
	}
	fmt.Fprintf(os.Stderr, "%s: %d rows of memory, %d stores and %d loads for want of registers\n",
		name, allocated.memory(), allocated.stores, allocated.loads)
	SUBQ(Imm(1), position)
	JCC(LabelRef("step"))
	a.clear()
	RET()
}

// setPatterns sets the masks of patterns.
func (a *assembly) setPatterns() {
	for i, pattern := range patterns {
		mask := uint64(0)
		for j := range a.width {
			if pattern[j%4] {
				mask |= 1 << j
			}
		}
		MOVQ(U32(mask), reg.RDX)
		KMOVW(reg.EDX, chosen[i])
	}
}

// setBits sets what choose goes by, or the row of masks, to the bit of row whose number is in CL, modulo 64.
func (a *assembly) setBits(row Mem, rowMask int) {
	if a.avx2 {
		MOVQ(reg.RCX, reg.RDX)
		NOTQ(reg.RDX)
		ANDQ(Imm(63), reg.RDX)
		VMOVQ(reg.RDX, reg.X0)
		VMOVDQU(row, reg.Y1)
		VPSLLQ(reg.X0, reg.Y1, reg.Y1) // the bit is the sign
		VPXOR(reg.Y0, reg.Y0, reg.Y0)
		VPCMPGTQ(reg.Y1, reg.Y0, reg.Y0)
		VMOVDQU(reg.Y0, a.row(rowMask))
		return
	}
	MOVQ(U32(1), reg.RDX)
	SHLQ(reg.CL, reg.RDX)
	VPBROADCASTQ(reg.RDX, a.vector(0))
	VPTESTMQ(row, a.vector(0), bit)
}

// clear leaves nothing in the registers.
func (a *assembly) clear() {
	if a.avx2 {
		VZEROALL()
		return
	}
	for _, r := range vectors {
		VPXORQ(r, r, r)
	}
	KXORW(bit, bit, bit)
	VZEROUPPER()
}

func (a *assembly) registers() int {
	if a.avx2 {
		return 16
	}
	return 32
}
