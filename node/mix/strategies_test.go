package mix_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"testing/iotest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/mix"
)

// What is tested here holds for every strategy.
var strategies = []string{"threshold", "timed", "pool", "poisson"}

var start = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// seeded is a reader that gives the same bytes in every run.
func seeded(seed byte) *rand.ChaCha8 {
	return rand.NewChaCha8([32]byte{seed})
}

func strategy[T any](t testing.TB, cfg mix.Config) mix.Strategy[T] {
	m, err := mix.New[T](cfg)
	require.NoError(t, err)
	return m
}

func from[T any](sender string, item T) mix.Packet[T] {
	return mix.Packet[T]{Sender: sender, Item: item}
}

// everything returns m's items as they leave when Due is called as it asks to be, and when the last of them left.
func everything[T any](t testing.TB, m mix.Strategy[T], now time.Time) (all []T, last time.Time) {
	for range 10_000 {
		out, next := m.Due(now)
		all = append(all, out...)
		if next.IsZero() {
			return all, now
		}
		require.True(t, next.After(now), "%v is not after %v", next, now)
		now = next
	}
	require.Fail(t, "packets are held for ever")
	return nil, now
}

func numbers(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// TestALonePacketLeaves is the case of a network that nobody else uses.
func TestALonePacketLeaves(t *testing.T) {
	for _, c := range []struct {
		cfg  mix.Config
		wait time.Duration
	}{
		{mix.Config{Strategy: "threshold"}, time.Second},
		{mix.Config{Strategy: "threshold", Interval: time.Minute}, time.Minute},
		{mix.Config{Strategy: "timed"}, time.Second},
		{mix.Config{Strategy: "pool"}, 10 * time.Second},
		{mix.Config{Strategy: "pool", Interval: time.Minute}, 10 * time.Minute},
		{mix.Config{Strategy: "pool", MaxDelay: 3500 * time.Millisecond}, 3 * time.Second},
		{mix.Config{Strategy: "pool", MaxDelay: time.Second}, time.Second},
		{mix.Config{Strategy: "poisson"}, 10 * time.Second},
		{mix.Config{Strategy: "poisson", MaxDelay: time.Minute}, time.Minute},
	} {
		m := strategy[string](t, c.cfg)
		p := from("a", "alone")
		p.Delay = time.Hour
		m.Add(p, start)
		out, left := everything(t, m, start)
		require.Equal(t, []string{"alone"}, out, "%+v", c.cfg)
		require.Equal(t, c.wait, left.Sub(start), "%+v", c.cfg)
	}
}

func TestClockSetBackStrandsNobodyWhateverTheStrategy(t *testing.T) {
	const bound = 10 * time.Second // of all defaults
	for _, name := range strategies {
		for _, seenBy := range []string{"Due", "Add", "nobody until later"} {
			t.Run(name+", seen by "+seenBy, func(t *testing.T) {
				m := strategy[int](t, mix.Config{Strategy: name})
				for i := range 5 {
					p := from("a", i)
					p.Delay = time.Duration(i) * 3 * time.Second
					m.Add(p, start)
				}
				out, _ := m.Due(start)
				back := start.Add(-1000 * time.Hour)
				want := numbers(5)
				switch seenBy {
				case "Due":
					m.Due(back)
				case "Add":
					m.Add(from("a", 5), back)
					want = numbers(6)
				default:
					back = back.Add(time.Second)
				}
				all := slices.Clone(out)
				out, left := everything(t, m, back)
				require.ElementsMatch(t, want, append(all, out...))
				require.LessOrEqual(t, left.Sub(back), bound)
			})
		}
	}
}

func TestClockSetForwardByCenturiesReleasesEverything(t *testing.T) {
	for _, name := range strategies {
		m := strategy[int](t, mix.Config{Strategy: name})
		for now := start; now.Year() < 4000; now = now.AddDate(400, 0, 0) {
			for i := range 4 {
				p := from("a", i)
				p.Delay = time.Second
				m.Add(p, now)
			}
			m.Due(now.Add(1))
			later := now.AddDate(400, 0, 0)
			all, left := everything(t, m, later)
			require.ElementsMatch(t, numbers(4), all, name)
			require.LessOrEqual(t, left.Sub(later), 10*time.Second, name)
		}
	}
}

// failing gives bytes of from, and an error after the first n, until n is raised.
type failing struct {
	from io.Reader
	n    int
}

var errNoRandomness = errors.New("no randomness")

func (f *failing) Read(p []byte) (int, error) {
	if f.n == 0 {
		return 0, errNoRandomness
	}
	n, err := f.from.Read(p[:min(len(p), f.n)])
	f.n -= n
	return n, err
}

func TestNothingLeavesInAnOrderThatIsNotRandom(t *testing.T) {
	const packets = 200 // more than one read of randomness is enough for
	for _, name := range strategies {
		for _, enough := range []int{0, 1, 511, 512, 700, 1023} {
			t.Run(fmt.Sprintf("%s after %d bytes", name, enough), func(t *testing.T) {
				random := &failing{from: seeded(1), n: enough}
				m := strategy[int](t, mix.Config{Strategy: name, Rand: random})
				for i := range packets {
					m.Add(from(fmt.Sprint(i), i), start)
				}
				now := start.Add(time.Second) // the end of an interval; a threshold was reached before
				for range 3 {
					out, next := m.Due(now)
					require.Empty(t, out)
					require.Equal(t, now.Add(time.Second), next)
					now = next
				}
				m.Add(from("late", packets), now)
				random.n = 1 << 20
				out, _ := m.Due(now)
				require.Greater(t, len(out), packets/2)
				require.False(t, slices.IsSorted(out))
				all := slices.Clone(out)
				out, _ = everything(t, m, now)
				require.ElementsMatch(t, numbers(packets+1), append(all, out...))
			})
		}
	}
}

// TestOrderIsUniform lets four packets out of each strategy, which arrived in one order or in that backwards, and
// expects each of the 24 orders equally often.
func TestOrderIsUniform(t *testing.T) {
	const trials = 24 * 1000
	for _, name := range strategies {
		for _, arrival := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}} {
			cfg := mix.Config{Strategy: name, Rand: seeded(7)}
			if name == "pool" {
				cfg.MaxDelay = time.Second // so that all leave
				cfg.PoolMin = 2            // of them at most two as chosen, the rest as too old
				cfg.Size = 1
			}
			m := strategy[int](t, cfg)
			counts := map[string]int{}
			now := start
			for range trials {
				for _, item := range arrival {
					m.Add(from("a", item), now)
				}
				now = now.Add(time.Second)
				out, _ := m.Due(now)
				counts[fmt.Sprint(out)]++
			}
			require.Len(t, counts, 24, name)
			assert.Less(t, chiSquare(counts, trials/24), 49.73, name) // once in 1000 seeds: 23 degrees of freedom
		}
	}
}

