package bench

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/bench/thread"
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

// TestBusyMeasurements are those whose rounds that count were busy ones, for want of others.
func TestBusyMeasurements(t *testing.T) {
	r := &Report{QuietLimit: 100, Measurements: []Measurement{
		{Name: "quiet", Rounds: []Round{{Unit: 99, Counts: true}, {Unit: 170}}},
		{Name: "busy", Rounds: []Round{{Unit: 99, Counts: true}, {Unit: 101, Counts: true}}},
	}}
	require.Equal(t, []string{"busy"}, r.Busy())
}

// TestFreeCoresCount: what other programs took is in no figure of cores that were free often enough, and in all others.
func TestFreeCoresCount(t *testing.T) {
	if !thread.IsTimed {
		t.Skip("what other programs take is not known here")
	}
	var turns []turn
	for range 4 {
		turns = append(turns, turn{rate: 200, got: 1}, turn{rate: 100, got: 0.5}, turn{rate: 100, got: 0.5})
	}
	c := coresOf(2, turns)
	require.True(t, c.Free)
	require.Equal(t, Summary{200, 200, 200}, c.Rate)
	require.Equal(t, Summary{100, 100, 100}, c.Each)
	require.Equal(t, CoresRound{Rate: 200, Got: 1, Counts: true}, c.Rounds[0])
	require.Equal(t, CoresRound{Rate: 100, Got: 0.5}, c.Rounds[1])

	c = coresOf(2, turns[1:])
	require.False(t, c.Free)
	require.Equal(t, 100.0, c.Rate.Median)
	require.Equal(t, 0.5, c.Got.Median)
	require.Equal(t, 100.0, c.Each.Median)
	require.True(t, c.Rounds[0].Counts)
}

func TestLoad(t *testing.T) {
	second := time.Second
	load := loadOf(10*second, 7*second, machineTimes{total: 20 * second, busy: 13 * second, own: 8 * second})
	require.InDelta(t, 0.25, load.Others, 1e-9)
	require.InDelta(t, 0.3, load.Waited, 1e-9)
	idle := loadOf(10*second, 10*second+1, machineTimes{total: 20 * second, busy: 9 * second, own: 10 * second})
	require.Equal(t, &Load{}, idle)
	require.Nil(t, loadOf(10*second, second, machineTimes{}), "a machine that says it did nothing in ten seconds")
	synctest.Test(t, func(t *testing.T) { // in which no time goes by
		require.Nil(t, startLoad().load(), "less than what the system counts in")
	})
}

// TestFractions: parts and rest are the whole, also where the parts alone took longer.
func TestFractions(t *testing.T) {
	for whole, want := range map[float64][]float64{10: {0.6, 0.2, 0.2}, 4: {0.75, 0.25, 0}} {
		parts, rest := Share{Whole: whole, Parts: []Part{{"a", 6}, {"b", 2}}}.Fractions()
		require.InDeltaSlice(t, want, append(parts, rest), 1e-9)
	}
}
