package main

import (
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// tight is the largest limb of an element that can be multiplied.
func tight(k int) uint64 {
	if k == limbs-1 {
		return low47 + 1<<16
	}
	return low52
}

// narrowTight is the same for ten limbs. Carry leaves the second one more than its bits, and who prepares a ladder the last.
func narrowTight(k int) uint64 {
	if k == 1 || k == narrowLimbs-1 {
		return lowBits(k) + 1<<15
	}
	return lowBits(k)
}

// ladders are the steps, what the rows of their memory can be between two of them, and how they are run.
var ladders = map[string]struct {
	step      *program
	memory    func(row int) spans
	output    int // rows
	tight     func(k int) uint64
	weight    func(k int) int // of limb k, the power of two
	kept      uint64          // the bits of a limb but the last that count
	ordered   *program        // as it is written to the kernel
	registers int
}{
	"lanes": {lanes52(), func(row int) (s spans) {
		for i := range s {
			s[i].to = tight(row % limbs)
			if row == elementX1*limbs+limbs-1 {
				s[i].to = low47
			}
		}
		return s
	}, 4 * limbs, tight, wideWeight, low52, schedule(lanes52()), 32},
	"narrow": {lanes26(), func(row int) (s spans) {
		for i := range s {
			switch {
			case row >= elements*narrowLimbs: // the mask
				s[i].to = math.MaxUint64
			case row >= elementX1*narrowLimbs:
				s[i].to = lowBits(row % narrowLimbs)
			default:
				s[i].to = narrowTight(row % narrowLimbs)
			}
		}
		return s
	}, 4 * narrowLimbs, narrowTight, func(k int) int { return (51*k + 1) / 2 }, math.MaxUint64, lanes26(), 16},
	"quad": {quad(), func(row int) (s spans) {
		switch {
		case row < limbs:
			for i := range s {
				s[i].to = tight(row)
			}
		case row == elementX1*limbs:
			s[0], s[2] = span{1, 1}, span{1, 1}
			s[3].to = low52
		case row == elementX1*limbs+limbs-1:
			s[3].to = low47
		default:
			s[3].to = low52
		}
		return s
	}, limbs, tight, wideWeight, low52, schedule(quad()), 32},
}

func wideWeight(k int) int { return radix * k }

// TestRanges is the proof that no number of a ladder overflows, whatever its scalar and its point: where all elements are
// tight before a step, none of the step's operations can go wrong, and all elements are tight after it. A ladder starts
// with such elements. Random tests do not come near the largest numbers.
func TestRanges(t *testing.T) {
	for name, l := range ladders {
		t.Run(name, func(t *testing.T) {
			stored, largest, err := ranges(l.step, l.memory)
			if err != nil {
				t.Fatal(err)
			}
			if len(stored) != l.output {
				t.Errorf("a step stores %d rows, not %d", len(stored), l.output)
			}
			for row, s := range stored {
				if row >= l.output {
					t.Errorf("a step changes row %d", row)
				}
				if !s.within(l.tight(row % l.step.limbs)) {
					t.Errorf("row %d: a limb that is not tight: %v", row, s)
				}
			}
			t.Logf("the largest number is 2^%.2f", math.Log2(float64(largest)))
		})
	}
}

// TestRangesFindWhatGoesWrong: the proof is one only if it fails where it must.
func TestRangesFindWhatGoesWrong(t *testing.T) {
	limit := func(to uint64) func(int) spans {
		return func(int) (s spans) {
			for i := range s {
				s[i].to = to
			}
			return s
		}
	}
	for name, c := range map[string]struct {
		build func(p *program)
		most  uint64
	}{
		"a sum":                  {func(p *program) { p.do(add, p.load(0), p.load(1)) }, 1<<63 - 1},
		"a sum in some elements": {func(p *program) { p.at(addAt, everywhere, p.load(0), p.load(1)) }, 1<<63 - 1},
		"a product of 52 bits":   {func(p *program) { p.do(low, p.zero(), p.load(0), p.load(1)) }, low52},
		"a multiplication":       {func(p *program) { l := p.load(0); p.multiply(element{l, l, l, l, l}, element{l, l, l, l, l}, nowhere) }, tight(limbs - 1)},
		"the same, sooner": {func(p *program) {
			l := p.load(0)
			p.multiplySoon(element{l, l, l, l, l}, element{l, l, l, l, l}, nowhere)
		}, tight(limbs - 1)},
		"a square":             {func(p *program) { l := p.load(0); p.square(element{l, l, l, l, l}, nowhere) }, tight(limbs - 1)},
		"a product of 32 bits": {func(p *program) { p.do(times, p.load(0), p.load(1)) }, math.MaxUint32},
		"a shift":              {func(p *program) { p.shift(shiftLeft, p.load(0), 4) }, 1<<60 - 1},
		"ten limbs, multiplied": {func(p *program) {
			e := narrow{p}.loadElement(elementA)
			narrow{p}.multiply(e, e, nowhere)
		}, 3 << 26},
		"ten limbs, squared":      {func(p *program) { narrow{p}.square(narrow{p}.loadElement(elementA), nowhere) }, 3 << 25},
		"a difference, and twice": {func(p *program) { b := p.constant("b", 1<<60); p.do(subtract, p.do(subtract, b, p.load(0)), p.load(1)) }, 1 << 59},
	} {
		t.Run(name, func(t *testing.T) {
			p := &program{limbs: narrowLimbs}
			c.build(p)
			if _, _, err := ranges(p, limit(c.most)); err != nil {
				t.Errorf("refused where it can do: %v", err)
			}
			if _, _, err := ranges(p, limit(c.most+c.most/2+1)); err == nil {
				t.Error("accepted with numbers half as large again")
			}
		})
	}
}

var prime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))

