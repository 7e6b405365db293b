package main

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/mix"
)

// Intervals here are of so many standard deviations. Chance exceeds them once in 10,000 times; seeds are fixed.
const z = 3.89

var few = []scenario{
	threshold(8, 10),
	threshold(32, 50),
	timed(time.Second, 2),
	timed(time.Second, 10),
	pool(time.Second, 2),
	pool(2*time.Second, 10),
	poisson(time.Second, 2),
	poisson(2*time.Second, 10),
}

// measure simulates c with its strategy as change makes it.
func measure(t *testing.T, c scenario, messages int, change func(mix.Strategy[packet]) mix.Strategy[packet]) result {
	random := rand.NewChaCha8([32]byte{1})
	c.cfg.Rand = random
	strategy, err := mix.New[packet](c.cfg)
	require.NoError(t, err)
	r, err := simulate(c, change(strategy), messages, random)
	require.NoError(t, err)
	return r
}

func unchanged(s mix.Strategy[packet]) mix.Strategy[packet] { return s }

// within reports whether measured agrees with what was predicted.
func within(measured rate, messages int, predicted float64) bool {
	hits := int(math.Round(measured.Rate * float64(messages)))
	return wilson(hits, messages, z).Contains(predicted)
}

func TestSuccessIsAsPredicted(t *testing.T) {
	for _, c := range few {
		r := measure(t, c, 50_000, unchanged)
		assert.True(t, within(r.Linked, r.Messages, r.LinkedPredicted), "%+v", r)
		assert.True(t, within(r.InOrder, r.Messages, r.InOrderPredicted), "%+v", r)
		assert.LessOrEqual(t, r.LinkedPredicted, r.OneInHeld*(1+1e-9), "nobody guesses better than 1/n")
		assert.LessOrEqual(t, r.InOrderPredicted, r.LinkedPredicted*(1+1e-9))
	}
}

// fifo lets packets go when the strategy in it does, and as many, but in the order in which they came.
type fifo struct {
	mix.Strategy[packet]
	queue []packet
}

func (f *fifo) Add(p mix.Packet[packet], now time.Time) {
	f.queue = append(f.queue, p.Item)
	f.Strategy.Add(p, now)
}

func (f *fifo) Due(now time.Time) (out []packet, next time.Time) {
	out, next = f.Strategy.Due(now)
	out = slices.Clone(f.queue[:len(out)])
	f.queue = f.queue[len(out):]
	return out, next
}

// TestMixThatDoesNotShuffleIsFoundOut: what agrees with the prediction above does so because of the shuffle.
func TestMixThatDoesNotShuffleIsFoundOut(t *testing.T) {
	for _, c := range few {
		r := measure(t, c, 10_000, func(s mix.Strategy[packet]) mix.Strategy[packet] { return &fifo{Strategy: s} })
		assert.Equal(t, 1.0, r.InOrder.Rate, "%s %s", c.cfg.Strategy, c.parameter)
		assert.False(t, within(r.InOrder, r.Messages, r.InOrderPredicted))
		assert.False(t, within(r.Linked, r.Messages, r.LinkedPredicted))
	}
}

// sorted sends each batch in the order in which its packets came, as a mix does that forgets to shuffle.
type sorted struct{ mix.Strategy[packet] }

func (s sorted) Due(now time.Time) (out []packet, next time.Time) {
	out, next = s.Strategy.Due(now)
	slices.SortFunc(out, func(a, b packet) int { return a.arrival - b.arrival })
	return out, next
}

func TestBatchInOrderOfArrivalIsFoundOut(t *testing.T) {
	for _, c := range few {
		if c.cfg.Strategy == "poisson" { // one leaves at a time
			continue
		}
		r := measure(t, c, 10_000, func(s mix.Strategy[packet]) mix.Strategy[packet] { return sorted{s} })
		assert.False(t, within(r.Linked, r.Messages, r.LinkedPredicted), "%+v", r)
		if c.cfg.Strategy != "pool" {
			assert.Equal(t, 1.0, r.Linked.Rate)
		}
	}
}

