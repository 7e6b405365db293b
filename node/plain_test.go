//go:build !race

package node_test

// instrumented is whether the race detector slows everything down.
const instrumented = false
