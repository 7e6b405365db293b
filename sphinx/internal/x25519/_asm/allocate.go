package main

import (
	"math"
	"slices"
)

const (
	never = math.MaxInt // the next use of what is not used again

	// near is within how many instructions a value in memory must be wanted again to be given a register.
	near = 48
)

// target is what instructions are written to. An operand is a register's number or a place in memory.
type target interface {
	instruction(v *value, into int, arguments []operand) // into is also the first argument's where that is changed in place
	load(into int, from operand)
	store(from int, at int)
	copy(into, from int)
}

// operand is where an instruction finds an argument: in a register, or else in a row of memory or a constant.
type operand struct {
	register int // −1: in memory
	row      int // −1: a constant
	constant *value
}

// allocator gives the values of a program registers, in the program's order. Where none is free it takes one from the
// value that is needed last (Belady), which goes to memory first if it is not there.
type allocator struct {
	to      target
	rowFree int
	uses    map[*value][]int // positions in the body, ascending; those in the past are removed
	holds   []*value         // by register
	in      map[*value]int   // register
	home    map[*value]int   // row
	rows    []*value         // what the rows from rowFree on hold
	now     int

	stores, loads int // moves that only the lack of registers makes
}

// allocate writes p to a target that has so many registers. What it returns has counted.
func allocate(p *program, registers int, to target) *allocator {
	a := &allocator{to: to, rowFree: p.rowFree(), holds: make([]*value, registers), uses: make(map[*value][]int), in: make(map[*value]int), home: make(map[*value]int)}
	for i, item := range p.body {
		switch item := item.(type) {
		case *value:
			if item.operation == keep {
				continue
			}
			for _, argument := range item.sources() {
				a.uses[argument] = append(a.uses[argument], i)
			}
		case store:
			a.uses[item.value.source()] = append(a.uses[item.value.source()], i)
		}
	}
	for i, item := range p.body {
		a.now = i
		switch item := item.(type) {
		case *value:
			switch item.operation {
			case load:
				a.home[item] = item.at
			case keep:
			default:
				a.compute(item)
			}
		case store:
			for v, row := range a.home {
				if v.operation == load && row == item.at && a.next(v) != never {
					panic("a row is overwritten before its last use")
				}
			}
			a.to.store(a.register(item.value.source()), item.at)
			a.used(item.value.source())
		}
	}
	return a
}

// memory is how many rows of memory the program takes.
func (a *allocator) memory() int { return a.rowFree + len(a.rows) }

func (a *allocator) compute(v *value) {
	arguments := make([]operand, len(v.arguments))
	// The last argument may be in memory, and of two that commute the first may stand last.
	order := v.sources()
	from := 0
	if v.changesFirst() {
		from = 1
	}
	if v.commutes() && len(order) == from+2 && !a.isIn(order[from]) && a.isIn(order[from+1]) {
		order[from], order[from+1] = order[from+1], order[from]
	}
	for i, argument := range order {
		if i == len(order)-1 && v.readsMemory() && !slices.Contains(order[:i], argument) && !a.isIn(argument) && !a.worthARegister(argument, order) {
			arguments[i] = a.place(argument)
			continue
		}
		arguments[i] = operand{register: a.registerBut(argument, order)}
	}
	// The row of an argument in memory must not be given away before the instruction has read it.
	early, late := order, order[:0]
	if last := len(order) - 1; last >= 0 && arguments[last].register < 0 {
		early, late = order[:last], order[last:]
	}
	var into int
	switch {
	case v.changesFirst() && a.after(order[0]) != never: // change a copy, in none of the arguments' registers
		into = a.free(order)
		a.to.copy(into, arguments[0].register)
		arguments[0].register = into
		a.release(early)
	case v.changesFirst():
		a.release(early)
		into = arguments[0].register
	default:
		a.release(early)
		into = a.free(nil) // an argument's will do: it is read before
	}
	a.holds[into], a.in[v] = v, into
	a.to.instruction(v, into, arguments)
	a.release(late)
	if a.next(v) == never {
		panic("a value is computed for nothing")
	}
}

