package main

import "fmt"

// An operation of a program. What it does to each of a vector's 64-bit elements is written in simulate_test.go, what it may
// do to their ranges in ranges.go, and the instruction that it becomes in emit.go.
type operation uint8

const (
	load          operation = iota // a row of memory
	constant                       // a row of numbers that are known when the program is written
	add                            // a + b
	subtract                       // a − b, which must not be negative
	low                            // a + the lowest 52 bits of b·c, where b and c are numbers of 52 bits
	high                           // a + the highest 52 bits of b·c
	shiftRight                     // a / 2ⁿ
	and                            // a & b
	keep                           // the lowest 52 bits of a, which takes no instruction: see kept
	choose                         // b where the step's bit is set, a where it is not
	times                          // the lowest 32 bits of a, times those of b, of which none has more
	shiftLeft                      // a·2ⁿ
	xor                            // a ^ b
	addAt                          // a + b in some elements, a in the others
	subtractAt                     // a − b in some elements, a in the others
	replaceAt                      // b in some elements, a in the others
	duplicateEven                  // a₀ a₀ a₂ a₂ for each four elements
	duplicateOdd                   // a₁ a₁ a₃ a₃
	arrange                        // b, in each four elements in the order that a says
)

// value is the result of an operation: a vector of 64-bit elements.
type value struct {
	operation operation
	arguments []*value
	count     int       // of a shift
	at        int       // row of a load
	numbers   []uint64  // of a constant: one for all elements, or four for each four of them
	elements  []bool    // of addAt, subtractAt and replaceAt: the chosen ones among each four
	orders    [2]*value // of arrange: what a can be
	order     bool      // of a constant: it is the first argument of arrange
	name      string    // of a constant in the assembly
	kept      bool      // only the lowest 52 bits count, and those above may be anything
}

// store is a value that becomes a row of memory.
type store struct {
	value *value
	at    int
}

// program is straight-line code over vectors: what one step of a ladder does. Every value is computed after its
// arguments and once.
type program struct {
	body   []any // *value, store or checked, in order
	limbs  int   // of its elements
	shared map[string]*value
}

// The rows of a ladder's memory, each a vector: elements A, B, C, D and x₁, of so many limbs, and then these. A step reads
// and writes the first four, or where they are side by side the first, and reads the others.
func (p *program) place(which int) int { return which * p.limbs }
func (p *program) rowBits() int        { return p.place(elements) } // 4: what bit of the scalar differs from the one above it
func (p *program) rowMask() int        { return p.rowBits() + 4 }   // ones where the step's bit is set, zeros where it is not: for narrow
func (p *program) rowFree() int        { return p.rowMask() + 1 }   // for values that have no register

const (
	elementA = iota
	elementB
	elementC
	elementD
	elementX1
	elements
)

// checked is a value that must not be larger than most, where the proof holds.
type checked struct {
	value *value
	most  uint64
}

// do appends an operation. What is kept may be multiplied, moved and stored, and nothing else.
func (p *program) do(o operation, arguments ...*value) *value {
	v := &value{operation: o, arguments: arguments}
	for i, argument := range arguments {
		if !argument.kept {
			continue
		}
		switch o {
		case low, high:
			if i == 0 {
				panic("a sum with a number whose high bits are anything")
			}
		case choose, replaceAt, arrange, duplicateEven, duplicateOdd:
			v.kept = true
		default:
			panic("an operation on a number whose high bits are anything")
		}
	}
	p.body = append(p.body, v)
	return v
}

// keep returns the lowest 52 bits of v.
func (p *program) keep(v *value) *value {
	v = p.do(keep, v)
	v.kept = true
	return v
}

func (p *program) check(v *value, most uint64) { p.body = append(p.body, checked{v, most}) }

// source is the value whose register v is in.
func (v *value) source() *value {
	for v.operation == keep {
		v = v.arguments[0]
	}
	return v
}

func (p *program) store(v *value, at int) { p.body = append(p.body, store{v, at}) }

func (p *program) load(at int) *value {
	v := p.do(load)
	v.at = at
	return v
}

// constant returns the row of numbers, the same one for the same name.
func (p *program) constant(name string, numbers ...uint64) *value {
	if p.shared == nil {
		p.shared = make(map[string]*value)
	}
	if v := p.shared[name]; v != nil {
		return v
	}
	if len(numbers) != 1 && len(numbers) != 4 {
		panic(fmt.Sprintf("%s is a row of %d numbers", name, len(numbers)))
	}
	v := &value{operation: constant, numbers: numbers, name: name}
	p.shared[name] = v
	return v
}

func (p *program) shift(o operation, v *value, count int) *value {
	v = p.do(o, v)
	v.count = count
	return v
}

func (p *program) at(o operation, elements []bool, a, b *value) *value {
	v := p.do(o, a, b)
	v.elements = elements
	return v
}

// order returns the index for arrange: without, or with where the step's bit is set.
func (p *program) order(name string, without, with []uint64) *value {
	o := [2]*value{p.constant(name+"0", without...), p.constant(name+"1", with...)}
	o[0].order, o[1].order = true, true
	v := p.do(choose, o[0], o[1])
	v.orders = o
	return v
}

func (p *program) arrange(order, v *value) *value {
	r := p.do(arrange, order, v)
	r.orders = order.orders
	return r
}
