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

// ladders are the steps, and what the rows of their memory can be between two of them.
var ladders = map[string]struct {
	step   *program
	memory func(row int) spans
	output int // rows
}{
	"lanes": {lanes(), func(row int) (s spans) {
		for i := range s {
			s[i].to = tight(row % limbs)
			if row == rowX1+limbs-1 {
				s[i].to = low47
			}
		}
		return s
	}, 4 * limbs},
	"quad": {quad(), func(row int) (s spans) {
		switch {
		case row < limbs:
			for i := range s {
				s[i].to = tight(row)
			}
		case row == rowX1:
			s[0], s[2] = span{1, 1}, span{1, 1}
			s[3].to = low52
		case row == rowX1+limbs-1:
			s[3].to = low47
		default:
			s[3].to = low52
		}
		return s
	}, limbs},
}

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
			most := uint64(0)
			for row, s := range stored {
				if row >= l.output {
					t.Errorf("a step changes row %d", row)
				}
				if !s.within(tight(row % limbs)) {
					t.Errorf("row %d: a limb that is not tight: %v", row, s)
				}
				if row%limbs == limbs-1 {
					for _, e := range s {
						most = max(most, e.to)
					}
				}
			}
			t.Logf("the largest number is 2^%.2f, the largest last limb 2⁴⁷ + %d", math.Log2(float64(largest)), most-1<<47)
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
		"a square":                {func(p *program) { l := p.load(0); p.square(element{l, l, l, l, l}, nowhere) }, tight(limbs - 1)},
		"a difference, and twice": {func(p *program) { b := p.constant("b", 1<<60); p.do(subtract, p.do(subtract, b, p.load(0)), p.load(1)) }, 1 << 59},
	} {
		t.Run(name, func(t *testing.T) {
			p := new(program)
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

func number(limb func(k int) uint64) *big.Int {
	n := new(big.Int)
	for k := limbs - 1; k >= 0; k-- {
		l := limb(k)
		if k < limbs-1 {
			l &= low52
		}
		n.Add(n.Lsh(n, radix), new(big.Int).SetUint64(l))
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
			for row := range rowX1 + limbs {
				var e [4]uint64
				for i, s := range l.memory(row) {
					e[i] = max(s.from, limb(s.to))
				}
				memory[row] = e
			}
			bit := trial%2 == 1
			stored := simulate(l.step, memory, bit)
			m := &machine{memory: maps.Clone(memory), bit: bit}
			allocate(schedule(l.step), m)
			for row := range stored {
				if m.memory[row] != stored[row] {
					t.Fatalf("%s, trial %d: scheduled and in registers it gives row %d another value", name, trial, row)
				}
			}
			// read returns coordinate c (A, B, C, D) of the packet in element i, or of the only one.
			read := func(rows map[int][4]uint64, c, i int) *big.Int {
				return number(func(k int) uint64 {
					if name == "quad" {
						return rows[k][c]
					}
					return rows[c*limbs+k][i]
				})
			}
			for i := range 4 {
				x1 := number(func(k int) uint64 {
					if name == "quad" {
						return memory[rowX1+k][3]
					}
					return memory[rowX1+k][i]
				})
				want := formulas(read(memory, 0, i), read(memory, 1, i), read(memory, 2, i), read(memory, 3, i), x1, bit)
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
