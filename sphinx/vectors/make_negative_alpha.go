package vectors

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"

	"sphinxmix.example/sphinx/internal/x25519"
	"sphinxmix.example/testvectors"
)

// lowOrder are the u-coordinates that every clamped scalar takes to zero, each in its canonical form and, where 255 bits
// have room for it, plus p.
var lowOrder = []struct{ name, hex string }{
	{"0", "0000000000000000000000000000000000000000000000000000000000000000"},
	{"1", "0100000000000000000000000000000000000000000000000000000000000000"},
	{"order8a", "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"},
	{"order8b", "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"},
	{"p-1", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
	{"p", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
	{"p+1", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
}

type namedPoint struct {
	name string
	u    []byte
}

// lowOrderPoints returns all encodings of points of low order, with bit 255 clear and set.
func lowOrderPoints() (points []namedPoint) {
	for _, point := range lowOrder {
		u, err := hex.DecodeString(point.hex)
		must(err)
		points = append(points, namedPoint{point.name, u}, namedPoint{point.name + "-bit255", flipTop(u)})
	}
	return points
}

// flipTop returns u with bit 255 flipped, which X25519 ignores.
func flipTop(u []byte) []byte {
	flipped := append([]byte{}, u...)
	flipped[31] ^= 0x80
	return flipped
}

func (m *negatives) lowOrderAlphas() {
	for _, point := range lowOrderPoints() {
		for hop := range m.path {
			m.alter(fmt.Sprintf("alpha-%s-hop%d", point.name, hop),
				"α is of low order: s is zero, whatever the node's key, and nothing may be derived from it.",
				m.packet(nil)[hop], hop, 0, 32, point.u, testvectors.StageGroup, 0, "LowOrderAlpha")
		}
	}
}

// equivalentAlphas adds values of α other than the sender's from which every node computes the sender's s.
func (m *negatives) equivalentAlphas() {
	for hop := range m.path {
		good := m.packet(nil)[hop]
		m.alter(fmt.Sprintf("alpha-bit255-hop%d", hop), "Bit 255 of α is flipped. X25519 ignores it, so s is unchanged.",
			good, hop, 0, 32, flipTop(good[:32]), testvectors.StageMAC, 0, "EquivalentAlpha")
	}

	// The sender's x is 1 mod ℓ up to sign, so that α = 9: one of the few u with a second encoding, u + p.
	good := m.packet(unit())[0]
	plusP := bytes.Repeat([]byte{0xff}, 32)
	plusP[0], plusP[31] = 0xf6, 0x7f
	m.alter("alpha-plus-p", "α is 9 and is written as p + 9, which X25519 reduces: s is unchanged.",
		good, 0, 0, 32, plusP, testvectors.StageMAC, 0, "EquivalentAlpha")
	m.alter("alpha-plus-p-bit255", "α is 9 and is written as p + 9 with bit 255 set: s is unchanged.",
		good, 0, 0, 32, flipTop(plusP), testvectors.StageMAC, 0, "EquivalentAlpha")

	for hop := range m.path {
		good := m.packet(nil)[hop]
		for i, torsion := range torsionPoints() {
			m.alter(fmt.Sprintf("alpha-plus-torsion%d-hop%d", i+1, hop),
				fmt.Sprintf("α plus %d times a point of order 8, which clamped scalars, multiples of 8, take to nothing: s is unchanged.", i+1),
				good, hop, 0, 32, addPoint(good[:32], torsion), testvectors.StageMAC, 0, "EquivalentAlpha", "TorsionAlpha")
		}
	}
}

// unit returns a clamped scalar that is 1 or −1 mod ℓ: eight times the one of ±1/8 mod ℓ in [2²⁵¹, 2²⁵²).
func unit() *x25519.Key {
	eight, err := edwards25519.NewScalar().SetCanonicalBytes(append([]byte{8}, make([]byte, 31)...))
	must(err)
	eighth := edwards25519.NewScalar().Invert(eight)
	for _, candidate := range []*edwards25519.Scalar{eighth, edwards25519.NewScalar().Negate(eighth)} {
		t := candidate.Bytes()
		if t[31]>>3 != 1 {
			continue
		}
		var scalar x25519.Key
		for i := 31; i > 0; i-- {
			scalar[i] = t[i]<<3 | t[i-1]>>5
		}
		scalar[0] = t[0] << 3
		return &scalar
	}
	panic("vectors: neither 1 nor −1 has a clamped representative")
}

// torsionPoints returns T, 2T, … 7T for a point T of order 8.
func torsionPoints() []*edwards25519.Point {
	encoded, err := hex.DecodeString("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
	must(err)
	torsion, err := new(edwards25519.Point).SetBytes(encoded)
	must(err)
	points := []*edwards25519.Point{torsion}
	for range 6 {
		points = append(points, new(edwards25519.Point).Add(points[len(points)-1], torsion))
	}
	return points
}

// addPoint returns the u-coordinate of the point of the curve with coordinate u (either of the two) plus point.
func addPoint(u []byte, point *edwards25519.Point) []byte {
	x, err := new(field.Element).SetBytes(u)
	must(err)
	one := new(field.Element).One()
	y := new(field.Element).Add(x, one)
	y.Invert(y)
	y.Multiply(y, new(field.Element).Subtract(x, one)) // y = (u − 1)/(u + 1)
	sum, err := new(edwards25519.Point).SetBytes(y.Bytes())
	must(err)
	return sum.Add(sum, point).BytesMontgomery()
}