// chiSquare is the sum of squares of a table whose cells should all be equal.
func chiSquare(counts map[string]int, want float64) (sum float64) {
	for _, n := range counts {
		sum += (float64(n) - want) * (float64(n) - want) / want
	}
	return sum
}

func TestOrderFollowsFromRandomness(t *testing.T) {
	for _, name := range strategies {
		run := func(random io.Reader) (batches [][]int) {
			m := strategy[int](t, mix.Config{Strategy: name, Rand: random})
			for round := range 5 {
				now := start.Add(time.Duration(round) * time.Second)
				for i := range 20 {
					m.Add(from(fmt.Sprint(i), i), now)
				}
				out, _ := m.Due(now.Add(time.Second))
				batches = append(batches, slices.Clone(out))
			}
			return batches
		}
		assert.Equal(t, run(seeded(1)), run(seeded(1)), name)
		assert.Equal(t, run(seeded(1)), run(iotest.HalfReader(seeded(1))), "%s: short reads are not the end", name)
		assert.NotEqual(t, run(seeded(1)), run(seeded(2)), name)
		assert.NotEqual(t, run(nil), run(nil), "%s: randomness is the machine's if none is given", name)
		assert.NotEqual(t, run(seeded(1))[0], run(seeded(1))[1], "%s: each batch has an order of its own", name)
	}

	// Zeros choose position 0 each time, which gives an order known by hand.
	m := strategy[string](t, mix.Config{Size: 4, Rand: zeros{}})
	for _, name := range names(4) {
		m.Add(from(name, name[len(name)-1:]), start)
	}
	out, _ := m.Due(start)
	assert.Equal(t, []string{"1", "2", "3", "0"}, out)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestWhatLeftIsForgotten(t *testing.T) {
	for _, name := range strategies {
		m := strategy[*[64]byte](t, mix.Config{Strategy: name})
		var forgotten []weak.Pointer[[64]byte]
		for range 20 {
			item := new([64]byte)
			forgotten = append(forgotten, weak.Make(item))
			m.Add(from("a", item), start)
		}
		_, last := everything(t, m, start)
		m.Due(last)
		runtime.GC()
		for _, item := range forgotten {
			assert.Nil(t, item.Value(), name)
		}
		runtime.KeepAlive(m)
	}
}

func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("192.0.2.%d", i)
	}
	return all
}

func TestNothingIsAllocated(t *testing.T) {
	const packets, runs = 300, 200
	senders := names(packets / 3)
	for _, name := range strategies {
		m := strategy[[]byte](t, mix.Config{Strategy: name})
		item := make([]byte, 1)
		now, left := start, 0
		run := func() {
			for i := range packets {
				p := from(senders[i%len(senders)], item)
				p.Delay = time.Duration(i*7919%3000) * time.Millisecond
				m.Add(p, now)
			}
			for end := now.Add(time.Second); now.Before(end); {
				now = now.Add(100 * time.Millisecond)
				out, _ := m.Due(now)
				left += len(out)
			}
		}
		for range 20 { // until there is memory for as many as are held at a time
			run()
		}
		assert.Zero(t, testing.AllocsPerRun(runs, run), name)
		assert.Greater(t, left, (runs+20-3)*packets, name)
	}
}

