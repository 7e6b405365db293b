package bench

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestQuietRoundsCount: of a run on a machine that was busy for most of the time, what counts is the rest.
func TestQuietRoundsCount(t *testing.T) {
	c := &comparison{op: &Operation{Subject: Subject{Kind: "X", Items: 2}}}
	for i := range 100 {
		r := Round{Calls: 1, Nanoseconds: 160, Unit: 100 + float64(i%5)} // 0.8 U each
		if i%4 == 0 {
			r = Round{Calls: 1, Nanoseconds: 100, Unit: 50 + float64(i%3)} // quiet: 1 U each
		}
		c.rounds = append(c.rounds, r)
	}
	limit := quietLimit(c.units())
	require.InDelta(t, 56, limit, 1e-9)
	require.Equal(t, 25, quietRounds(c.units(), limit))
	m := c.measurement(limit)
	require.Equal(t, 50.0, m.Nanoseconds.Median)
	require.InDelta(t, 1, m.Units.Median, 0.05)
	for i, r := range m.Rounds {
		require.Equal(t, i%4 == 0, r.Counts)
	}
	require.InDelta(t, 0.8, c.measurement(math.Inf(1)).Units.Median, 0.05)
	require.False(t, c.rounds[0].Counts, "a measurement changed what it was made from")
}

// TestTooFewQuietRounds: then the quietest that are enough count, and all where there are not even so many.
func TestTooFewQuietRounds(t *testing.T) {
	var units []float64
	for i := range 20 {
		units = append(units, float64(120-i))
	}
	counted := 0
	for i, counts := range counting(units, 1) {
		require.Equal(t, i >= 20-quietEnough, counts)
		if counts {
			counted++
		}
	}
	require.Equal(t, quietEnough, counted)
	require.Equal(t, []bool{true, true}, counting([]float64{9, 8}, 1))
	require.Empty(t, counting(nil, 1))
	require.True(t, math.IsInf(quietLimit(nil), 1))
}
