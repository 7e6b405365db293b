package replay_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSteadyStateDoesNotAllocate: what is fresh, what is not, and commits, once batches of that size were seen.
func TestSteadyStateDoesNotAllocate(t *testing.T) {
	const runs, batch = 50, 64
	l := create(t, newPath(t), 1<<20)
	l.Reserve(3 * (runs + 1) * batch) // what the set itself needs is not counted here
	known, fresh, next := tags(from(1<<30, batch)...), make([]bool, batch), 0
	storeAll(t, l, from(1<<30, batch)...)
	storeAll(t, l, from(1<<29, batch)...) // the two queues take turns
	got := testing.AllocsPerRun(runs, func() {
		for i := range known {
			known[i] = tag(next / 2) // every second one is known
			next++
		}
		if err := l.Fresh(known, fresh); err != nil {
			t.Fatal(err)
		}
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
	})
	// tag makes a few bytes, which are the test's.
	own := testing.AllocsPerRun(runs, func() {
		for i := range known {
			known[i] = tag(i)
		}
	})
	require.Equal(t, own, got)
}
