//go:build !race

package bench

// instrumented says that this build slows the operations and the yardstick by different factors: the race detector
// slows Go but not assembly.
const instrumented = false
