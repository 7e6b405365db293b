package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"sphinxmix.example/node/mix"
)

// senders is how many there are; each packet comes from any of them with the same probability.
const senders = 1000

// A scenario is one mix under one load.
type scenario struct {
	cfg       mix.Config
	parameter string        // what is varied, with its value
	delay     time.Duration // mean of what senders ask for, in a Poisson mix
	rate      float64       // packets that arrive in a second
}

// A result is what the observer of one scenario achieved.
type result struct {
	Strategy  string  `json:"strategy"`
	Parameter string  `json:"parameter"`
	Rate      float64 `json:"arrivals_per_second"`
	Messages  int     `json:"messages"`

	Linked           rate    `json:"linked"`             // departures of which the likeliest arrival was the right one
	LinkedPredicted  float64 `json:"linked_predicted"`   // mean of that arrival's probability
	InOrder          rate    `json:"in_order"`           // departures that came in the place in which they left
	InOrderPredicted float64 `json:"in_order_predicted"` // mean of the probability of that
	OneInHeld        float64 `json:"one_in_held"`        // mean of 1/n with n packets held

	Entropy     float64 `json:"entropy_bits"` // mean, over senders
	MeanLatency float64 `json:"latency_mean_seconds"`
	P95Latency  float64 `json:"latency_p95_seconds"`
}

// A rate is a part of many trials, with the Wilson interval that has the true one with 95 percent.
type rate struct {
	Rate float64 `json:"rate"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

const z95 = 1.959964 // standard deviations of the normal distribution between which 95 percent are

func wilson(hits, trials int, z float64) rate {
	n, p := float64(trials), float64(hits)/float64(trials)
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	reach := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return rate{Rate: p, Low: middle - reach, High: middle + reach}
}

// Contains reports whether p is in the interval.
func (r rate) Contains(p float64) bool { return r.Low <= p && p <= r.High }

// scenarios are the parameters of each strategy under each load.
func scenarios() (all []scenario) {
	for _, load := range []float64{2, 10, 50} {
		for _, size := range []int{2, 4, 8, 16, 32, 64} {
			all = append(all, threshold(size, load))
		}
		for interval := 250 * time.Millisecond; interval <= 8*time.Second; interval *= 2 {
			all = append(all, timed(interval, load), pool(interval, load), poisson(interval, load))
		}
	}
	slices.SortStableFunc(all, func(a, b scenario) int {
		order := []string{"threshold", "timed", "pool", "poisson"}
		return int(a.rate-b.rate)*10 + slices.Index(order, a.cfg.Strategy) - slices.Index(order, b.cfg.Strategy)
	})
	return all
}

// threshold has a deadline that hardly ever comes.
func threshold(size int, load float64) scenario {
	cfg := mix.Config{Strategy: "threshold", Size: size, Interval: 10 * time.Minute}
	return scenario{cfg: cfg, parameter: fmt.Sprintf("Size %d", size), rate: load}
}

func timed(interval time.Duration, load float64) scenario {
	cfg := mix.Config{Strategy: "timed", Interval: interval}
	return scenario{cfg: cfg, parameter: fmt.Sprint("Interval ", interval), rate: load}
}

// pool has the default's proportions. Neither distinct senders nor age decide who leaves, for those would make who is
// still there depend on more than chance, and what the observer computes less than exact.
func pool(interval time.Duration, load float64) scenario {
	cfg := mix.Config{Strategy: "pool", Interval: interval, Size: 1, MaxDelay: 100_000 * interval}
	return scenario{cfg: cfg, parameter: fmt.Sprint("Interval ", interval), rate: load}
}

// poisson has a MaxDelay that one in 10⁹ exceeds, so that delays have no memory.
func poisson(mean time.Duration, load float64) scenario {
	cfg := mix.Config{Strategy: "poisson", MaxDelay: longestDelay(mean)}
	return scenario{cfg: cfg, parameter: fmt.Sprint("mean ", mean), delay: mean, rate: load}
}

// A packet is an item of the mixes here.
type packet struct {
	arrival int // which it was, from 0
	came    time.Time
}

// simulate lets that many messages leave s in virtual time, and counts what an observer finds out.
func simulate(c scenario, s mix.Strategy[packet], messages int, random *rand.ChaCha8) (result, error) {
	var (
		watcher = newObserver(senders)
		chance  = rand.New(random)
		names   = make([]string, senders)
		now     = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		arrives = now
		due     time.Time

		linked, inOrder                                            int
		linkedPredicted, inOrderPredicted, oneInHeld, entropy, sum float64
		latencies                                                  []time.Duration
	)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	for len(latencies) < messages {
		if due.IsZero() || arrives.Before(due) {
			now = arrives
			sender := chance.IntN(senders)
			p := mix.Packet[packet]{Sender: names[sender], Item: packet{arrival: watcher.arrivals, came: now}}
			if c.delay > 0 {
				var err error
				if p.Delay, err = exponential(random, c.delay, c.cfg.MaxDelay); err != nil {
					return result{}, err
				}
			}
			s.Add(p, now)
			watcher.arrive(sender)
			arrives = now.Add(time.Duration(chance.ExpFloat64() / c.rate * float64(time.Second)))
		} else {
			now = due
		}
		var out []packet
		if out, due = s.Due(now); len(out) == 0 {
			continue
		}
		bits, held := watcher.entropy(), float64(watcher.held)
		for position, p := range out {
			if guess := watcher.likeliest(position); guess == p.arrival {
				linked++
			}
			if guess := watcher.inOrder(position); guess == p.arrival {
				inOrder++
			}
			linkedPredicted += watcher.probability(watcher.likeliest(position))
			inOrderPredicted += watcher.probability(watcher.inOrder(position))
			oneInHeld += 1 / held
			entropy += bits
			sum += now.Sub(p.came).Seconds()
			latencies = append(latencies, now.Sub(p.came))
		}
		watcher.release(len(out))
	}
	slices.Sort(latencies)
	n := len(latencies)
	return result{
		Strategy: c.cfg.Strategy, Parameter: c.parameter, Rate: c.rate, Messages: n,
		Linked: wilson(linked, n, z95), LinkedPredicted: linkedPredicted / float64(n),
		InOrder: wilson(inOrder, n, z95), InOrderPredicted: inOrderPredicted / float64(n),
		OneInHeld: oneInHeld / float64(n), Entropy: entropy / float64(n),
		MeanLatency: sum / float64(n), P95Latency: latencies[n*95/100].Seconds(),
	}, nil
}
