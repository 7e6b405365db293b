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
	rates, gains, got := make([][]float64, len(counts)), make([][]float64, len(counts)), make([][]float64, len(counts))
	left := cfg.countdown(fmt.Sprintf("measuring 1 to %d cores", len(workers)), cfg.CoreSlice*time.Duration(len(counts)))
	for round := range cfg.Rounds {
		left(round)
		for i, count := range counts {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			rate, part, err := together(workers[:count], cfg.CoreSlice)
			if err != nil {
				return nil, fmt.Errorf("bench: %d cores: %w", count, err)
			}
			rates[i] = append(rates[i], rate)
			gains[i] = append(gains[i], rate/rates[0][round])
			got[i] = append(got[i], part)
		}
	}
	all := make([]Cores, len(counts))
	for i, count := range counts {
		all[i] = Cores{count, summarize(rates[i]), summarize(gains[i]), summarize(got[i]), rates[i]}
	}
	return all, nil
}

// worker opens packets with keys and memory of its own.
type worker struct {
	op   *Operation
	rate float64 // packets per second
	got  float64 // of the time that went by, the part in which its thread ran
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

// together lets workers work for as long, and returns how many packets a second they opened and which part of so many
// cores' time they had.
func together(workers []*worker, length time.Duration) (rate, got float64, err error) {
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
			return 0, 0, w.err
		}
		rate += w.rate
		got += w.got / float64(len(workers))
	}
	return rate, got, nil
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
	w.rate = float64(calls*w.op.items()) / took.Seconds()
	w.got = min(1, float64(processorTime()-processor)/float64(took))
}
