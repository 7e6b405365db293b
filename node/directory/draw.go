package directory

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"math"
	"slices"
	"time"
)

// Lots are mixes to choose from at random, each in proportion to its weight, as all who make packets do. What is random
// here comes from crypto/rand. The zero value has none.
type Lots []Lot

// Lot is one of them.
type Lot struct {
	Mix  *Descriptor
	upTo int // the sum of the weights of this mix and all before it
}

// weight is how many lots a mix has. Whatever it says of itself, no mix has more than MaxWeight times as many as
// another.
func weight(d *Descriptor) int { return int(min(max(d.Weight, 1), MaxWeight)) }

// Add puts a mix in, which must not be there yet.
func (l *Lots) Add(d *Descriptor) {
	before := 0
	if len(*l) > 0 {
		before = (*l)[len(*l)-1].upTo
	}
	*l = append(*l, Lot{d, before + weight(d)})
}

// Draw returns one of the mixes, of which there must be some.
func (l Lots) Draw() *Descriptor {
	drawn := below(l[len(l)-1].upTo)
	i, _ := slices.BinarySearchFunc(l, drawn+1, func(l Lot, sum int) int { return cmp.Compare(l.upTo, sum) })
	return l[i].Mix
}

// DrawAll returns all mixes in the order in which they would be drawn one after the other, none of them twice.
func (l Lots) DrawAll() []*Descriptor {
	// Clocks that ring at times from exponential distributions, at these rates, ring in such an order.
	type clock struct {
		mix   *Descriptor
		rings float64
	}
	clocks := make([]clock, len(l))
	for i, l := range l {
		clocks[i] = clock{l.Mix, -math.Log1p(-Fraction()) / float64(weight(l.Mix))}
	}
	slices.SortFunc(clocks, func(a, b clock) int { return cmp.Compare(a.rings, b.rings) })
	order := make([]*Descriptor, len(l))
	for i, c := range clocks {
		order[i] = c.mix
	}
	return order
}

// Fraction draws uniformly from [0, 1), of which an observer of earlier ones learns nothing.
func Fraction() float64 { return float64(random64()>>11) / (1 << 53) }

// below draws uniformly from [0, n), of which an observer of earlier ones learns nothing.
func below(n int) int {
	for {
		// The last numbers that 64 bits can say are left out where they are no whole n.
		if drawn := random64(); drawn-drawn%uint64(n) <= math.MaxUint64-uint64(n-1) {
			return int(drawn % uint64(n))
		}
	}
}

func random64() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:])
}

// Exponential draws from the exponential distribution with that mean, under the condition that it is at most limit.
func Exponential(mean, limit time.Duration) time.Duration {
	within := -math.Expm1(-float64(limit) / float64(mean)) // the probability of at most limit
	return time.Duration(min(-float64(mean)*math.Log1p(-Fraction()*within), float64(limit)))
}

// DrawDelay draws how long a mix is to hold a packet: not at all in a network without a MeanDelay.
func (n Network) DrawDelay() time.Duration {
	if n.MeanDelay == 0 {
		return 0
	}
	return Exponential(n.MeanDelay, n.LongestDelay())
}
