//go:build !amd64 || purego

package x25519

import (
	"encoding/binary"
	"math/bits"

	field "github.com/cloudflare/circl/math/fp25519"
)

// element is an element of the field mod p = 2²⁵⁵ − 19, as any number below 2²⁵⁶ that is congruent to it: four words,
// the lowest first.
type element [4]uint64

// fold is 2²⁵⁶ mod p.
const fold = 38

// addProduct sets z to x·y + t, of whose factors x has four words and y is small.
func (z *element) addProduct(x0, x1, x2, x3, y, t0, t1, t2, t3 uint64) {
	h0, l0 := bits.Mul64(x0, y)
	h1, l1 := bits.Mul64(x1, y)
	h2, l2 := bits.Mul64(x2, y)
	h3, l3 := bits.Mul64(x3, y)
	t0, c := bits.Add64(t0, l0, 0)
	t1, c = bits.Add64(t1, l1, c)
	t2, c = bits.Add64(t2, l2, c)
	t3, c = bits.Add64(t3, l3, c)
	h3 += c
	t1, c = bits.Add64(t1, h0, 0)
	t2, c = bits.Add64(t2, h1, c)
	t3, c = bits.Add64(t3, h2, c)
	z.set(t0, t1, t2, t3, h3+c)
}

// set sets z to four words and what is above them.
func (z *element) set(r0, r1, r2, r3, above uint64) {
	var c uint64
	r0, c = bits.Add64(r0, above*fold, 0)
	r1, c = bits.Add64(r1, 0, c)
	r2, c = bits.Add64(r2, 0, c)
	r3, c = bits.Add64(r3, 0, c)
	z[0], z[1], z[2], z[3] = r0+c*fold, r1, r2, r3 // a second carry leaves little below
}

// multiply is written out, as a loop or a call for each of its four rows takes a fifth longer.
func (z *element) multiply(x, y *element) {
	x0, x1, x2, x3 := x[0], x[1], x[2], x[3]

	y0 := y[0]
	h0, t0 := bits.Mul64(x0, y0)
	h1, t1 := bits.Mul64(x1, y0)
	h2, t2 := bits.Mul64(x2, y0)
	t4, t3 := bits.Mul64(x3, y0)
	t1, c := bits.Add64(t1, h0, 0)
	t2, c = bits.Add64(t2, h1, c)
	t3, c = bits.Add64(t3, h2, c)
	t4 += c

	y1 := y[1]
	h0, l0 := bits.Mul64(x0, y1)
	h1, l1 := bits.Mul64(x1, y1)
	h2, l2 := bits.Mul64(x2, y1)
	h3, l3 := bits.Mul64(x3, y1)
	t1, c = bits.Add64(t1, l0, 0)
	t2, c = bits.Add64(t2, l1, c)
	t3, c = bits.Add64(t3, l2, c)
	t4, c = bits.Add64(t4, l3, c)
	t5 := h3 + c
	t2, c = bits.Add64(t2, h0, 0)
	t3, c = bits.Add64(t3, h1, c)
	t4, c = bits.Add64(t4, h2, c)
	t5 += c

	y2 := y[2]
	h0, l0 = bits.Mul64(x0, y2)
	h1, l1 = bits.Mul64(x1, y2)
	h2, l2 = bits.Mul64(x2, y2)
	h3, l3 = bits.Mul64(x3, y2)
	t2, c = bits.Add64(t2, l0, 0)
	t3, c = bits.Add64(t3, l1, c)
	t4, c = bits.Add64(t4, l2, c)
	t5, c = bits.Add64(t5, l3, c)
	t6 := h3 + c
	t3, c = bits.Add64(t3, h0, 0)
	t4, c = bits.Add64(t4, h1, c)
	t5, c = bits.Add64(t5, h2, c)
	t6 += c

	y3 := y[3]
	h0, l0 = bits.Mul64(x0, y3)
	h1, l1 = bits.Mul64(x1, y3)
	h2, l2 = bits.Mul64(x2, y3)
	h3, l3 = bits.Mul64(x3, y3)
	t3, c = bits.Add64(t3, l0, 0)
	t4, c = bits.Add64(t4, l1, c)
	t5, c = bits.Add64(t5, l2, c)
	t6, c = bits.Add64(t6, l3, c)
	t7 := h3 + c
	t4, c = bits.Add64(t4, h0, 0)
	t5, c = bits.Add64(t5, h1, c)
	t6, c = bits.Add64(t6, h2, c)
	t7 += c
	z.addProduct(t4, t5, t6, t7, fold, t0, t1, t2, t3)
}

