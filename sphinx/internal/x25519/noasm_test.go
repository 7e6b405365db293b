//go:build !amd64 || purego

package x25519

var allKernels []kernel
