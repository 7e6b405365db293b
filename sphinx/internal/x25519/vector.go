package x25519

import (
	"encoding/binary"
	"unsafe"

	field "github.com/cloudflare/circl/math/fp25519"
)

// kernel is a ladder in assembly that computes up to packets multiplications in one pass over vectors of width 64-bit
// elements.
type kernel struct {
	name           string
	width, packets int
	run            func(*[room]uint64)
	quad           bool // a packet's four coordinates are neighbours in a vector, not vectors apart
	narrow         bool // limbs have 51 bits, in two rows of 26 and 25; else 52, in one
}

const (
	limbs = 5   // of a field element
	room  = 512 // 64-bit elements of a kernel's memory
	most  = 64  // multiplications that share one inversion
)

// memory is what kernels compute in, and behind them one inversion for all.
type memory struct {
	vectors    *[room]uint64 // aligned to their 64 bytes
	x, z       [most]field.Elt
	products   [most]field.Elt // of all z before and at it
	inverse, t field.Elt
}

func newMemory() *memory {
	b := make([]uint64, room+7)
	skip := -(uintptr(unsafe.Pointer(&b[0])) / 8) & 7
	return &memory{vectors: (*[room]uint64)(b[skip:])}
}

// wipe erases what n multiplications left.
func (m *memory) wipe(n int) {
	clear(m.vectors[:])
	clear(m.x[:n])
	clear(m.z[:n])
	clear(m.products[:n])
	m.inverse, m.t = field.Elt{}, field.Elt{}
}

// multiply computes all multiplications, at most as many as most, with the smallest kernel that can take them in one
// pass, or with passes of the largest one.
func (m *memory) multiply(kernels []kernel, all []Multiplication) {
	for from := 0; from < len(all); {
		k := &kernels[0]
		for i := 1; i < len(kernels) && k.packets < len(all)-from; i++ {
			k = &kernels[i]
		}
		n := min(k.packets, len(all)-from)
		m.ladder(k, all[from:from+n], m.x[from:], m.z[from:])
		from += n
	}
	m.divide(all)
	m.wipe(len(all))
}

// A kernel's memory holds A, B, C, D and x₁, of so many rows each, or the first four side by side where the first would
// be; and then four rows that say where a bit of the scalar differs from the one above it.
const (
	elementPoint = 4
	elements     = 5
)

// element is the row where an element begins.
func (k *kernel) element(which int) int {
	if k.narrow {
		return which * 2 * limbs
	}
	return which * limbs
}

// coordinate returns the place of limb 0 of A, B, C or D of a packet; the next row of it is a vector on.
func (k *kernel) coordinate(packet, which int) int {
	if k.quad {
		return 4*packet + which
	}
	return k.element(which)*k.width + packet
}

// put writes a number's limbs from a place on.
func (m *memory) put(k *kernel, at int, n number) {
	for _, limb := range n {
		if k.narrow {
			m.vectors[at], m.vectors[at+k.width] = limb&(1<<26-1), limb>>26
			at += 2 * k.width
		} else {
			m.vectors[at] = limb
			at += k.width
		}
	}
}

// ladder sets x and z to the coordinates of each product.
func (m *memory) ladder(k *kernel, group []Multiplication, x, z []field.Elt) {
	radix := k.radix()
	one, minusOne := number{1}, radix.minusOne()
	clear(m.vectors[k.element(elementPoint)*k.width : k.element(elements)*k.width]) // of the pass before
	for packet := range k.packets {
		job := &group[min(packet, len(group)-1)] // idle elements do the same again
		u := radix.unpack(job.Point)
		m.put(k, k.coordinate(packet, 0), one)                     // X₂ + Z₂, where Z₂ = 0
		m.put(k, k.coordinate(packet, 1), one)                     // X₂ − Z₂
		m.put(k, k.coordinate(packet, 2), radix.plus(u, one))      // X₃ + Z₃, where Z₃ = 1
		m.put(k, k.coordinate(packet, 3), radix.plus(u, minusOne)) // X₃ − Z₃
		at, copies := k.element(elementPoint)*k.width+packet, 1
		if k.quad {
			at, copies = k.element(elementPoint)*k.width+4*packet, 4
			m.vectors[at], m.vectors[at+2] = 1, 1 // X₂ and X₃ are multiplied with 1 where Z₃ is with x₁
			at += 3
		}
		m.put(k, at, u)
		scalar := *job.Scalar
		Clamp(&scalar)
		var above uint64
		for i := 3; i >= 0; i-- {
			word := binary.LittleEndian.Uint64(scalar[8*i:])
			for j := range copies {
				m.vectors[(k.element(elements)+i)*k.width+packet*copies+j] = word ^ (word>>1 | above<<63)
			}
			above = word
		}
		clear(scalar[:])
	}
	k.run(m.vectors)
	for packet := range group {
		// A = X + Z and B = X − Z, and what counts is X/Z.
		m.take(k, packet, 0, &x[packet])
		m.take(k, packet, 1, &m.t)
		field.Sub(&z[packet], &x[packet], &m.t)
		field.Add(&x[packet], &x[packet], &m.t)
	}
}

// take sets e to a coordinate of a packet: limbs of which all but the last have, where they are not narrow, anything above
// their bits.
func (m *memory) take(k *kernel, packet, coordinate int, e *field.Elt) {
	at, radix := k.coordinate(packet, coordinate), k.radix()
	var n number
	for i := range n {
		switch {
		case k.narrow:
			n[i] = m.vectors[at] + m.vectors[at+k.width]<<26
			at += k.width
		case i < limbs-1:
			n[i] = m.vectors[at] & radix.low()
		default:
			n[i] = m.vectors[at]
		}
		at += k.width
	}
	radix.pack(e, radix.carry(radix.carry(n))) // the second time for what the first one carried to the end
	clear(n[:])
}

// divide sets every result to x/z, and to zero where z is, with one inversion for all (Montgomery's trick). Only points of
// low order make a z zero, whatever the scalar, and everybody can see which points those are.
func (m *memory) divide(all []Multiplication) {
	last := len(all) - 1
	m.multiplyUp(last)
	if field.IsZero(&m.products[last]) {
		for i := range all {
			if field.IsZero(&m.z[i]) {
				field.SetOne(&m.z[i])
				m.x[i] = field.Elt{}
			}
		}
		m.multiplyUp(last)
	}
	field.Inv(&m.inverse, &m.products[last])
	for i := last; i >= 0; i-- {
		m.t = m.inverse
		if i > 0 {
			field.Mul(&m.t, &m.inverse, &m.products[i-1])
			field.Mul(&m.inverse, &m.inverse, &m.z[i])
		}
		field.Mul(&m.t, &m.t, &m.x[i])
		field.Modp(&m.t)
		*all[i].Result = Key(m.t)
		all[i].OK = !isZero(all[i].Result)
	}
}

// multiplyUp computes the products.
func (m *memory) multiplyUp(last int) {
	m.products[0] = m.z[0]
	for i := 1; i <= last; i++ {
		field.Mul(&m.products[i], &m.products[i-1], &m.z[i])
	}
}
