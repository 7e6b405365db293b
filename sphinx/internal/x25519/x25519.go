// Package x25519 is the group of Sphinx: Curve25519 with the clamped scalars and the 32-byte u-coordinates of RFC 7748.
//
// A Multiplier computes many X25519 at once. Where the processor has AVX-512 IFMA that is a Montgomery ladder over vectors,
// in assembly that _asm writes: up to eight multiplications in one pass, and one inversion for all. Where it has AVX2, a pass
// is of four, and what is left of one or two goes by itself, as all do elsewhere and in a build with the tag purego: by
// circl's ladder where that is in assembly, and else by one in Go.
package x25519

import (
	"crypto/subtle"

	"filippo.io/edwards25519"
)

// Size is the length in bytes of a scalar and of a point.
const Size = 32

// Key is a scalar or the u-coordinate of a point, little-endian.
type Key = [Size]byte

// Clamp makes k a scalar as RFC 7748 §5 wants it: a multiple of 8 with bit 254 the highest set.
func Clamp(k *Key) {
	k[0] &= 248
	k[31] = k[31]&127 | 64
}

// Public sets point to scalar·9, the point that scalar is the private key of. The order of 9 is ℓ, so the scalar mod ℓ will
// do, and the fixed base of the Edwards form takes half the time of a ladder. That time does not depend on the scalar.
func Public(point, scalar *Key) {
	var p Product
	p.Set(scalar)
	var q edwards25519.Point
	copy(point[:], q.ScalarBaseMult(&p.scalar).BytesMontgomery())
	q = edwards25519.Point{}
	p.Wipe()
}

// Shared sets secret to X25519(scalar, point) and reports whether it differs from zero, which it does for every point
// but those of low order. The time it takes does not depend on the scalar.
func Shared(secret, scalar, point *Key) bool {
	multiplyOne(secret, scalar, point)
	return !isZero(secret)
}

// isZero takes the same time for every k.
func isZero(k *Key) bool {
	var zero Key
	return subtle.ConstantTimeCompare(k[:], zero[:]) == 1
}

// eighth is 1/8 mod ℓ, the order of the prime-order subgroup.
var eighth = func() *edwards25519.Scalar {
	eight, err := edwards25519.NewScalar().SetCanonicalBytes(append([]byte{8}, make([]byte, Size-1)...))
	if err != nil {
		panic("x25519: unreachable: 8 is below the group order")
	}
	return eight.Invert(eight)
}()

// Product is a running product of clamped scalars, so that k·(…·(b·(a·P))) costs one multiplication of a point whatever
// the number of factors. Start with Set.
type Product struct {
	scalar edwards25519.Scalar // mod ℓ
}

// Set makes the product the one factor scalar.
func (p *Product) Set(scalar *Key) {
	if _, err := p.scalar.SetBytesWithClamping(scalar[:]); err != nil {
		panic("x25519: unreachable: a scalar has 32 bytes")
	}
}

// Multiply multiplies the product with one more factor, which is clamped.
func (p *Product) Multiply(scalar *Key) {
	var factor Product
	factor.Set(scalar)
	p.scalar.Multiply(&p.scalar, &factor.scalar)
	factor.Wipe()
}

// Scalar sets scalar to a clamped scalar that takes any point of the curve, twist excluded, to the same u-coordinate as
// all factors one after the other.
//
// The factors are multiples of 8, so the cofactor's part of a point vanishes under both, and what counts is the product
// mod ℓ. Of t = product/8 mod ℓ and −t, which have the same u-coordinate, one lies in [2²⁵¹, 2²⁵²) but for a share of 2⁻¹²⁵
// of all t; eight times that one is a multiple of 8 with bit 254 the highest set.
func (p *Product) Scalar(scalar *Key) {
	var over8, negated edwards25519.Scalar
	over8.Multiply(&p.scalar, eighth)
	negated.Negate(&over8)
	t, minus := over8.Bytes(), negated.Bytes()
	inRange := subtle.ConstantTimeEq(int32(t[31]>>3), 1)
	subtle.ConstantTimeCopy(1-inRange, t, minus)
	for i := Size - 1; i > 0; i-- {
		scalar[i] = t[i]<<3 | t[i-1]>>5
	}
	scalar[0] = t[0] << 3
	clear(t)
	clear(minus)
	over8, negated = edwards25519.Scalar{}, edwards25519.Scalar{}
}

// Wipe forgets the product.
func (p *Product) Wipe() { p.scalar = edwards25519.Scalar{} }
