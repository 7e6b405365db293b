package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"sphinxmix.example/bench/thread"
)

// coreCounts returns how many goroutines are tried where Go may use so many cores: each number up to 8, then in steps
// that grow with it, and all.
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
	stage := fmt.Sprintf("measuring 1 to %d cores", len(workers))
	left := cfg.countdown(stage, cfg.Rounds, cfg.CoreSlice*time.Duration(len(counts)))
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
		cores[i] = coresOf(count, all[i])
	}
	return cores, nil
}

// turn is what workers did in one round.
type turn struct {
	rate float64 // packets per second
	got  float64 // of as many cores' time as there are workers, the part that they had
}

// freeCores is what workers must have had of their cores' time in a round where nothing else is said to have run.
const freeCores = 0.95

// coresOf returns what the rounds of so many cores come to. Those count in which the cores were free or, where these
// are too few, all.
func coresOf(count int, turns []turn) Cores {
	free := 0
	for _, t := range turns {
		if t.got >= freeCores {
			free++
		}
	}
	c := Cores{Cores: count, Free: thread.IsTimed && free*3 >= len(turns)}
	var rates, got, each []float64
	for _, t := range turns {
		round := CoresRound{Rate: t.rate, Got: t.got, Counts: !c.Free || t.got >= freeCores}
		if round.Counts {
			rates, got, each = append(rates, t.rate), append(got, t.got), append(each, t.rate/t.got/float64(count))
		}
		c.Rounds = append(c.Rounds, round)
	}
	c.Rate = summarize(rates)
	if thread.IsTimed {
		c.Got, c.Each = summarize(got), summarize(each)
	}
	return c
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

// work opens batches until the time is over. That each batch is laid ready counts, as it does for packets that come
// from a network.
func (w *worker) work(length time.Duration) {
	if w.err != nil {
		return
	}
	start, processor, calls := time.Now(), thread.Time(), 0
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
		got:  min(1, float64(thread.Time()-processor)/float64(took)),
	}
}