func TestConfigIsRefusedWithTheFieldThatIsWrong(t *testing.T) {
	for _, c := range []struct {
		cfg   mix.Config
		field string
	}{
		{mix.Config{Strategy: "Threshold"}, "Strategy"},
		{mix.Config{Size: -1}, "Size"},
		{mix.Config{Interval: -1}, "Interval"},
		{mix.Config{PoolMin: 1}, "PoolMin"},
		{mix.Config{PoolFraction: 0.5}, "PoolFraction"},
		{mix.Config{MaxDelay: time.Second}, "MaxDelay"},
		{mix.Config{Strategy: "timed", Size: 1}, "Size"},
		{mix.Config{Strategy: "timed", Interval: -time.Second}, "Interval"},
		{mix.Config{Strategy: "timed", PoolMin: 1}, "PoolMin"},
		{mix.Config{Strategy: "timed", PoolFraction: math.NaN()}, "PoolFraction"},
		{mix.Config{Strategy: "timed", MaxDelay: 1}, "MaxDelay"},
		{mix.Config{Strategy: "pool", Size: -1}, "Size"},
		{mix.Config{Strategy: "pool", Interval: -1}, "Interval"},
		{mix.Config{Strategy: "pool", PoolMin: -1}, "PoolMin"},
		{mix.Config{Strategy: "pool", PoolFraction: -0.5}, "PoolFraction"},
		{mix.Config{Strategy: "pool", PoolFraction: 1.01}, "PoolFraction"},
		{mix.Config{Strategy: "pool", PoolFraction: math.NaN()}, "PoolFraction"},
		{mix.Config{Strategy: "pool", MaxDelay: time.Second - 1}, "MaxDelay"},
		{mix.Config{Strategy: "pool", MaxDelay: -1}, "MaxDelay"},
		{mix.Config{Strategy: "poisson", Size: 1}, "Size"},
		{mix.Config{Strategy: "poisson", Interval: 1}, "Interval"},
		{mix.Config{Strategy: "poisson", PoolMin: 1}, "PoolMin"},
		{mix.Config{Strategy: "poisson", PoolFraction: 1}, "PoolFraction"},
		{mix.Config{Strategy: "poisson", MaxDelay: -1}, "MaxDelay"},
		{mix.Config{Strategy: "poisson", MaxDelay: math.MaxInt64}, "MaxDelay"},
	} {
		m, err := mix.New[int](c.cfg)
		assert.ErrorContains(t, err, "mix: Config."+c.field+" is ", "%+v", c.cfg)
		assert.Nil(t, m)
	}
}

func TestExtremeConfigsWork(t *testing.T) {
	for _, cfg := range []mix.Config{
		{Size: math.MaxInt, Interval: math.MaxInt64},
		{Size: 1, Interval: 1},
		{Strategy: "timed", Interval: 1},
		{Strategy: "timed", Interval: math.MaxInt64},
		{Strategy: "pool", Size: math.MaxInt, Interval: 1, PoolMin: math.MaxInt, PoolFraction: 1, MaxDelay: 5},
		{Strategy: "pool", Size: 1, PoolMin: 1, PoolFraction: math.SmallestNonzeroFloat64},
		{Strategy: "pool", Interval: math.MaxInt64, MaxDelay: math.MaxInt64},
		{Strategy: "poisson", MaxDelay: 1},
		{Strategy: "poisson", MaxDelay: 365 * 24 * time.Hour},
	} {
		m := strategy[int](t, cfg)
		for i := range 20 {
			p := from(fmt.Sprint(i), i)
			p.Delay = math.MaxInt64
			m.Add(p, start)
		}
		all, _ := everything(t, m, start)
		require.ElementsMatch(t, numbers(20), all, "%+v", cfg)
	}
}

func BenchmarkStrategy(b *testing.B) {
	for _, name := range strategies {
		for _, held := range []int{10, 100, 1000} {
			b.Run(fmt.Sprintf("strategy=%s/held=%d", name, held), func(b *testing.B) {
				cfg := mix.Config{Strategy: name}
				if name == "threshold" {
					cfg.Size = held
				}
				m := strategy[int](b, cfg)
				senders := names(held)
				now, step := start, time.Second/time.Duration(held)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					m.Add(mix.Packet[int]{Sender: senders[i%held], Delay: time.Second, Item: i}, now)
					now = now.Add(step)
					m.Due(now)
				}
			})
		}
	}
}
