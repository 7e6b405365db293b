package mix_test

import (
	"errors"
	"fmt"
	"io"
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

var start = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// seeded is a reader that gives the same bytes in every run.
func seeded(seed byte) *rand.ChaCha8 {
	return rand.NewChaCha8([32]byte{seed})
}

func threshold[T any](t testing.TB, size int, deadline time.Duration, random io.Reader) *mix.Threshold[T] {
	m, err := mix.NewThreshold[T](mix.ThresholdConfig{Size: size, Deadline: deadline, Rand: random})
	require.NoError(t, err)
	return m
}

func from[T any](sender string, item T) mix.Packet[T] {
	return mix.Packet[T]{Sender: sender, Item: item}
}

func TestThresholdCountsDistinctSenders(t *testing.T) {
	m := threshold[string](t, 3, time.Minute, nil)
	for round := range 3 { // a batch's senders do not count for the next
		now := start.Add(time.Duration(round) * time.Second)
		end := now.Add(time.Minute)
		for i, p := range []mix.Packet[string]{from("a", "1"), from("a", "2"), from("b", "3"), from("b", "4"), from("a", "5")} {
			m.Add(p, now)
			out, next := m.Due(now)
			require.Empty(t, out)
			require.Equal(t, end, next)
			require.Equal(t, i+1, m.Held())
		}
		m.Add(from("", "6"), now) // no name is a name too
		out, next := m.Due(now)
		require.ElementsMatch(t, []string{"1", "2", "3", "4", "5", "6"}, out)
		require.Zero(t, next)
		require.Zero(t, m.Held())
	}
}

func TestOneSenderNeverFillsABatch(t *testing.T) {
	m := threshold[int](t, 2, time.Second, nil)
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
	m := threshold[int](t, 10, deadline, nil)
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
	m := threshold[int](t, 1, time.Hour, nil)
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
		m := threshold[int](t, 5, deadline, nil)
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
		m := threshold[int](t, 5, deadline, nil)
		m.Add(from("a", 1), start)
		m.Add(from("b", 2), back)
		_, next := m.Due(back.Add(time.Second))
		require.Equal(t, back.Add(deadline), next)
		out, _ := m.Due(next)
		require.ElementsMatch(t, []int{1, 2}, out)
	})
	t.Run("by less than has passed", func(t *testing.T) {
		m := threshold[int](t, 5, deadline, nil)
		m.Add(from("a", 1), start)
		_, next := m.Due(start.Add(30 * time.Second))
		require.Equal(t, start.Add(deadline), next)
		_, next = m.Due(start.Add(10 * time.Second))
		require.Equal(t, start.Add(deadline), next, "the packet's own time has not moved")
	})
	t.Run("again", func(t *testing.T) {
		m := threshold[int](t, 5, deadline, nil)
		m.Add(from("a", 1), start)
		m.Due(back)
		_, next := m.Due(back.Add(-time.Hour))
		require.Equal(t, back.Add(-time.Hour).Add(deadline), next)
		out, _ := m.Due(next)
		require.Equal(t, []int{1}, out)
	})
	t.Run("while nothing is held", func(t *testing.T) {
		m := threshold[int](t, 5, deadline, nil)
		m.Add(from("a", 1), start)
		m.Due(start.Add(deadline))
		m.Due(back)
		m.Add(from("a", 2), back)
		_, next := m.Due(back)
		require.Equal(t, back.Add(deadline), next)
	})
}

