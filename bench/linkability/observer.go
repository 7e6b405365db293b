package main

import "math"

// An observer sees all links of a mix: who sends a packet to it and when, and when packets leave, in which order. It knows
// the strategy and its parameters. What it wants to know is which arrival a departure is.
//
// Every strategy here lets go of s among n packets such that every subset of s is equally likely, and every order: all of
// them where s = n, a random part of a pool, one of a Poisson mix, whose packets all have the same prospects at any time,
// since exponential delays have no memory. So with w, the probability that an arrival is still held, which starts at 1,
//
//	P(a departure is this arrival) = w/n, and w ← w·(1 - s/n) after a release
//
// is the exact posterior given all that was seen, and who arrived last is never a worse guess than any other.
type observer struct {
	held     int       // n
	arrivals int       // so far
	departed int       // so far
	newest   int       // the first of the arrivals that came since the last release, or if none has, before it
	released bool      // there was a release since the last arrival
	gone     int       // the first arrival that may still be held
	logKept  float64   // logarithm of the product of (1 - s/n) over the releases since everything left
	logAt    []float64 // logKept as each arrival came

	// For the entropy over senders: the sum of w over a sender's packets is scale times its weight, and information is the
	// sum of weight·log₂(weight).
	weight      []float64
	scale       float64
	information float64
}

func newObserver(senders int) *observer {
	return &observer{weight: make([]float64, senders), scale: 1}
}

func (o *observer) arrive(sender int) {
	if o.released {
		o.newest, o.released = o.arrivals, false
	}
	o.held++
	o.arrivals++
	o.logAt = append(o.logAt, o.logKept)
	o.information -= plogp(o.weight[sender])
	o.weight[sender] += 1 / o.scale
	o.information += plogp(o.weight[sender])
}

// probability returns that of a departure being the arrival, for the release that comes.
func (o *observer) probability(arrival int) float64 {
	if arrival < o.gone {
		return 0
	}
	return math.Exp(o.logKept-o.logAt[arrival]) / float64(o.held)
}

// likeliest guesses which arrival left in the given position. Where several are equally likely it goes by the order on
// the wire, which finds out a mix that does not shuffle.
func (o *observer) likeliest(position int) int {
	return o.newest + position%(o.arrivals-o.newest)
}

// inOrder guesses that packets leave as they came, from the first ever.
func (o *observer) inOrder(position int) int { return o.departed + position }

// entropy returns how many bits are missing to know the sender of a departure in the release that comes.
func (o *observer) entropy() float64 {
	part := o.scale / float64(o.held)
	return max(0, -part*o.information-math.Log2(part))
}

// release notes that count packets left.
func (o *observer) release(count int) {
	o.released = true
	o.departed += count
	if count == o.held {
		clear(o.weight)
		o.held, o.gone, o.logKept, o.scale, o.information = 0, o.arrivals, 0, 1, 0
		return
	}
	kept := 1 - float64(count)/float64(o.held)
	o.held -= count
	o.logKept += math.Log(kept)
	o.scale *= kept
	if o.scale < 1e-6 { // before digits are lost
		o.information = 0
		for i := range o.weight {
			o.weight[i] *= o.scale
			o.information += plogp(o.weight[i])
		}
		o.scale = 1
	}
}

func plogp(p float64) float64 {
	if p == 0 {
		return 0
	}
	return p * math.Log2(p)
}
