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
	for _, b := range []struct {
		maker
		limit float64 // U per packet
	}{
		{unwrap(mainHops, mainPayload), 1.9},
		{wrap(mainHops, mainPayload), 12},
		{makeSURB(mainHops, 0), 11},
	} {
		t.Run(b.Name(), func(t *testing.T) {
			judged := ratiosJudged(t)
			op, err := b.make()
			check(t, err)
			for attempt := range budgetAttempts {
				ratio, unit := ratioOf(t, op)
				t.Logf("attempt %d: %.2f U, at most %.2f (U = %.1f µs)", attempt+1, ratio, b.limit, unit/1000)
				if ratio <= b.limit || !judged {
					return
				}
			}
			t.Errorf("%d attempts all took more than %.2f U", budgetAttempts, b.limit)
		})
	}

	for _, m := range []maker{unwrap(mainHops, mainPayload), unwrapBatch(mainHops, mainPayload, mainBatch)} {
		t.Run("allocations/"+m.Name(), func(t *testing.T) {
			op, err := m.make()
			check(t, err)
			op.restore(21) // it is called once more
			if allocations := testing.AllocsPerRun(20, func() { check(t, op.call()) }); allocations != 0 {
				t.Errorf("%v allocations a call, want none", allocations)
			}
		})
	}
}

// ratioOf returns the median of op's time in U, per packet, over budgetRounds rounds, and that of U in nanoseconds.
func ratioOf(tb testing.TB, op *Operation) (ratio, unit float64) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	yardstick, err := newYardstick()
	check(tb, err)
	c, err := compare(yardstick, op, sliceLength)
	check(tb, err)
	for range budgetRounds {
		check(tb, c.slice())
	}
	m, units := c.measurement()
	return m.Units.Median, median(units)
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
