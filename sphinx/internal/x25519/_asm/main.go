// Command _asm writes the vector kernels of package x25519: Montgomery ladders (RFC 7748, §5) for AVX-512 IFMA, whose
// multiply-add instructions take the low or the high 52 bits of eight products of 52 bits at once.
//
//	field.go      field elements of five limbs in radix 2⁵²
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
// and in the caller's memory: they choose by VPBLENDMQ with a mask, or by VPERMQ with an index, of which both do the same
// work for every mask and index. No other operation than those of program.go is emitted, and processors take the same
// time for each whatever its operands (Intel's list of instructions with data-independent timing has all but
// VPERMQ with an index, for which nobody has measured anything else: its time shows in no published table as depending
// on the index; the test of timing has a look at it).
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
	rows  = 64  // that a caller reserves
)

func main() {
	ConstraintExpr("amd64,!purego")
	ladder("quad1", 4, quad())
	ladder("quad2", 8, quad())
	ladder("lanes4", 4, lanes())
	ladder("lanes8", 8, lanes())
	Generate()
}

// ladder writes a function that takes step for each of the bits 254 to 0, and leaves nothing in the registers.
func ladder(name string, width int, step *program) {
	TEXT(name, NOSPLIT, fmt.Sprintf("func(memory *[%d]uint64)", rows*8))
	Pragma("noescape")
	Doc(fmt.Sprintf("%s runs a ladder over vectors of %d elements, %d of which memory has room for.", name, width, rows))
	a := &assembly{width: width, memory: Load(Param("memory"), reg.RAX)}
	position, one, at := reg.RCX, reg.RDX, reg.RBX
	for i, pattern := range patterns {
		mask := uint64(0)
		for j := range width {
			if pattern[j%4] {
				mask |= 1 << j
			}
		}
		MOVQ(U32(mask), one)
		KMOVW(reg.EDX, chosen[i])
	}
	MOVQ(U32(steps-1), position)
	Label("step")
	// The row of the step's bits is the position's multiple of 64, and the bit in it the rest.
	MOVQ(position, at)
	ANDQ(I8(-64), at)
	if width == 4 {
		SHRQ(Imm(1), at)
	}
	MOVQ(U32(1), one)
	SHLQ(reg.CL, one)
	VPBROADCASTQ(one, a.vector(0))
	VPTESTMQ(Mem{Base: a.memory, Index: at, Scale: 1, Disp: rowBits * width * 8}, a.vector(0), bit)
	allocated := allocate(schedule(step), a)
	if allocated.memory() > rows {
		panic(fmt.Sprintf("%s needs %d rows of memory", name, allocated.memory()))
	}
	fmt.Fprintf(os.Stderr, "%s: %d rows of memory, %d stores and %d loads for want of registers\n",
		name, allocated.memory(), allocated.stores, allocated.loads)
	SUBQ(Imm(1), position)
	JCC(LabelRef("step"))
	for _, r := range vectors {
		VPXORQ(r, r, r)
	}
	KXORW(bit, bit, bit)
	VZEROUPPER()
	RET()
}
