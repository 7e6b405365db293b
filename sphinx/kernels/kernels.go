// Package kernels lays open the group operation that a packet costs, for who measures it: package bench compares it with
// the standard library, and a hop with the sum of its parts. Nobody needs it to make or open packets, and it may change
// with any version. The other two primitives are in package lioness/symmetric.
package kernels

import "sphinxmix.example/sphinx/internal/x25519"

// Key is a scalar or the u-coordinate of a point (RFC 7748), 32 bytes, little-endian.
type Key = x25519.Key

// Multiplication is one X25519 to be computed, and its result.
type Multiplication = x25519.Multiplication

// Multiplier computes many X25519 in one call. Use NewMultiplier.
type Multiplier = x25519.Multiplier

// NewMultiplier returns a Multiplier.
func NewMultiplier() *Multiplier { return x25519.NewMultiplier() }

// Base returns the base point.
func Base() Key { return x25519.Base }

// Implementation names what computes many multiplications here: "AVX-512 IFMA" or "AVX2"; or, where the processor, the system
// or the build does not allow these, "circl" for its assembly or "portable".
func Implementation() string { return x25519.Implementation() }
