package mix_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/mix"
)

func threshold[T any](t testing.TB, size int, deadline time.Duration) mix.Strategy[T] {
	return strategy[T](t, mix.Config{Strategy: "threshold", Size: size, Interval: deadline})
}

func TestThresholdCountsDistinctSenders(t *testing.T) {
	m := threshold[string](t, 3, time.Minute)
	for round := range 3 { // a batch's senders do not count for the next
		now := start.Add(time.Duration(round) * time.Second)
		end := now.Add(time.Minute)
		for _, p := range []mix.Packet[string]{from("a", "1"), from("a", "2"), from("b", "3"), from("b", "4"), from("a", "5")} {
			m.Add(p, now)
			out, next := m.Due(now)
			require.Empty(t, out)
			require.Equal(t, end, next)
		}
		m.Add(from("", "6"), now) // no name is a name too
		out, next := m.Due(now)
		require.ElementsMatch(t, []string{"1", "2", "3", "4", "5", "6"}, out)
		require.Zero(t, next)
	}
}

func TestOneSenderNeverFillsABatch(t *testing.T) {
	m := threshold[int](t, 2, time.Second)
	var want []int
	for i := range 1000 {
		now := start.Add(time.Duration(i) * time.Microsecond)
		m.Add(from("flood", i), now)
		want = append(want, i)
		out, next := m.Due(now)
		require.Empty(t, out)
		require.Equal(t, start.Add(time.Second), next)
	}
	out, _ := m.Due(start.Add(time.Second))
	assert.ElementsMatch(t, want, out)
}

func TestDeadlineIsKeptToTheNanosecond(t *testing.T) {
	const deadline = 250*time.Millisecond + 1
	m := threshold[int](t, 10, deadline)
	m.Add(from("a", 1), start)
	m.Add(from("b", 2), start.Add(deadline-1)) // its own wait does not count

	out, next := m.Due(start.Add(deadline - 1))
	require.Empty(t, out)
	require.Equal(t, start.Add(deadline), next)

	out, next = m.Due(next)
	require.ElementsMatch(t, []int{1, 2}, out)
	require.Zero(t, next)

	// The next batch's time begins with its own first packet.
	again := start.Add(time.Hour)
	out, next = m.Due(again)
	require.Empty(t, out)
	require.Zero(t, next, "nothing is held, nothing to ask for")
	m.Add(from("a", 3), again)
	_, next = m.Due(again)
	require.Equal(t, again.Add(deadline), next)
}

func TestSizeOneReleasesAtOnce(t *testing.T) {
	m := threshold[int](t, 1, time.Hour)
	m.Add(from("a", 1), start)
	m.Add(from("a", 2), start)
	out, next := m.Due(start)
	assert.ElementsMatch(t, []int{1, 2}, out)
	assert.Zero(t, next)
}

func TestClockSetBackStrandsNobody(t *testing.T) {
	const deadline = time.Minute
	back := start.Add(-1000 * time.Hour)

	t.Run("seen by Due", func(t *testing.T) {
		m := threshold[int](t, 5, deadline)
		m.Add(from("a", 1), start)
		out, next := m.Due(back)
		require.Empty(t, out)
		require.Equal(t, back.Add(deadline), next)
		out, _ = m.Due(next.Add(-1))
		require.Empty(t, out)
		out, _ = m.Due(next)
		require.Equal(t, []int{1}, out)
	})
	t.Run("seen by Add", func(t *testing.T) {
		m := threshold[int](t, 5, deadline)
		m.Add(from("a", 1), start)
		m.Add(from("b", 2), back)
		_, next := m.Due(back.Add(time.Second))
		require.Equal(t, back.Add(deadline), next)
		out, _ := m.Due(next)
		require.ElementsMatch(t, []int{1, 2}, out)
	})
	t.Run("by less than has passed", func(t *testing.T) {
		m := threshold[int](t, 5, deadline)
		m.Add(from("a", 1), start)
		_, next := m.Due(start.Add(30 * time.Second))
		require.Equal(t, start.Add(deadline), next)
		_, next = m.Due(start.Add(10 * time.Second))
		require.Equal(t, start.Add(deadline), next, "the packet's own time has not moved")
	})
	t.Run("again", func(t *testing.T) {
		m := threshold[int](t, 5, deadline)
		m.Add(from("a", 1), start)
		m.Due(back)
		_, next := m.Due(back.Add(-time.Hour))
		require.Equal(t, back.Add(-time.Hour).Add(deadline), next)
		out, _ := m.Due(next)
		require.Equal(t, []int{1}, out)
	})
	t.Run("while nothing is held", func(t *testing.T) {
		m := threshold[int](t, 5, deadline)
		m.Add(from("a", 1), start)
		m.Due(start.Add(deadline))
		m.Due(back)
		m.Add(from("a", 2), back)
		_, next := m.Due(back)
		require.Equal(t, back.Add(deadline), next)
	})
}