// number is the sum of so many limbs, all but the last of which count as far as kept says.
func number(limbs int, weight func(k int) int, kept uint64, limb func(k int) uint64) *big.Int {
	n := new(big.Int)
	for k := range limbs {
		l := limb(k)
		if k < limbs-1 {
			l &= kept
		}
		n.Add(n, new(big.Int).Lsh(new(big.Int).SetUint64(l), uint(weight(k))))
	}
	return n
}

// TestSteps compares steps with the formulas of RFC 7748, §5, over limbs of random and of the largest size.
func TestSteps(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	limb := func(most uint64) uint64 {
		switch random.IntN(4) {
		case 0:
			return most
		case 1:
			return 0
		}
		return random.Uint64N(most + 1)
	}
	for name, l := range ladders {
		for trial := range 400 {
			memory := make(map[int][4]uint64)
			count, x1 := l.step.limbs, l.step.place(elementX1)
			for row := range x1 + count {
				var e [4]uint64
				for i, s := range l.memory(row) {
					e[i] = max(s.from, limb(s.to))
				}
				memory[row] = e
			}
			bit := trial%2 == 1
			if bit {
				memory[l.step.rowMask()] = [4]uint64{math.MaxUint64, math.MaxUint64, math.MaxUint64, math.MaxUint64}
			}
			stored := simulate(l.step, memory, bit)
			m := &machine{memory: maps.Clone(memory), bit: bit}
			allocate(l.ordered, l.registers, m)
			for row := range stored {
				if m.memory[row] != stored[row] {
					t.Fatalf("%s, trial %d: scheduled and in registers it gives row %d another value", name, trial, row)
				}
			}
			// read returns coordinate c (A, B, C, D) of the packet in element i, or of the only one.
			read := func(rows map[int][4]uint64, c, i int) *big.Int {
				return number(count, l.weight, l.kept, func(k int) uint64 {
					if name == "quad" {
						return rows[k][c]
					}
					return rows[c*count+k][i]
				})
			}
			for i := range 4 {
				point := number(count, l.weight, l.kept, func(k int) uint64 {
					if name == "quad" {
						return memory[x1+k][3]
					}
					return memory[x1+k][i]
				})
				want := formulas(read(memory, 0, i), read(memory, 1, i), read(memory, 2, i), read(memory, 3, i), point, bit)
				for c := range want {
					got := read(stored, c, i)
					if got.Mod(got, prime); got.Cmp(want[c]) != 0 {
						t.Fatalf("%s, trial %d, coordinate %d of packet %d: got %x, want %x", name, trial, c, i, got, want[c])
					}
				}
				if name == "quad" {
					break
				}
			}
		}
	}
}

// formulas is a step after RFC 7748 over A, B, C and D, twice each of x₂, z₂, x₃ and z₃ being their sums and differences.
func formulas(a, b, c, d, x1 *big.Int, swap bool) [4]*big.Int {
	mod := func(n *big.Int) *big.Int { return n.Mod(n, prime) }
	times := func(x, y *big.Int) *big.Int { return mod(new(big.Int).Mul(x, y)) }
	plus := func(x, y *big.Int) *big.Int { return mod(new(big.Int).Add(x, y)) }
	minus := func(x, y *big.Int) *big.Int { return mod(new(big.Int).Sub(x, y)) }
	if swap {
		a, b, c, d = c, d, a, b
	}
	aa, bb, da, cb := times(a, a), times(b, b), times(d, a), times(c, b)
	e := minus(aa, bb)
	x3, z3 := times(plus(da, cb), plus(da, cb)), times(x1, times(minus(da, cb), minus(da, cb)))
	x2, z2 := times(aa, bb), times(e, plus(aa, times(big.NewInt(121665), e)))
	return [4]*big.Int{plus(x2, z2), minus(x2, z2), plus(x3, z3), minus(x3, z3)}
}
