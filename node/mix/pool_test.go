package mix_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/mix"
)

func TestPoolKeepsItsPartOfThePackets(t *testing.T) {
	for _, c := range []struct {
		held, min int
		fraction  float64
		leave     int
	}{
		{1, 1, 1, 0},
		{2, 1, 1, 1},
		{10, 1, 1, 9},
		{10, 1, 0.6, 6},
		{10, 1, 0.69, 6},
		{10, 4, 0.6, 6},
		{10, 5, 0.6, 5},
		{10, 9, 0.6, 1},
		{10, 10, 0.6, 0},
		{10, 11, 0.6, 0},
		{10, 1, 0.09, 1}, // one at least
		{1000, 8, 0.6, 600},
	} {
		m := strategy[int](t, mix.Config{Strategy: "pool", Size: 1, PoolMin: c.min, PoolFraction: c.fraction})
		for i := range c.held {
			m.Add(from("a", i), start)
		}
		out, next := m.Due(start.Add(time.Second - 1))
		require.Empty(t, out)
		require.Equal(t, start.Add(time.Second), next)
		out, next = m.Due(next)
		require.Len(t, out, c.leave, "%+v", c)
		require.Equal(t, start.Add(2*time.Second), next)
	}
}

func TestPoolCountsDistinctSenders(t *testing.T) {
	m := strategy[int](t, mix.Config{Strategy: "pool", Size: 3, PoolMin: 1})
	for i := range 1000 {
		m.Add(from([]string{"a", "b"}[i%2], i), start)
	}
	out, next := m.Due(start.Add(time.Second))
	require.Empty(t, out, "two senders are not three, however much they send")
	m.Add(from("c", 1000), next)
	out, _ = m.Due(next)
	require.Len(t, out, 600)
}

func TestPoolLetsAFloodGoInTheEndWithItsVictim(t *testing.T) {
	m := strategy[string](t, mix.Config{Strategy: "pool", Size: 3, MaxDelay: 4 * time.Second})
	m.Add(from("victim", "victim"), start)
	for range 1000 {
		m.Add(from("flood", "flood"), start)
	}
	now := start
	for range 3 {
		now = now.Add(time.Second)
		out, next := m.Due(now)
		require.Empty(t, out)
		require.Equal(t, now.Add(time.Second), next)
	}
	out, next := m.Due(now.Add(time.Second))
	require.Len(t, out, 1001)
	require.Zero(t, next)
}

// TestPoolChoosesEverySubsetAlike: 2 of 5, of which some have been in the pool for longer than others.
func TestPoolChoosesEverySubsetAlike(t *testing.T) {
	const trials = 20 * 1000
	random := seeded(1)
	counts := map[string]int{}
	for range trials {
		m := strategy[int](t, mix.Config{Strategy: "pool", Size: 4, PoolMin: 3, Rand: random})
		for i := range 3 {
			m.Add(from(fmt.Sprint(i), i), start)
		}
		out, next := m.Due(start.Add(time.Second))
		require.Empty(t, out)
		m.Add(from("3", 3), start.Add(time.Second))
		m.Add(from("4", 4), start.Add(time.Second))
		out, _ = m.Due(next)
		counts[fmt.Sprint(out)]++
	}
	require.Len(t, counts, 20, "ten subsets in two orders")
	assert.Less(t, chiSquare(counts, trials/20), 43.82) // once in 1000 seeds: 19 degrees of freedom
}

// TestPoolDoesNotTellWhoWasTooOld: the three that leave for their age stand anywhere among those that were chosen.
func TestPoolDoesNotTellWhoWasTooOld(t *testing.T) {
	const trials = 6000
	random := seeded(2)
	counts := map[string]int{}
	leaving := 0
	for range trials {
		m := strategy[string](t, mix.Config{Strategy: "pool", Size: 1, PoolMin: 3, MaxDelay: 2 * time.Second, Rand: random})
		for range 3 {
			m.Add(from("a", "old"), start)
		}
		_, next := m.Due(start.Add(time.Second))
		for range 3 {
			m.Add(from("a", "new"), start.Add(time.Second))
		}
		out, _ := m.Due(next)
		require.GreaterOrEqual(t, len(out), 3)
		if len(out) == 4 { // one new packet was chosen, with two old ones
			leaving++
			counts[fmt.Sprint(slices.Index(out, "new"))]++
		}
	}
	require.Greater(t, leaving, trials/3)
	require.Len(t, counts, 4)
	assert.Less(t, chiSquare(counts, float64(leaving)/4), 16.27) // once in 1000 seeds: 3 degrees of freedom
}

func TestPoolHoldsNobodyBeyondMaxDelay(t *testing.T) {
	m := strategy[int](t, mix.Config{Strategy: "pool", PoolFraction: 0.01, MaxDelay: 5 * time.Second})
	came := map[int]time.Time{}
	now, added, longest := start, 0, time.Duration(0)
	for step := range 3000 {
		now = now.Add(time.Duration(step*7919%200) * time.Millisecond)
		m.Add(from(fmt.Sprint(added%20), added), now)
		came[added] = now
		added++
		for {
			out, next := m.Due(now)
			for _, item := range out {
				longest = max(longest, now.Sub(came[item]))
				delete(came, item)
			}
			if next.After(now) {
				break
			}
		}
	}
	require.LessOrEqual(t, longest, 5*time.Second+200*time.Millisecond, "Due was called up to 200 ms late")
	require.Greater(t, longest, 4*time.Second)
	require.Less(t, len(came), added/4)
}