// sources are what v is computed from.
func (v *value) sources() (all []*value) {
	for _, argument := range v.arguments {
		all = append(all, argument.source())
	}
	return all
}

// changesFirst reports whether the instruction of v overwrites its first argument.
func (v *value) changesFirst() bool {
	return v.operation == low || v.operation == high || v.operation == addAt || v.operation == subtractAt
}

func (v *value) commutes() bool {
	return slices.Contains([]operation{add, low, high, and, times, xor}, v.operation)
}

// readsMemory reports whether the last argument of v's instruction may be in memory.
func (v *value) readsMemory() bool {
	return !slices.Contains([]operation{shiftRight, shiftLeft, constant}, v.operation)
}

func (a *allocator) isIn(v *value) bool { _, ok := a.in[v]; return ok }

// next is when v is needed next.
func (a *allocator) next(v *value) int {
	if uses := a.uses[v]; len(uses) > 0 {
		return uses[0]
	}
	return never
}

// after is when v is needed next after now.
func (a *allocator) after(v *value) int {
	for _, use := range a.uses[v] {
		if use > a.now {
			return use
		}
	}
	return never
}

// worthARegister reports whether v, which is in memory and needed now, should be loaded: it is wanted again soon, and
// sooner than something that has a register.
func (a *allocator) worthARegister(v *value, keep []*value) bool {
	after := a.after(v)
	if v.operation == constant || after == never || after-a.now > near {
		return false
	}
	for _, held := range a.holds {
		if held == nil || !slices.Contains(keep, held) && a.next(held) > after {
			return true
		}
	}
	return false
}

func (a *allocator) place(v *value) operand {
	if v.operation == constant {
		return operand{-1, -1, v}
	}
	row, ok := a.home[v]
	if !ok {
		panic("a value is nowhere")
	}
	return operand{-1, row, nil}
}

func (a *allocator) register(v *value) int { return a.registerBut(v, nil) }

// registerBut returns the register of v, after it was loaded where it had none, at the cost of none of keep.
func (a *allocator) registerBut(v *value, keep []*value) int {
	if r, ok := a.in[v]; ok {
		return r
	}
	from := a.place(v)
	r := a.free(keep)
	a.to.load(r, from)
	a.loads++
	a.holds[r], a.in[v] = v, r
	return r
}

// free returns a register that holds nothing, after it was emptied if need be, of none of keep.
func (a *allocator) free(keep []*value) int {
	best, bestNext := -1, -1
	for r, held := range a.holds {
		if held == nil {
			return r
		}
		if next := a.next(held); next > bestNext && !slices.Contains(keep, held) {
			best, bestNext = r, next
		}
	}
	if best < 0 {
		panic("an instruction needs more registers than there are")
	}
	victim := a.holds[best]
	if _, ok := a.home[victim]; !ok && a.next(victim) != never {
		row := slices.Index(a.rows, nil)
		if row < 0 {
			row = len(a.rows)
			a.rows = append(a.rows, nil)
		}
		a.rows[row] = victim
		a.home[victim] = a.rowFree + row
		a.to.store(best, a.rowFree+row)
		a.stores++
	}
	a.drop(victim)
	return best
}

func (a *allocator) drop(v *value) {
	if r, ok := a.in[v]; ok {
		a.holds[r] = nil
		delete(a.in, v)
	}
}

// release notes that values were used now.
func (a *allocator) release(values []*value) {
	for _, v := range values {
		a.used(v)
	}
}

// used notes that v was used now, and frees what it takes where that was the last time.
func (a *allocator) used(v *value) {
	for len(a.uses[v]) > 0 && a.uses[v][0] <= a.now {
		a.uses[v] = a.uses[v][1:]
	}
	if a.next(v) == never {
		a.forget(v)
	}
}

// forget frees all that v takes.
func (a *allocator) forget(v *value) {
	a.drop(v)
	if row, ok := a.home[v]; ok && row >= a.rowFree {
		a.rows[row-a.rowFree] = nil
	}
	delete(a.home, v)
}
