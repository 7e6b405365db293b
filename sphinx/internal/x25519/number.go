package x25519

import (
	"encoding/binary"

	field "github.com/cloudflare/circl/math/fp25519"
)

// number is five limbs of so many bits as their radix says, the last of which has what is left of 255.
type number [limbs]uint64

// radix is how many bits a limb has: 51 or 52.
type radix uint

func (k *kernel) radix() radix {
	if k.narrow {
		return 51
	}
	return 52
}

func (r radix) low() uint64 { return 1<<r - 1 }

// top is how many bits the last limb has.
func (r radix) top() uint { return 255 - (limbs-1)*uint(r) }

// place returns the 64-bit word of 32 bytes that limb i begins in, and the bit.
func (r radix) place(i int) (word int, bit uint) {
	at := uint(i) * uint(r)
	return int(at / 64), at % 64
}

// unpack returns u mod 2²⁵⁵.
func (r radix) unpack(u *Key) (n number) {
	for i := range n {
		word, bit := r.place(i)
		n[i] = binary.LittleEndian.Uint64(u[8*word:]) >> bit
		if word < 3 {
			n[i] |= binary.LittleEndian.Uint64(u[8*word+8:]) << (64 - bit)
		}
		n[i] &= r.low()
	}
	n[limbs-1] &= 1<<r.top() - 1
	return n
}

// pack writes n, whose limbs but for the last have no more bits than they should.
func (r radix) pack(e *field.Elt, n number) {
	var words [4]uint64
	for i, limb := range n {
		word, bit := r.place(i)
		words[word] |= limb << bit
		if word < 3 {
			words[word+1] |= limb >> (64 - bit)
		}
	}
	for i, word := range words {
		binary.LittleEndian.PutUint64(e[8*i:], word)
	}
	clear(words[:])
}

// minusOne is −1 mod p.
func (r radix) minusOne() number {
	return number{r.low() - 19, r.low(), r.low(), r.low(), 1<<r.top() - 1}
}

// plus returns a + b.
func (r radix) plus(a, b number) number {
	for i := range a {
		a[i] += b[i]
	}
	return r.carry(a)
}

// carry gives what the last limb has above its bits to the first, because 2²⁵⁵ = 19, and then what each has above its own to
// the next. The last one may end with a bit more.
func (r radix) carry(a number) number {
	a[0] += 19 * (a[limbs-1] >> r.top())
	a[limbs-1] &= 1<<r.top() - 1
	for i := range limbs - 1 {
		a[i+1] += a[i] >> r
		a[i] &= r.low()
	}
	return a
}
