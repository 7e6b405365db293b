//go:build race

package system_test

// instrumented is whether the race detector slows everything down.
const instrumented = true