// TestNothingIsLostOrDoubled plays random schedules and compares each answer
// with that of a model.
func TestNothingIsLostOrDoubled(t *testing.T) {
	for seed := range byte(50) {
		schedule := rand.New(seeded(seed))
		size := 1 + schedule.IntN(8)
		deadline := time.Duration(1 + schedule.IntN(1000))
		m := threshold[int](t, size, deadline, seeded(seed))

		var (
			now     = start
			held    []int
			senders = map[string]bool{}
			oldest  time.Time
			added   int
			left    = map[int]bool{}
		)
		for step := range 2000 {
			switch schedule.IntN(10) {
			case 0:
				now = now.Add(time.Duration(schedule.IntN(500)))
			case 1:
				if schedule.IntN(20) == 0 {
					now = now.Add(-time.Duration(schedule.IntN(2000)))
				}
			case 2, 3, 4, 5, 6:
				sender := fmt.Sprint(schedule.IntN(10))
				m.Add(from(sender, added), now)
				if len(held) == 0 || now.Before(oldest) {
					oldest = now
				}
				held = append(held, added)
				senders[sender] = true
				added++
			default:
				out, next := m.Due(now)
				if len(held) > 0 && now.Before(oldest) {
					oldest = now
				}
				fires := len(held) > 0 && (len(senders) >= size || now.Sub(oldest) >= deadline)
				if !fires {
					require.Empty(t, out, "seed %d, step %d", seed, step)
					if len(held) == 0 {
						require.Zero(t, next)
					} else {
						require.Equal(t, oldest.Add(deadline), next)
					}
					break
				}
				require.ElementsMatch(t, held, out, "seed %d, step %d", seed, step)
				require.Zero(t, next)
				for _, item := range out {
					require.False(t, left[item], "item %d left twice", item)
					left[item] = true
				}
				held = nil
				clear(senders)
			}
			require.Equal(t, len(held), m.Held())
		}
		require.Equal(t, added, len(left)+len(held))
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
	for _, enough := range []int{0, 1, 511, 512, 700, 1023} {
		random := &failing{from: seeded(1), n: enough}
		m := threshold[int](t, 2, time.Minute, random)
		var want []int
		for i := range packets {
			m.Add(from(fmt.Sprint(i), i), start)
			want = append(want, i)
		}
		now := start
		for range 3 {
			out, next := m.Due(now)
			require.Empty(t, out, "after %d bytes", enough)
			require.Equal(t, now.Add(time.Second), next)
			require.Equal(t, packets, m.Held())
			now = next
		}
		m.Add(from("late", packets), now)
		want = append(want, packets)
		random.n = 1 << 20
		out, next := m.Due(now)
		require.ElementsMatch(t, want, out)
		require.NotEqual(t, want, out)
		require.Zero(t, next)
		require.Zero(t, m.Held())
	}
}

func TestOrderFollowsFromRandomness(t *testing.T) {
	run := func(random io.Reader) (batches [][]int) {
		m := threshold[int](t, 20, time.Minute, random)
		for range 5 {
			for i := range 20 {
				m.Add(from(fmt.Sprint(i), i), start)
			}
			out, _ := m.Due(start)
			batches = append(batches, slices.Clone(out))
		}
		return batches
	}
	assert.Equal(t, run(seeded(1)), run(seeded(1)))
	assert.Equal(t, run(seeded(1)), run(iotest.HalfReader(seeded(1))), "short reads are not the end")
	assert.NotEqual(t, run(seeded(1)), run(seeded(2)))
	assert.NotEqual(t, run(seeded(1))[0], run(seeded(1))[1], "each batch has an order of its own")

	// Zeros choose position 0 each time, which gives an order known by hand.
	m := threshold[string](t, 4, time.Minute, zeros{})
	for _, name := range []string{"a", "b", "c", "d"} {
		m.Add(from(name, name), start)
	}
	out, _ := m.Due(start)
	assert.Equal(t, []string{"b", "c", "d", "a"}, out)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestABatchIsForgotten(t *testing.T) {
	m := threshold[*[64]byte](t, 1, time.Minute, nil)
	item := new([64]byte)
	forgotten := weak.Make(item)
	m.Add(from("a", item), start)
	item = nil
	m.Due(start)
	m.Due(start)
	runtime.GC()
	assert.Nil(t, forgotten.Value())
	runtime.KeepAlive(m)
}

func TestThresholdRefusesABadConfig(t *testing.T) {
	for _, cfg := range []mix.ThresholdConfig{
		{},
		{Size: 0, Deadline: time.Second},
		{Size: -1, Deadline: time.Second},
		{Size: 2},
		{Size: 2, Deadline: -1},
	} {
		m, err := mix.NewThreshold[int](cfg)
		assert.Error(t, err, "%+v", cfg)
		assert.Nil(t, m)
	}
}

func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("192.0.2.%d", i)
	}
	return all
}

func TestThresholdAllocatesNothing(t *testing.T) {
	const packets = 300
	senders := names(packets / 3)
	m := threshold[[]byte](t, len(senders), time.Minute, nil)
	item := make([]byte, 1)
	left := 0
	assert.Zero(t, testing.AllocsPerRun(200, func() {
		for i := range packets {
			m.Add(from(senders[i%len(senders)], item), start)
		}
		out, _ := m.Due(start)
		left += len(out)
	}))
	assert.Equal(t, 201*packets, left, "with the run that AllocsPerRun does not count")
}

func BenchmarkThreshold(b *testing.B) {
	for _, size := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			senders := names(size)
			m := threshold[int](b, size, time.Minute, nil)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m.Add(from(senders[i%size], i), start)
				m.Due(start)
			}
		})
	}
}
