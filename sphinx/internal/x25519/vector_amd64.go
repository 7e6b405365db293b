//go:build amd64 && !purego

package x25519

//go:generate go run -C _asm . -out ../kernels_amd64.s -stubs ../kernels_amd64.go -pkg x25519

import (
	circl "github.com/cloudflare/circl/dh/x25519"
	"golang.org/x/sys/cpu"
)

// vectorBuild says that kernels are in the build.
const vectorBuild = true

// kernels are those to compute with here: of those that the processor has the instructions for, the fastest.
var kernels = func() []kernel {
	switch {
	case hasIFMA():
		return wideKernels
	case cpu.X86.HasAVX2:
		return narrowKernels
	}
	return nil
}()

func hasIFMA() bool {
	x := &cpu.X86
	return x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512IFMA
}

var (
	wideKernels = []kernel{
		{name: "quad1", width: 4, packets: 1, run: quad1, quad: true},
		{name: "quad2", width: 8, packets: 2, run: quad2, quad: true},
		{name: "lanes4", width: 4, packets: 4, run: lanes4},
		{name: "lanes8", width: 8, packets: 8, run: lanes8},
	}
	narrowKernels = []kernel{
		{name: "narrow4", width: 4, packets: 4, run: narrow4, narrow: true},
	}
)

// portable names multiplyOne.
const portable = "circl"

// multiplyOne sets result to scalar·point.
func multiplyOne(result, scalar, point *Key) {
	circl.Shared((*circl.Key)(result), (*circl.Key)(scalar), (*circl.Key)(point))
}
