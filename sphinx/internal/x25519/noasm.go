//go:build !amd64 || purego

package x25519

var kernels []kernel // none: every multiplication by itself

// vectorBuild says that kernels are in the build.
const vectorBuild = false
