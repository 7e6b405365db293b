//go:build amd64 && !purego

package x25519

import "golang.org/x/sys/cpu"

// allKernels are those that the processor has the instructions for.
var allKernels = func() (all []kernel) {
	if hasIFMA() {
		all = append(all, wideKernels...)
	}
	if cpu.X86.HasAVX2 {
		all = append(all, narrowKernels...)
	}
	return all
}()
