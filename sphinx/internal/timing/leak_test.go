package timing

import (
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/bench/thread"
)

const (
	limit    = 10.  // |t| from which there is a leak, as dudect has it; by chance it is below 5
	attempts = 3    // in each of which a leak must show, in one direction: it persists, and a coincidence does not
	usual    = 1000 // times that are taken of each class, about
)

// long is how many times as many times are taken of each class.
var long = func() int {
	if os.Getenv("SPHINX_LONG") != "" {
		return 100
	}
	return 1
}()

// subject is a computation with a secret of one of two classes.
type subject struct {
	name    string
	prepare func(class int) // what run computes with, in one way for both classes; not timed
	run     func()
}

// measure takes count times of each class, about, in an order that random decides.
func measure(s subject, random *rand.Rand, count int) (times [2][]float64) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	runtime.GC()
	for i := range 2*count + 50 {
		class := random.IntN(2)
		s.prepare(class)
		before := thread.Time()
		s.run()
		took := float64(thread.Time() - before)
		if i >= 50 { // the first find caches and predictors cold
			times[class] = append(times[class], took)
		}
	}
	return times
}

// leaks reports whether the time of a subject tells the class of its secret, by count times of each class in each attempt, and
// logs what was seen.
func leaks(t *testing.T, s subject, count int) bool {
	random := rand.New(rand.NewChaCha8([32]byte{3}))
	sign := 0.0
	for attempt := range attempts {
		c := compare(measure(s, random, count*long))
		t.Logf("%s: t = %+.1f, %+.1f ns of %.0f; %.1f would be a leak", s.name, c.t, c.difference, c.median, c.seen)
		if math.Abs(c.t) < limit || attempt > 0 && math.Signbit(c.t) != math.Signbit(sign) {
			return false
		}
		sign = c.t
	}
	return true
}

// requireConstantTime asserts that a subject does not leak.
func requireConstantTime(t *testing.T, s subject) {
	t.Helper()
	skipIfShort(t)
	require.False(t, leaks(t, s, usual), "%s: the time depends on the secret", s.name)
}

// requireLeak asserts that a leak is found, on a machine where others make much noise with more times than are usual.
func requireLeak(t *testing.T, s subject) {
	t.Helper()
	skipIfShort(t)
	t.Log("with a leak:")
	for _, more := range []int{1, 2, 4, 8, 16} {
		if leaks(t, s, more*usual) {
			return
		}
	}
	require.Fail(t, "a leak is not found", s.name)
}

func skipIfShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds, and on a processor that is simulated it says nothing")
	}
}