func (z *element) square(x *element) {
	// The products of different words, once.
	h01, l01 := bits.Mul64(x[0], x[1])
	h02, l02 := bits.Mul64(x[0], x[2])
	h03, l03 := bits.Mul64(x[0], x[3])
	h12, l12 := bits.Mul64(x[1], x[2])
	h13, l13 := bits.Mul64(x[1], x[3])
	h23, l23 := bits.Mul64(x[2], x[3])
	t1 := l01
	t2, c := bits.Add64(l02, h01, 0)
	t3, c := bits.Add64(l03, h02, c)
	t4, c := bits.Add64(l13, h03, c)
	t5, c := bits.Add64(l23, h13, c)
	t6 := h23 + c
	t3, c = bits.Add64(t3, l12, 0)
	t4, c = bits.Add64(t4, h12, c)
	t5, c = bits.Add64(t5, 0, c)
	t6 += c
	// Twice.
	t7 := t6 >> 63
	t6 = t6<<1 | t5>>63
	t5 = t5<<1 | t4>>63
	t4 = t4<<1 | t3>>63
	t3 = t3<<1 | t2>>63
	t2 = t2<<1 | t1>>63
	t1 <<= 1
	// The squares.
	h0, t0 := bits.Mul64(x[0], x[0])
	h1, l1 := bits.Mul64(x[1], x[1])
	h2, l2 := bits.Mul64(x[2], x[2])
	h3, l3 := bits.Mul64(x[3], x[3])
	t1, c = bits.Add64(t1, h0, 0)
	t2, c = bits.Add64(t2, l1, c)
	t3, c = bits.Add64(t3, h1, c)
	t4, c = bits.Add64(t4, l2, c)
	t5, c = bits.Add64(t5, h2, c)
	t6, c = bits.Add64(t6, l3, c)
	t7 += h3 + c
	z.addProduct(t4, t5, t6, t7, fold, t0, t1, t2, t3)
}

// multiplyAdd sets z to x + 121665·y.
func (z *element) multiplyAdd(x, y *element) {
	const factor = 121665
	z.addProduct(y[0], y[1], y[2], y[3], factor, x[0], x[1], x[2], x[3])
}

// sumAndDifference sets sum to x + y and difference to x − y.
func sumAndDifference(sum, difference, x, y *element) {
	x0, x1, x2, x3 := x[0], x[1], x[2], x[3]
	y0, y1, y2, y3 := y[0], y[1], y[2], y[3]
	r0, c := bits.Add64(x0, y0, 0)
	r1, c := bits.Add64(x1, y1, c)
	r2, c := bits.Add64(x2, y2, c)
	r3, c := bits.Add64(x3, y3, c)
	sum.set(r0, r1, r2, r3, c)
	difference.setDifference(x0, x1, x2, x3, y0, y1, y2, y3)
}

func (z *element) subtract(x, y *element) {
	z.setDifference(x[0], x[1], x[2], x[3], y[0], y[1], y[2], y[3])
}

