package bench

import (
	"math"
	"runtime"
	"testing"

	"golang.org/x/sys/cpu"

	"sphinxmix.example/lioness/symmetric"
	"sphinxmix.example/sphinx/kernels"
)

const (
	budgetRounds   = 11 // slices of the operation in an attempt
	budgetAttempts = 12
)

// budgets are what the main operations, for r = 5 and P = 1024, may take, in U per packet: where the vector kernels are in
// use, and elsewhere (0: not limited).
var budgets = []struct {
	maker
	vector, portable float64
}{
	{unwrap(mainHops, mainPayload), 1.1, 1.9},
	{unwrapBatch(mainHops, mainPayload, 8), 0.31, 0},
	{unwrapBatch(mainHops, mainPayload, mainBatch), 0.28, 0},
	{wrap(mainHops, mainPayload), 4, 12},
	{wrapBatch(mainHops, mainPayload, mainBatch), 2.2, 0},
	{makeSURB(mainHops, 0), 3.6, 11},
}

// TestBudget holds operations to their budgets, so that a change that makes them slower is noticed whatever machine it is
// made on, and holds hops and senders to no allocation at all.
//
// A ratio is the median of 11 interleaved rounds, and a limit is broken only where 12 such attempts all exceed it: noise
// comes and goes, a slow operation stays. A core that is busy with other work hurts U more than the operations, by up to
// a fifth (see the README), and hides a loss below that; the time of U, which is logged, tells.
//
// The portable limits hold for amd64 with BMI2 and ADX, for which the standard library and circl are written, and there
// with -tags purego, too. Elsewhere, and where the build slows the operations and the yardstick by different factors, the
// ratios are logged and not judged.
func TestBudget(t *testing.T) {
	vector := kernels.Implementation() == "AVX-512 IFMA" && symmetric.Implementation() == "AVX-512"
	for _, b := range budgets {
		limit := b.portable
		if vector {
			limit = b.vector
		}
		if limit == 0 {
			continue
		}
		t.Run(b.Name(), func(t *testing.T) {
			judged := ratiosJudged(t)
			op, err := b.make()
			check(t, err)
			for attempt := range budgetAttempts {
				ratio, unit := ratioOf(t, op)
				t.Logf("attempt %d: %.2f U, at most %.2f (U = %.1f µs)", attempt+1, ratio, limit, unit/1000)
				if ratio <= limit || !judged {
					return
				}
			}
			t.Errorf("%d attempts all took more than %.2f U", budgetAttempts, limit)
		})
	}

	for _, b := range budgets {
		if b.Kind == "SURB" {
			continue // which is itself allocated
		}
		t.Run("allocations/"+b.Name(), func(t *testing.T) {
			op, err := b.make()
			check(t, err)
			op.restore(6) // it is called once more
			if allocations := testing.AllocsPerRun(5, func() { check(t, op.call()) }); allocations != 0 {
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
	return c.measurement(math.Inf(1)).Units.Median, median(c.units())
}

// ratiosJudged reports whether the limits apply to this build and machine, and logs why not.
func ratiosJudged(t *testing.T) bool {
	switch {
	case instrumented:
		t.Log("not judged: the race detector is on")
	case testing.CoverMode() != "":
		t.Log("not judged: coverage is on")
	case runtime.GOARCH != "amd64" || !cpu.X86.HasBMI2 || !cpu.X86.HasADX:
		t.Log("not judged: not an amd64 processor with BMI2 and ADX")
	default:
		return true
	}
	return false
}
