package bench

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSummary(t *testing.T) {
	samples := []float64{9, 1, 5, 3, 7}
	require.Equal(t, Summary{Median: 5, Low: 3, High: 7}, summarize(samples))
	require.Equal(t, []float64{9, 1, 5, 3, 7}, samples, "summarize changed its argument")
	require.Equal(t, Summary{Median: 2.5, Low: 1.75, High: 3.25}, summarize([]float64{4, 3, 2, 1}))
	require.Equal(t, Summary{Median: 6, Low: 6, High: 6}, summarize([]float64{6}))
	require.True(t, math.IsNaN(summarize(nil).Median))
	require.InDelta(t, 0.8, summarize(samples).Spread(), 1e-12)
}

// TestSummaryStandsOutliers: one round in which the machine did something else changes nothing.
func TestSummaryStandsOutliers(t *testing.T) {
	quiet := []float64{10, 10, 11, 11, 11, 11, 11, 12, 12, 12, 12}
	disturbed := append(append([]float64{}, quiet[1:]...), 10_000)
	require.Equal(t, summarize(quiet), summarize(disturbed))
}
