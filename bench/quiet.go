package bench

import (
	"math"
	"slices"
)

// A thread that shares its core with somebody else's has less of the multiplier, and what multiplies by vectors waits
// for it less than U does: figures from a busy and from a quiet core are not the same, and their median is neither. So
// what counts are the rounds in which the core was quiet, as far as U tells: those whose U is within a tenth or so of
// what U was in the quietest part of the run. That choice looks at U alone, and never at what the operation took.
const (
	quietestPart = 0.05 // the quantile of U that is taken for the quiet core's
	quietWithin  = 1.12
	quietEnough  = 11 // rounds
)

// quietLimit returns what U is at most, in nanoseconds, in a round that counts.
func quietLimit(units []float64) float64 {
	if len(units) == 0 {
		return math.Inf(1)
	}
	return quietWithin * quantile(slices.Sorted(slices.Values(units)), quietestPart)
}

// quietRounds returns how many of the rounds are below the limit.
func quietRounds(units []float64, limit float64) (count int) {
	for _, unit := range units {
		if unit <= limit {
			count++
		}
	}
	return count
}

// counting says which of the rounds with these U count: those below the limit or, where these are too few, the quietest
// ones that are enough.
func counting(units []float64, limit float64) []bool {
	if enough := min(quietEnough, len(units)); enough > 0 {
		limit = max(limit, slices.Sorted(slices.Values(units))[enough-1])
	}
	counted := make([]bool, len(units))
	for i, unit := range units {
		counted[i] = unit <= limit
	}
	return counted
}
