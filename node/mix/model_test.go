package mix_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/mix"
)

// A model is what a strategy has to do, said as plainly as possible.
type model struct {
	cfg  mix.Config
	held []kept
	tick time.Time // when the interval ends
	last time.Time // when it was last called
}

type kept struct {
	id     int
	sender string
	came   time.Time
	rest   time.Duration // of its delay
	rounds time.Duration // that it has stayed for
}

func (m *model) look(now time.Time) {
	passed := now.Sub(m.last)
	m.last = now
	for i := range m.held {
		k := &m.held[i]
		k.rest -= max(passed, 0)
		if now.Before(k.came) {
			k.came = now
		}
	}
	if len(m.held) > 0 && m.tick.After(now.Add(m.cfg.Interval)) {
		m.tick = now.Add(m.cfg.Interval)
	}
}

func (m *model) add(id int, p mix.Packet[int], now time.Time) {
	if m.tick.IsZero() {
		m.tick = now
	}
	for len(m.held) == 0 && m.cfg.Interval > 0 && !m.tick.After(now) {
		m.tick = m.tick.Add(m.cfg.Interval)
	}
	m.held = append(m.held, kept{id: id, sender: p.Sender, came: now})
	m.look(now)
	m.held[len(m.held)-1].rest = min(max(p.Delay, 0), m.cfg.MaxDelay)
}

// due returns those that leave without doubt, how many are chosen by lot beside them or among them, and when to ask
// again if it comes out that none leave.
func (m *model) due(now time.Time) (must []int, chosen int, next time.Time) {
	m.look(now)
	if len(m.held) == 0 {
		return nil, 0, time.Time{}
	}
	senders := map[string]bool{}
	oldest, soonest := m.held[0].came, m.held[0].rest
	for _, k := range m.held {
		senders[k.sender] = true
		soonest = min(soonest, k.rest)
		if k.came.Before(oldest) {
			oldest = k.came
		}
	}
	leaves := func(kept) bool { return false }
	switch m.cfg.Strategy {
	case "threshold":
		next = oldest.Add(m.cfg.Interval)
		all := len(senders) >= m.cfg.Size || !now.Before(next)
		leaves = func(kept) bool { return all }
	case "timed":
		next = m.tick
		leaves = func(kept) bool { return !now.Before(m.tick) }
	case "poisson":
		next = now.Add(soonest)
		leaves = func(k kept) bool { return k.rest <= 0 }
	case "pool":
		next = m.tick
		if now.Before(m.tick) {
			break
		}
		if n := len(m.held); n > m.cfg.PoolMin && len(senders) >= m.cfg.Size {
			chosen = max(1, min(n-m.cfg.PoolMin, int(float64(n)*m.cfg.PoolFraction)))
		}
		leaves = func(k kept) bool { return (k.rounds+2)*m.cfg.Interval > m.cfg.MaxDelay }
	}
	for _, k := range m.held {
		if leaves(k) {
			must = append(must, k.id)
		}
	}
	return must, chosen, next
}

// left notes what left and returns when to ask again.
func (m *model) left(out []int, now time.Time) (next time.Time) {
	m.held = slices.DeleteFunc(m.held, func(k kept) bool { return slices.Contains(out, k.id) })
	if len(m.held) == 0 {
		return time.Time{}
	}
	if m.cfg.Strategy == "pool" && !now.Before(m.tick) {
		for i := range m.held {
			m.held[i].rounds++
		}
		for !m.tick.After(now) {
			m.tick = m.tick.Add(m.cfg.Interval)
		}
	}
	_, _, next = m.due(now)
	return next
}

// TestNothingIsLostOrDoubled plays random schedules, clocks that are set back among them, and compares each answer with
// that of a model.
func TestNothingIsLostOrDoubled(t *testing.T) {
	for _, name := range strategies {
		t.Run(name, func(t *testing.T) {
			outs := 0
			for seed := range byte(25) {
				outs += playSchedule(t, name, seed)
			}
			require.Greater(t, outs, 2500, "batches that left")
		})
	}
}

func playSchedule(t *testing.T, name string, seed byte) (batches int) {
	schedule := rand.New(seeded(seed))
	cfg := mix.Config{Strategy: name, Rand: seeded(seed)}
	if name != "poisson" {
		cfg.Interval = time.Duration(1 + schedule.IntN(1000))
	}
	switch name {
	case "poisson":
		cfg.MaxDelay = time.Duration(1 + schedule.IntN(1000))
	case "threshold":
		cfg.Size = 1 + schedule.IntN(8)
	case "pool":
		cfg.Size = 1 + schedule.IntN(8)
		cfg.PoolMin = 1 + schedule.IntN(10)
		cfg.PoolFraction = 1 - schedule.Float64()
		cfg.MaxDelay = cfg.Interval + time.Duration(schedule.IntN(10000))
	}
	m := strategy[int](t, cfg)
	want := &model{cfg: cfg}
	now := start
	added := 0
	left := map[int]bool{}
	for step := range 3000 {
		switch schedule.IntN(10) {
		case 0, 1:
			now = now.Add(time.Duration(schedule.IntN(500)))
		case 2:
			if schedule.IntN(20) == 0 {
				now = now.Add(-time.Duration(schedule.IntN(2000)))
			}
		case 3, 4, 5, 6:
			p := from(fmt.Sprint(schedule.IntN(10)), added)
			p.Delay = time.Duration(schedule.IntN(1200) - 50)
			m.Add(p, now)
			want.add(added, p, now)
			added++
		default:
			must, chosen, idle := want.due(now)
			out, next := m.Due(now)
			told := fmt.Sprintf("seed %d, step %d", seed, step)
			require.GreaterOrEqual(t, len(out), max(chosen, len(must)), told)
			require.LessOrEqual(t, len(out), chosen+len(must), told)
			for _, item := range out {
				require.False(t, left[item], "item %d left twice", item)
				require.True(t, slices.ContainsFunc(want.held, func(k kept) bool { return k.id == item }), told)
				left[item] = true
			}
			for _, item := range must {
				require.True(t, left[item], "%s: %d stayed", told, item)
			}
			if after := want.left(out, now); len(out) > 0 || !now.Before(idle) {
				idle = after
			}
			require.True(t, idle.Equal(next), "%s: next is %v, want %v", told, next, idle)
			batches += min(len(out), 1)
		}
	}
	// Whoever asks when told to gets all of it.
	for range added {
		out, next := m.Due(now)
		for _, item := range out {
			require.False(t, left[item], "item %d left twice", item)
			left[item] = true
		}
		if next.IsZero() {
			break
		}
		require.True(t, next.After(now))
		now = next
	}
	require.Len(t, left, added)
	return batches
}
