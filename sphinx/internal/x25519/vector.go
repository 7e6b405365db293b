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
	quad           bool // a packet's four coordinates are neighbours in a vector, not vectors apart
	run            func(*[rows * 8]uint64)
}

const (
	limbs = 5  // of a field element in a vector, of weights 2⁵²ᵏ
	rows  = 64 // vectors of a kernel's memory
	most  = 64 // multiplications that share one inversion

	low52 = 1<<52 - 1
	low47 = 1<<47 - 1 // of the last limb
)

// memory is what kernels compute in, and behind them one inversion for all.
type memory struct {
	vectors    *[rows * 8]uint64 // aligned to their 64 bytes
	x, z       [most]field.Elt
	products   [most]field.Elt // of all z before and at it
	inverse, t field.Elt
}

func newMemory() *memory {
	const size = rows * 8
	room := make([]uint64, size+7)
	skip := -(uintptr(unsafe.Pointer(&room[0])) / 8) & 7
	return &memory{vectors: (*[size]uint64)(room[skip:])}
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

// The rows of a kernel's memory.
const (
	rowA     = 0                // A, B, C and D, five rows each; or side by side in five rows
	rowPoint = rowA + 4*limbs   // x₁
	rowBits  = rowPoint + limbs // 4: where a bit of the scalar differs from the one above it
)

// coordinate returns the place of limb 0 of A, B, C or D of a packet; the next limb is a row on.
func (k *kernel) coordinate(packet, which int) int {
	if k.quad {
		return 4*packet + which
	}
	return which*limbs*k.width + packet
}

// put sets the limbs from a place on, a row apart.
func (m *memory) put(k *kernel, at int, limbs [limbs]uint64) {
	for i, limb := range limbs {
		m.vectors[at+i*k.width] = limb
	}
}

// ladder sets x and z to the coordinates of each product.
func (m *memory) ladder(k *kernel, group []Multiplication, x, z []field.Elt) {
	clear(m.vectors[rowPoint*k.width : rowBits*k.width]) // of the pass before
	for packet := range k.packets {
		job := &group[min(packet, len(group)-1)] // idle elements do the same again
		u := unpack(job.Point)
		m.put(k, k.coordinate(packet, 0), [limbs]uint64{1})          // X₂ + Z₂, where Z₂ = 0
		m.put(k, k.coordinate(packet, 1), [limbs]uint64{1})          // X₂ − Z₂
		m.put(k, k.coordinate(packet, 2), plus(u, [limbs]uint64{1})) // X₃ + Z₃, where Z₃ = 1
		m.put(k, k.coordinate(packet, 3), plus(u, minusOne))         // X₃ − Z₃
		at, copies := rowPoint*k.width+packet, 1
		if k.quad {
			at, copies = rowPoint*k.width+4*packet, 4
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
				m.vectors[(rowBits+i)*k.width+packet*copies+j] = word ^ (word>>1 | above<<63)
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

// unpack returns the limbs of u mod 2²⁵⁵.
func unpack(u *Key) [limbs]uint64 {
	w := func(i int) uint64 { return binary.LittleEndian.Uint64(u[8*i:]) }
	return [limbs]uint64{
		w(0) & low52,
		(w(0)>>52 | w(1)<<12) & low52,
		(w(1)>>40 | w(2)<<24) & low52,
		(w(2)>>28 | w(3)<<36) & low52,
		w(3) >> 16 & low47,
	}
}

// minusOne is −1 mod p.
var minusOne = [limbs]uint64{low52 - 19, low52, low52, low52, low47}

// plus returns a + b.
func plus(a, b [limbs]uint64) [limbs]uint64 {
	for i := range a {
		a[i] += b[i]
	}
	return carry(a)
}

// carry gives what the last limb has above 47 bits to the first, because 2²⁵⁵ = 19, and then what each has above 52 to
// the next. The last one may end with a bit more than 47.
func carry(a [limbs]uint64) [limbs]uint64 {
	a[0] += 19 * (a[limbs-1] >> 47)
	a[limbs-1] &= low47
	for i := range limbs - 1 {
		a[i+1] += a[i] >> 52
		a[i] &= low52
	}
	return a
}

// take sets e to a coordinate of a packet: limbs of which all but the last have anything above their 52 bits.
func (m *memory) take(k *kernel, packet, coordinate int, e *field.Elt) {
	at := k.coordinate(packet, coordinate)
	var l [limbs]uint64
	for i := range l {
		l[i] = m.vectors[at+i*k.width]
		if i < limbs-1 {
			l[i] &= low52
		}
	}
	l = carry(carry(l)) // the second time for what the first one carried to the end
	binary.LittleEndian.PutUint64(e[0:], l[0]|l[1]<<52)
	binary.LittleEndian.PutUint64(e[8:], l[1]>>12|l[2]<<40)
	binary.LittleEndian.PutUint64(e[16:], l[2]>>24|l[3]<<28)
	binary.LittleEndian.PutUint64(e[24:], l[3]>>36|l[4]<<16)
	clear(l[:])
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
