// Package bench measures the packet format: what a hop, a sender and a receiver of replies spend on one packet, in
// nanoseconds and in multiples of one X25519 by the standard library. It has no code but its benchmarks and one test,
// TestBudget, which holds the multiples to their limits. README.md says how to run them, and what came out.
package bench
