package bench

import (
	"runtime"
	"testing"

	"golang.org/x/sys/cpu"
)

const (
	budgetRounds   = 11 // slices of the operation in an attempt
	budgetAttempts = 12
)

// TestBudget holds the main operations, for r = 5 and P = 1024, to limits in U, so that a change that makes them slower
// is noticed whatever machine it is made on, and holds a hop to no allocation at all.
//
// A ratio is the median of 11 interleaved rounds, and a limit is broken only where 12 such attempts all exceed it: noise
// comes and goes, a slow operation stays. A core that is busy with other work hurts U more than the operations, by up to
// a fifth (see the README), and hides a loss below that; the time of U, which is logged, tells.
//
// The limits hold for amd64 with BMI2 and ADX, for which circl's ladder is written. Elsewhere, and where the build slows
// the operations and the yardstick by different factors, the ratios are logged and not judged.
func TestBudget(t *testing.T) {
	n := newNetwork(t, 5, 1024)
	packet := n.wrap(t, nil)
	work := make([]byte, len(packet))

	for _, op := range []struct {
		name  string
		limit float64 // U
		run   func(t *testing.T) func()
	}{
		{"Unwrap", 1.9, func(t *testing.T) func() { return n.unwrap(t, packet, work) }},
		{"Wrap", 12, func(t *testing.T) func() { return func() { n.wrap(t, work[:0]) } }},
		{"NewSURB", 11, func(t *testing.T) func() { return func() { n.newSURB(t) } }},
	} {
		t.Run(op.name, func(t *testing.T) {
			judged := ratiosJudged(t)
			for attempt := range budgetAttempts {
				ratio, unit := ratioOf(t, op.run(t))
				t.Logf("attempt %d: %.2f U, at most %.1f (U = %.1f µs)", attempt+1, ratio, op.limit, unit/1000)
				if ratio <= op.limit || !judged {
					return
				}
			}
			t.Errorf("%d attempts all took more than %.1f U", budgetAttempts, op.limit)
		})
	}

	none := func(t *testing.T, op func()) {
		if allocations := testing.AllocsPerRun(20, op); allocations != 0 {
			t.Errorf("%v allocations a call, want none", allocations)
		}
	}
	t.Run("UnwrapAllocations", func(t *testing.T) { none(t, n.unwrap(t, packet, work)) })
	t.Run("UnwrapBatchAllocations", func(t *testing.T) {
		op, _ := n.unwrapBatch(t, 64)
		none(t, op)
	})
}

// ratioOf returns the median of op's time in U over budgetRounds rounds, and that of U in nanoseconds.
func ratioOf(tb testing.TB, op func()) (ratio, unit float64) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := compare(tb, op)
	for range budgetRounds {
		c.begin()
		for range c.calls {
			op()
		}
		c.end()
		c.measureUnit(tb, c.calls)
	}
	return median(c.ratios), median(c.units)
}

// ratiosJudged reports whether the limits apply to this build and machine, and logs why not.
func ratiosJudged(t *testing.T) bool {
	switch {
	case instrumented:
		t.Log("not judged: the race detector is on, or assembly off")
	case testing.CoverMode() != "":
		t.Log("not judged: coverage is on")
	case runtime.GOARCH != "amd64" || !cpu.X86.HasBMI2 || !cpu.X86.HasADX:
		t.Log("not judged: not an amd64 processor with BMI2 and ADX")
	default:
		return true
	}
	return false
}
