// Command _asm writes the vector kernels of package symmetric: `go generate ./lioness/symmetric` runs it.
//
// Constant time: a kernel is a straight line of vector instructions whose time does not depend on what they compute
// (additions, exclusive or, rotations by constants, shuffles by constants; no multiplication, no gather), inside loops
// that count rounds and blocks. Every jump depends on a length, every address on a pointer, a length or a count of
// rounds, and both masks and counters of blocks come from lengths. Keys, messages and states are in vector registers
// from load to store and never reach a general register, a flag or a mask, which is all that could steer a jump or an
// address. What is written to memory is what the caller asked for, and the caller's working memory, which is cleared.
//
// Every kernel clears all vector registers that it has used before it returns. TestKernelsTellNothing reads all this from
// what is written here.
package main

import . "github.com/mmcloughlin/avo/build"

func main() {
	ConstraintExpr("amd64,!purego")
	chachaConstants := newChaChaConstants()
	xorStreamAVX512(chachaConstants)
	xorBlocksAVX512(chachaConstants)
	xorBlocksAVX2(chachaConstants)
	hashConstants := newHashConstants()
	hashLanesAVX512(hashConstants)
	hashLanesAVX2(hashConstants)
	hashRowsAVX512(hashConstants)
	Generate()
}
