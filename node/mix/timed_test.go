package mix_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/mix"
)

func TestTimedReleasesAllAtTheEndOfEachInterval(t *testing.T) {
	const interval = 250*time.Millisecond + 1
	m := strategy[int](t, mix.Config{Strategy: "timed", Interval: interval})
	out, next := m.Due(start.Add(-time.Hour))
	require.Empty(t, out)
	require.Zero(t, next, "nothing is held, nothing to ask for")

	m.Add(from("a", 1), start)
	_, next = m.Due(start)
	require.Equal(t, start.Add(interval), next, "the first packet starts the intervals")
	for i := range 100 {
		m.Add(from("flood", 2+i), start.Add(interval-1))
	}
	out, next = m.Due(start.Add(interval - 1))
	require.Empty(t, out, "however many there are")
	require.Equal(t, start.Add(interval), next)
	out, next = m.Due(start.Add(interval))
	require.Len(t, out, 101)
	require.Zero(t, next)
}

func TestTimedIntervalsDoNotMoveWithThePackets(t *testing.T) {
	m := strategy[int](t, mix.Config{Strategy: "timed"})
	m.Add(from("a", 1), start)
	m.Due(start.Add(time.Second))
	for _, c := range []struct{ came, leaves time.Duration }{
		{1001, 2000},
		{3000, 4000}, // what comes as an interval ends with nothing held waits for the next
		{4000, 5000},
		{5999, 6000},
		{3_600_123, 3_601_000},
	} {
		m.Add(from("a", 1), start.Add(c.came*time.Millisecond))
		out, next := m.Due(start.Add(c.came * time.Millisecond))
		require.Empty(t, out)
		require.Equal(t, start.Add(c.leaves*time.Millisecond), next)
		out, _ = m.Due(next)
		require.Len(t, out, 1)
	}

	// Asked too late, it keeps to its intervals all the same.
	m.Add(from("a", 1), start.Add(5000*time.Second))
	out, _ := m.Due(start.Add(5003_500 * time.Millisecond))
	require.Len(t, out, 1)
	m.Add(from("a", 1), start.Add(5003_600*time.Millisecond))
	_, next := m.Due(start.Add(5003_600 * time.Millisecond))
	require.Equal(t, start.Add(5004*time.Second), next)
}
