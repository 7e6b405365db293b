// Package bench measures the packet format: what a hop, a sender and a receiver of replies spend on one packet, alone,
// in batches and on many cores, what the primitives take of that, and what other implementations take for the same. All
// of it is in nanoseconds and in U, multiples of one X25519 by the standard library that is measured in turn with it.
//
// The command mixnet bench shows a Report, which package render writes out; the benchmarks of this package measure the
// same operations under go test, and TestBudget holds them to limits. README.md says how to read all of these.
//
//	plan.go            what is measured: operation.go says what that is; network.go has packets and keys,
//	                   hops.go, senders.go, multiplications.go and symmetric.go the operations
//	measure.go         the run: yardstick.go compares an operation with U, cores.go counts packets on many cores,
//	                   shares.go divides a hop into its primitives, peers.go runs other implementations
//	quiet.go           which rounds count; load.go says what else ran
//	report.go          what comes out
package bench
