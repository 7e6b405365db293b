// Command _asm writes the vector kernels of package x25519: Montgomery ladders (RFC 7748, §5) for AVX-512 IFMA, whose
// multiply-add instructions take the low or the high 52 bits of eight products of 52 bits at once.
//
//	field.go      field elements of five limbs in radix 2⁵¹
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
	steps = 255 // steps of a ladder: a clamped scalar has bits 254 to 0

	// rows is what a caller reserves for a ladder's memory.
	rows = 64
)

var (
	zmm = [registers]reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}
	ymm = [registers]reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7, reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
		reg.Y16, reg.Y17, reg.Y18, reg.Y19, reg.Y20, reg.Y21, reg.Y22, reg.Y23, reg.Y24, reg.Y25, reg.Y26, reg.Y27, reg.Y28, reg.Y29, reg.Y30, reg.Y31,
	}
)

func main() {
	ConstraintExpr("amd64,!purego")
	ladder("quad1", 4, quad())
	ladder("quad2", 8, quad())
	ladder("lanes4", 4, lanes())
	ladder("lanes8", 8, lanes())
	Generate()
}

// ladder writes a function that takes step 255 times, for the bits 254 to 0.
func ladder(name string, width int, step *program) {
	TEXT(name, NOSPLIT, "func(memory *uint64)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s runs a ladder over vectors of %d elements in memory, which has %d of them.", name, width, rows))
	a := &assembly{width: width, memory: Load(Param("memory"), reg.RAX), name: name}
	step255(a, schedule(step))
	for _, r := range zmm {
		VPXORQ(r, r, r)
	}
	VZEROUPPER()
	RET()
}

// step255 writes the loop over the bits.
func step255(a *assembly, step *program) {
	for i, pattern := range patterns {
		mask := uint64(0)
		for j := range a.width {
			if pattern[j%4] {
				mask |= 1 << j
			}
		}
		MOVQ(U32(mask), reg.RCX)
		KMOVW(reg.ECX, chosen[i])
	}
	position, one, at := reg.RCX, reg.RDX, reg.RBX
	MOVQ(U32(steps-1), position)
	Label("step")
	// The row of the step's bits is the position's multiple of 64, and the bit in it the rest.
	MOVQ(position, at)
	ANDQ(I8(-64), at)
	if a.width == 4 {
		SHRQ(Imm(1), at)
	}
	MOVQ(U32(1), one)
	SHLQ(reg.CL, one)
	VPBROADCASTQ(one, a.vector(0))
	VPTESTMQ(Mem{Base: a.memory, Index: at, Scale: 1, Disp: rowBits * a.width * 8}, a.vector(0), bit)
	allocated := allocate(step, a)
	if allocated.memory() > rows {
		panic(fmt.Sprintf("%s needs %d rows of memory", a.name, allocated.memory()))
	}
	fmt.Fprintf(os.Stderr, "%s: %d rows of memory, %d stores and %d loads for want of registers\n",
		a.name, allocated.memory(), allocated.stores, allocated.loads)
	SUBQ(Imm(1), position)
	JCC(LabelRef("step"))
}