func (z *element) setDifference(x0, x1, x2, x3, y0, y1, y2, y3 uint64) {
	r0, b := bits.Sub64(x0, y0, 0)
	r1, b := bits.Sub64(x1, y1, b)
	r2, b := bits.Sub64(x2, y2, b)
	r3, b := bits.Sub64(x3, y3, b)
	r0, b = bits.Sub64(r0, b*fold, 0)
	r1, b = bits.Sub64(r1, 0, b)
	r2, b = bits.Sub64(r2, 0, b)
	r3, b = bits.Sub64(r3, 0, b)
	z[0], z[1], z[2], z[3] = r0-b*fold, r1, r2, r3 // a second borrow leaves much
}

// choose sets z to x, or to y where mask is all ones and not zero.
func (z *element) choose(x, y *element, mask uint64) {
	for i := range z {
		z[i] = x[i] ^ mask&(x[i]^y[i])
	}
}

// portable names multiplyOne.
const portable = "portable"

// multiplyOne sets result to scalar·point, in the order of operations of lanes in _asm. Without assembly this is a tenth
// faster than circl.
func multiplyOne(result, scalar, point *Key) {
	var x1 element
	for i := range x1 {
		x1[i] = binary.LittleEndian.Uint64(point[8*i:])
	}
	x1[3] &= 1<<63 - 1
	k := *scalar
	Clamp(&k)
	var a, b, c, d, e, f element
	x2, z2, x3, z3 := element{1}, element{}, x1, element{1}
	above := byte(0)
	for i := 254; i >= 0; i-- {
		bit := k[i/8] >> (i % 8) & 1
		mask := -uint64(bit ^ above)
		above = bit
		sumAndDifference(&a, &b, &x2, &z2)
		sumAndDifference(&c, &d, &x3, &z3)
		e.multiply(&d, &a)
		f.multiply(&c, &b)
		a.choose(&a, &c, mask)
		b.choose(&b, &d, mask)
		sumAndDifference(&c, &d, &e, &f)
		x3.square(&c)
		d.square(&d)
		z3.multiply(&x1, &d)
		a.square(&a)
		b.square(&b)
		x2.multiply(&a, &b)
		e.subtract(&a, &b)
		f.multiplyAdd(&a, &e)
		z2.multiply(&e, &f)
	}
	z3.invert(&z2) // zero's is zero
	x2.multiply(&x2, &z3)
	x := (*field.Elt)(result)
	for i, word := range x2 {
		binary.LittleEndian.PutUint64(x[8*i:], word)
	}
	field.Modp(x)
	for _, secret := range []*element{&a, &b, &c, &d, &e, &f, &x2, &z2, &x3, &z3} {
		*secret = element{}
	}
	k = Key{}
}

// invert sets z to x to the power of p − 2 = 2²⁵⁵ − 21, in 254 squarings and 11 multiplications. In the comments, n stands
// for x to the power of 2ⁿ − 1.
func (z *element) invert(x *element) {
	var x9, x11, n5, n10, n20, n50, n100, t element
	power := func(z, x *element, squarings int) {
		*z = *x
		for range squarings {
			z.square(z)
		}
	}
	power(&x11, x, 1) // x²
	power(&x9, &x11, 2)
	x9.multiply(&x9, x)
	x11.multiply(&x11, &x9)
	power(&n5, &x11, 1)
	n5.multiply(&n5, &x9) // x³¹
	power(&n10, &n5, 5)
	n10.multiply(&n10, &n5)
	power(&n20, &n10, 10)
	n20.multiply(&n20, &n10)
	power(&t, &n20, 20)
	t.multiply(&t, &n20) // 40
	power(&n50, &t, 10)
	n50.multiply(&n50, &n10)
	power(&n100, &n50, 50)
	n100.multiply(&n100, &n50)
	power(&t, &n100, 100)
	t.multiply(&t, &n100) // 200
	power(&t, &t, 50)
	t.multiply(&t, &n50) // 250
	power(&t, &t, 5)
	z.multiply(&t, &x11) // 2²⁵⁵ − 2⁵ + 11
	for _, secret := range []*element{&x9, &x11, &n5, &n10, &n20, &n50, &n100, &t} {
		*secret = element{}
	}
}