// TestObserverKnowsAsMuchAsOneWhoKeepsEveryProbability compares the sums that an observer keeps with plain ones.
func TestObserverKnowsAsMuchAsOneWhoKeepsEveryProbability(t *testing.T) {
	schedule := rand.New(rand.NewChaCha8([32]byte{2}))
	o := newObserver(20)
	var senderOf []int
	var kept []float64 // probability that the packet is still there
	for step := range 5000 {
		if o.held == 0 || schedule.IntN(30) > o.held {
			senderOf = append(senderOf, schedule.IntN(20))
			kept = append(kept, 1)
			o.arrive(senderOf[len(senderOf)-1])
			continue
		}
		var bySender [20]float64
		var entropy float64
		best := 0.0
		for i, w := range kept {
			p := w / float64(o.held)
			bySender[senderOf[i]] += p
			best = max(best, p)
			require.InDelta(t, p, o.probability(i), 1e-9)
		}
		for _, p := range bySender {
			entropy -= plogp(p)
		}
		require.InDelta(t, entropy, o.entropy(), 1e-6, "step %d", step)
		count := 1 + schedule.IntN(o.held)
		for position := range count {
			require.InDelta(t, best, o.probability(o.likeliest(position)), 1e-9)
		}
		for i := range kept {
			kept[i] *= 1 - float64(count)/float64(o.held)
		}
		o.release(count)
	}
}

func TestKnownCases(t *testing.T) {
	r := measure(t, threshold(8, 10), 50_000, unchanged)
	assert.InDelta(t, 3, r.Entropy, 0.01, "8 distinct senders")
	assert.InDelta(t, 1./8, r.LinkedPredicted, 0.001)
	assert.InDelta(t, 0.35, r.MeanLatency, 0.01, "half the time in which 8 come")

	r = measure(t, timed(time.Second, 10), 50_000, unchanged)
	assert.InDelta(t, 0.5, r.MeanLatency, 0.01)
	assert.InDelta(t, 0.95, r.P95Latency, 0.01)

	r = measure(t, poisson(2*time.Second, 10), 50_000, unchanged)
	assert.InDelta(t, 2, r.MeanLatency, 0.05)
	assert.InDelta(t, 2*math.Log(20), r.P95Latency, 0.15)

	r = measure(t, pool(time.Second, 50), 50_000, unchanged)
	assert.InDelta(t, 0.5+0.4/0.6, r.MeanLatency, 0.05, "half an interval, and 0.4 of the packets stay each time")

	assert.InDelta(t, 0.0552, wilson(10, 100, z95).Low, 1e-4)
	assert.InDelta(t, 0.1744, wilson(10, 100, z95).High, 1e-4)
}

func TestRunWritesTablePlotsAndResults(t *testing.T) {
	var stdout bytes.Buffer
	folder := filepath.Join(t.TempDir(), "new")
	all := scenarios()
	require.Len(t, all, 72)
	require.NoError(t, run(&stdout, folder, 500, 1, all))
	assert.Equal(t, 72+2+2, bytes.Count(stdout.Bytes(), []byte("\n")))
	for _, name := range []string{"linkability-2.svg", "linkability-10.svg", "linkability-50.svg"} {
		content, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err)
		assert.Contains(t, string(content), "<svg")
		for _, strategy := range []string{"threshold", "timed", "pool", "poisson"} {
			assert.Contains(t, string(content), strategy)
		}
	}
	content, err := os.ReadFile(filepath.Join(folder, "linkability.json"))
	require.NoError(t, err)
	var results []result
	require.NoError(t, json.Unmarshal(content, &results))
	require.Len(t, results, 72)
	for _, r := range results {
		assert.GreaterOrEqual(t, r.Messages, 500)
	}
}
