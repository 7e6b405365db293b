package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// coreCounts returns how many goroutines are tried where Go may use so many cores: each number up to 8, then in steps that
// grow with it, and all.
func coreCounts(most int) []int {
	var counts []int
	for n := 1; n < most; n += max(1, n/4) {
		counts = append(counts, n)
	}
	return append(counts, most)
}

// measureCores lets so many goroutines at a time open packets, all counts in each round.
func measureCores(ctx context.Context, cfg Config, counts []int) ([]Cores, error) {
	workers, err := newWorkers(slices.Max(counts))
	if err != nil {
		return nil, err
	}
	all := make([][]turn, len(counts)) // for each count, one a round
	left := cfg.countdown(fmt.Sprintf("measuring 1 to %d cores", len(workers)), cfg.Rounds, cfg.CoreSlice*time.Duration(len(counts)))
	for round := range cfg.Rounds {
		left(round)
		for i, count := range counts {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			t, err := together(workers[:count], cfg.CoreSlice)
			if err != nil {
				return nil, fmt.Errorf("bench: %d cores: %w", count, err)
			}
			all[i] = append(all[i], t)
		}
	}
	cores := make([]Cores, len(counts))
	for i, count := range counts {
		over := func(f func(one, t turn) float64) (samples []float64) {
			for round, t := range all[i] {
				samples = append(samples, f(all[0][round], t))
			}
			return samples
		}
		rates := over(func(_, t turn) float64 { return t.rate })
		cores[i] = Cores{
			Cores: count, Rate: summarize(rates), Rounds: rates,
			Gain: summarize(over(func(one, t turn) float64 { return t.rate / one.rate })),
			Got:  summarize(over(func(_, t turn) float64 { return t.got })),
			Each: summarize(over(func(_, t turn) float64 { return t.rate / t.got / float64(count) })),
		}
	}
	return cores, nil
}

// turn is what workers did in one round.
type turn struct {
	rate float64 // packets per second
	got  float64 // of as many cores' time as there are workers, the part that they had
}

// worker opens packets with keys and memory of its own.
type worker struct {
	op   *Operation
	last turn
	err  error
}

func newWorkers(count int) ([]*worker, error) {
	workers := make([]*worker, count)
	for i := range workers {
		op, err := unwrapBatch(mainHops, mainPayload, mainBatch).make()
		if err != nil {
			return nil, err
		}
		workers[i] = &worker{op: op}
	}
	return workers, nil
}

// together lets workers work at the same time, for as long.
func together(workers []*worker, length time.Duration) (sum turn, err error) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for _, w := range workers {
		ready.Add(1)
		done.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			w.op.restore(1)
			w.err = w.op.call()
			ready.Done()
			<-start
			w.work(length)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	for _, w := range workers {
		if w.err != nil {
			return turn{}, w.err
		}
		sum.rate += w.last.rate
		sum.got += w.last.got / float64(len(workers))
	}
	return sum, nil
}

// work opens batches until the time is over. That each batch is laid ready counts, as it does for packets that come from a
// network.
func (w *worker) work(length time.Duration) {
	if w.err != nil {
		return
	}
	start, processor, calls := time.Now(), processorTime(), 0
	for calls == 0 || time.Since(start) < length {
		w.op.restore(1)
		if w.err = w.op.call(); w.err != nil {
			return
		}
		calls++
	}
	took := time.Since(start)
	w.last = turn{
		rate: float64(calls*w.op.items()) / took.Seconds(),
		got:  min(1, float64(processorTime()-processor)/float64(took)),
	}
}
