//go:build amd64 && !purego

package x25519

//go:generate go run -C _asm . -out ../kernels_amd64.s -stubs ../kernels_amd64.go -pkg x25519

import (
	circl "github.com/cloudflare/circl/dh/x25519"
	"golang.org/x/sys/cpu"
)

// vectorBuild says that kernels are in the build.
const vectorBuild = true

// kernels are those that the processor has the instructions for.
var kernels = func() []kernel {
	x := &cpu.X86
	if !(x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512IFMA) {
		return nil
	}
	return []kernel{
		{"quad1", 4, 1, true, quad1},
		{"quad2", 8, 2, true, quad2},
		{"lanes4", 4, 4, false, lanes4},
		{"lanes8", 8, 8, false, lanes8},
	}
}()

// portable names multiplyOne.
const portable = "circl"

// multiplyOne sets result to scalar·point.
func multiplyOne(result, scalar, point *Key) {
	circl.Shared((*circl.Key)(result), (*circl.Key)(scalar), (*circl.Key)(point))
}
