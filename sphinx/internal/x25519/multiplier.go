package x25519

// Base is the u-coordinate of the base point (RFC 7748 §4.1).
var Base = Key{9}

// Multiplication is one X25519 to be computed: Result is set to Scalar·Point, and OK to whether it differs from zero,
// which it does for every point but those of low order. Scalar is clamped where it is not. Result may be the memory of
// Scalar or of Point.
type Multiplication struct {
	Result, Scalar, Point *Key
	OK                    bool
}

// Multiplier computes multiplications, many in one pass where the processor has the vector unit for it. It works in its
// own memory, so that no call allocates, and erases that memory before a call returns. The time does not depend on the
// scalars.
//
// Use NewMultiplier. A Multiplier is not safe for concurrent use.
type Multiplier struct {
	kernels []kernel // by how many they compute in a pass, ascending; none: one after the other
	memory  *memory
}

// NewMultiplier returns a Multiplier.
func NewMultiplier() *Multiplier {
	if len(kernels) == 0 {
		return new(Multiplier)
	}
	return &Multiplier{kernels, newMemory()}
}

// Implementation names what Multipliers of this process compute with, when there are many to compute.
func Implementation() string {
	switch {
	case len(kernels) == 0:
		return portable
	case kernels[0].narrow:
		return "AVX2"
	}
	return "AVX-512 IFMA"
}

// Multiply computes all multiplications. No Result may be the memory of another one's operand.
func (m *Multiplier) Multiply(all []Multiplication) {
	alone := m.alone(len(all))
	for i := range all[:alone] {
		all[i].alone()
	}
	for all = all[alone:]; len(all) > 0; {
		n := min(len(all), most)
		m.memory.multiply(m.kernels, all[:n])
		all = all[n:]
	}
}

// alone returns how many of so many multiplications are best computed by themselves: those that would leave most of a
// narrow kernel's vectors idle, where its pass takes as long as two of them.
func (m *Multiplier) alone(count int) int {
	if len(m.kernels) == 0 {
		return count
	}
	if largest := m.kernels[len(m.kernels)-1]; largest.narrow && count%largest.packets <= 2 {
		return count % largest.packets
	}
	return 0
}

// alone multiplies by itself, and the base point from a table, which takes half the time.
func (j *Multiplication) alone() {
	if *j.Point == Base {
		Public(j.Result, j.Scalar)
		j.OK = true
	} else {
		j.OK = Shared(j.Result, j.Scalar, j.Point)
	}
}
