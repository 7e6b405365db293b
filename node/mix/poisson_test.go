package mix_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/mix"
)

func TestPoissonHoldsEachForItsOwnDelay(t *testing.T) {
	m := strategy[time.Duration](t, mix.Config{Strategy: "poisson"})
	delays := []time.Duration{7, 3, 9, 1, 8, 2, 0, 6, 4, 5, -1, 11, 100}
	for _, delay := range delays {
		m.Add(mix.Packet[time.Duration]{Delay: delay * time.Second, Item: delay}, start)
	}
	out, next := m.Due(start)
	require.ElementsMatch(t, []time.Duration{0, -1}, out)
	for want := range time.Duration(9) {
		require.Equal(t, start.Add((want+1)*time.Second), next)
		out, _ = m.Due(next.Add(-1))
		require.Empty(t, out)
		out, next = m.Due(next)
		require.Equal(t, []time.Duration{want + 1}, out)
	}
	require.Equal(t, start.Add(10*time.Second), next)
	out, next = m.Due(next)
	require.ElementsMatch(t, []time.Duration{11, 100}, out, "nothing is held for longer than MaxDelay")
	require.Zero(t, next)
}

func TestPoissonDelaysCountFromArrival(t *testing.T) {
	m := strategy[string](t, mix.Config{Strategy: "poisson"})
	m.Add(mix.Packet[string]{Delay: 5 * time.Second, Item: "first"}, start)
	m.Add(mix.Packet[string]{Delay: 2 * time.Second, Item: "second"}, start.Add(2*time.Second))
	out, next := m.Due(start.Add(2 * time.Second))
	require.Empty(t, out)
	out, next = m.Due(next)
	require.Equal(t, []string{"second"}, out)
	require.Equal(t, start.Add(5*time.Second), next)
	m.Add(mix.Packet[string]{Delay: time.Second, Item: "third"}, start.Add(4*time.Second))
	out, next = m.Due(next)
	require.ElementsMatch(t, []string{"first", "third"}, out)
	require.Zero(t, next)
}

// TestPoissonClockSetBackKeepsWhatIsLeftToWait: packets neither wait anew for what they have waited, nor leave together.
func TestPoissonClockSetBackKeepsWhatIsLeftToWait(t *testing.T) {
	m := strategy[int](t, mix.Config{Strategy: "poisson"})
	for i := range 5 {
		m.Add(mix.Packet[int]{Delay: time.Duration(i+2) * time.Second, Item: i}, start)
	}
	m.Due(start.Add(time.Second))
	back := start.Add(-time.Hour)
	for i := range 5 {
		_, next := m.Due(back)
		require.Equal(t, back.Add(time.Second), next)
		out, _ := m.Due(next)
		require.Equal(t, []int{i}, out)
		back = back.Add(-time.Hour)
	}
}
