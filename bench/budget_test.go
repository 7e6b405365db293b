package bench

import (
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/cpu"

	"sphinxmix.example/lioness/symmetric"
	"sphinxmix.example/sphinx/kernels"
)

const (
	budgetRounds   = quietEnough // slices of the operation in an attempt, or up to so many times as many
	budgetPatience = 5
	budgetAttempts = 12

	// A limit is a budget times allowance on processors of the kind that budgets were found on, Intel's with AMX, beside
	// whose U operations take a little more or less from one to the next. On others, which nobody has measured, it is a
	// budget times elsewhere, which tells no more than whether the kernels are used that should be.
	allowance = 1.1
	elsewhere = 2 * allowance
)

// budgets are what the main operations, for r = 5 and P = 1024, may take, in U per packet, with which kernels for
// X25519: where there is none for AVX2, what holds elsewhere (0: not limited).
var budgets = []struct {
	maker
	ifma, avx2, portable float64
}{
	{unwrap(mainHops, mainPayload), 1.1, 0, 1.9},
	{unwrapBatch(mainHops, mainPayload, 8), 0.31, 1, 0},
	{unwrapBatch(mainHops, mainPayload, mainBatch), 0.28, 0.95, 0},
	{wrap(mainHops, mainPayload), 4, 0, 12},
	{wrapBatch(mainHops, mainPayload, mainBatch), 2.2, 4.8, 0},
	{makeSURB(mainHops, 0), 3.6, 0, 11},
}

// TestBudget holds operations to their budgets, so that a change that makes them slower is noticed whatever machine it
// is made on, and holds hops and senders to no allocation at all.
//
// A ratio is the median of those of 11 interleaved rounds in which U was least, as in mixnet bench; where too few were
// near the least U that the test has seen, it takes up to 55. A limit is broken only where 12 such attempts all exceed
// it: noise comes and goes, a slow operation stays.
//
// So it sees a loss of more than the room that a limit leaves, on Intel's processors with AMX some percent, where the
// core is free for a part of the time. Where others use the core all the time, U loses more than the operations do, by a
// fifth to a third, and a loss below that is not seen; that U is then larger than on a free core, which is logged, is all
// that tells. What one processor does better or worse than others beside U, it takes for the operation's.
//
// The portable limits hold for amd64 with BMI2 and ADX, for which the standard library and circl are written, and there
// with -tags purego, too. Elsewhere, and where the build slows the operations and the yardstick by different factors,
// the ratios are logged and not judged.
func TestBudget(t *testing.T) {
	var seen []float64 // U in all rounds
	inUse := kernels.Implementation()
	for _, b := range budgets {
		limit := b.portable
		switch {
		case inUse == "AVX-512 IFMA" && symmetric.Implementation() == "AVX-512":
			limit = b.ifma
		case inUse == "AVX2" && b.avx2 > 0:
			limit = b.avx2
		}
		if cpu.X86.HasAMXTile {
			limit *= allowance
		} else {
			limit *= elsewhere
		}
		if limit == 0 {
			continue
		}
		t.Run(b.Name(), func(t *testing.T) {
			judged := ratiosJudged(t)
			op, err := b.make()
			check(t, err)
			for i := range budgetAttempts {
				c := attempt(t, op, &seen)
				m := c.measurement(quietLimit(seen))
				t.Logf("attempt %d: %.3f U, at most %.2f (U = %.1f µs, in the %d rounds that count of %d; its least was %.1f)",
					i+1, m.Units.Median, limit, median(counted(m))/1000, len(counted(m)), len(m.Rounds), slices.Min(seen)/1000)
				if m.Units.Median <= limit || !judged {
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

// attempt compares op with U, for as many rounds as it takes until enough are quiet, or until patience ends. What U was
// is added to seen.
func attempt(tb testing.TB, op *Operation, seen *[]float64) *comparison {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	yardstick, err := newYardstick()
	check(tb, err)
	c, err := compare(yardstick, op, sliceLength)
	check(tb, err)
	for range budgetPatience {
		for range budgetRounds {
			check(tb, c.slice())
			*seen = append(*seen, c.rounds[len(c.rounds)-1].Unit)
		}
		if quietRounds(c.units(), quietLimit(*seen)) >= quietEnough {
			break
		}
	}
	return c
}

// counted returns U in the rounds of m that count.
func counted(m Measurement) (units []float64) {
	for _, r := range m.Rounds {
		if r.Counts {
			units = append(units, r.Unit)
		}
	}
	return units
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
