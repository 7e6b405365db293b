package client

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"math"
	"slices"

	"sphinxmix.example/node/directory"
)

// lots are mixes to choose from at random, each in proportion to its weight. The zero value has none.
type lots []lot

type lot struct {
	mix  *directory.Descriptor
	upTo int // the sum of the weights of this mix and all before it
}

// weight is how many lots a mix has. Whatever it says of itself, no mix has more than directory.MaxWeight times as many as
// another.
func weight(d *directory.Descriptor) int { return int(min(max(d.Weight, 1), directory.MaxWeight)) }

func (l *lots) add(d *directory.Descriptor) {
	before := 0
	if len(*l) > 0 {
		before = (*l)[len(*l)-1].upTo
	}
	*l = append(*l, lot{d, before + weight(d)})
}

// draw returns one of the mixes, of which there must be some.
func (l lots) draw() *directory.Descriptor {
	drawn := below(l[len(l)-1].upTo)
	i, _ := slices.BinarySearchFunc(l, drawn+1, func(l lot, sum int) int { return cmp.Compare(l.upTo, sum) })
	return l[i].mix
}

// drawAll returns all mixes in the order in which they would be drawn one after the other, none of them twice.
func (l lots) drawAll() []*directory.Descriptor {
	// Clocks that ring at times from exponential distributions, at these rates, ring in such an order.
	type clock struct {
		mix   *directory.Descriptor
		rings float64
	}
	clocks := make([]clock, len(l))
	for i, l := range l {
		clocks[i] = clock{l.mix, -math.Log1p(-fraction()) / float64(weight(l.mix))}
	}
	slices.SortFunc(clocks, func(a, b clock) int { return cmp.Compare(a.rings, b.rings) })
	order := make([]*directory.Descriptor, len(l))
	for i, c := range clocks {
		order[i] = c.mix
	}
	return order
}

// fraction draws uniformly from [0, 1), of which an observer of earlier ones learns nothing.
func fraction() float64 { return float64(random64()>>11) / (1 << 53) }

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
