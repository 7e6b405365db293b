package timing

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// shares of all times, the slowest left out, of each of which a t-test is made.
var shares = []float64{1, 0.99, 0.95, 0.9, 0.8, 0.65, 0.5}

// comparison is what the times of two classes say.
type comparison struct {
	t          float64 // Welch's, where it is largest; positive where the second class takes longer
	difference float64 // of the means there, in nanoseconds
	seen       float64 // the least difference that is a leak, in nanoseconds
	median     float64 // of all times, in nanoseconds
}

// compare compares the times of two classes.
func compare(times [2][]float64) comparison {
	all := slices.Sorted(slices.Values(slices.Concat(times[0], times[1])))
	most := comparison{seen: math.Inf(1), median: all[len(all)/2]}
	for _, share := range shares {
		longest := all[int(share*float64(len(all)-1))]
		difference, deviation := welch(upTo(longest, times[0]), upTo(longest, times[1]))
		if !(deviation > 0) {
			continue // a coarse clock
		}
		most.seen = min(most.seen, limit*deviation)
		if t := difference / deviation; math.Abs(t) >= math.Abs(most.t) {
			most.t, most.difference = t, difference
		}
	}
	return most
}

// upTo returns the times that are no longer than longest.
func upTo(longest float64, times []float64) (kept []float64) {
	for _, time := range times {
		if time <= longest {
			kept = append(kept, time)
		}
	}
	return kept
}

// welch returns the mean of b less that of a, and its standard deviation. Their ratio is Welch's t.
func welch(a, b []float64) (difference, deviation float64) {
	meanA, varianceA := moments(a)
	meanB, varianceB := moments(b)
	return meanB - meanA, math.Sqrt(varianceA/float64(len(a)) + varianceB/float64(len(b)))
}

// moments returns the mean, and the unbiased estimate of the variance; not a number for less than two times.
func moments(times []float64) (mean, variance float64) {
	for _, time := range times {
		mean += time // whole numbers: exact
	}
	mean /= float64(len(times))
	for _, time := range times {
		variance += (time - mean) * (time - mean) / float64(len(times)-1)
	}
	return mean, variance
}

// TestWelch compares with a worked example: the sums are done by hand.
func TestWelch(t *testing.T) {
	a, b := []float64{3, 4, 5, 8}, []float64{6, 9, 12} // means 5 and 9, variances 14/3 and 9
	difference, deviation := welch(a, b)
	require.InDelta(t, 4, difference, 1e-12)
	require.InDelta(t, math.Sqrt(14./3/4+9./3), deviation, 1e-12)
}

// drawn returns times as a busy machine has them: of some microseconds and some noise, rarely interrupted for much longer.
func drawn(random *rand.Rand, count int, mean float64) []float64 {
	times := make([]float64, count)
	for i := range times {
		times[i] = math.Floor(mean + 500*random.NormFloat64())
		if random.IntN(20) == 0 {
			times[i] += 1e5 * random.ExpFloat64()
		}
	}
	return times
}

// TestNoiseIsNoLeak: of the same distribution, no two samples are said to differ, however often they are drawn.
func TestNoiseIsNoLeak(t *testing.T) {
	random := rand.New(rand.NewChaCha8([32]byte{1}))
	worst := 0.0
	for range 300 {
		worst = max(worst, math.Abs(compare([2][]float64{drawn(random, 500, 20_000), drawn(random, 700, 20_000)}).t))
	}
	require.Less(t, worst, limit/1.5)
	require.Greater(t, worst, 3., "hundreds of times a few t-tests")
}

// TestDifferenceShowsThroughNoise: one that is a fifth of the noise, under interruptions two hundred times as long as that, in
// either direction. Without leaving out the slowest it would not show.
func TestDifferenceShowsThroughNoise(t *testing.T) {
	random := rand.New(rand.NewChaCha8([32]byte{2}))
	for _, sign := range []float64{1, -1} {
		times := [2][]float64{drawn(random, 20_000, 20_000), drawn(random, 20_000, 20_000+sign*100)}
		found := compare(times)
		require.Greater(t, sign*found.t, limit)
		require.InDelta(t, sign*100, found.difference, 40)
		require.InDelta(t, 20_000, found.median, 200)
		require.Less(t, found.seen, 60., "the noise of 500 ns is 5 ns in the mean of so many")
		difference, deviation := welch(times[0], times[1])
		require.Less(t, math.Abs(difference/deviation), limit)
	}
}

// TestTimesThatAreAllTheSame, as those of a coarse clock are, differ or do not.
func TestTimesThatAreAllTheSame(t *testing.T) {
	same := slices.Repeat([]float64{7}, 100)
	require.Zero(t, compare([2][]float64{same, same}).t)
	longer := append(slices.Repeat([]float64{7}, 50), slices.Repeat([]float64{8}, 50)...)
	require.Greater(t, compare([2][]float64{same, longer}).t, limit/2)
}
