// Package mix decides when a mix lets go of the packets that it holds, and in which order. It knows nothing of packets,
// and neither waits nor asks for the time: a [Strategy] is told what the time is, and says when to ask again.
//
// [New] makes a Strategy. There are four, named in Config.Strategy:
//
//   - "threshold": all leave at once, when they come from Size distinct senders, or when the oldest has waited Interval.
//   - "timed": all leave at once, every Interval.
//   - "pool": a random part leaves every Interval, the rest stays for another: the timed dynamic pool of Mixmaster
//     (Serjantov, Dingledine, Syverson, IH 2002) and Mixminion (Danezis, Dingledine, Mathewson, S&P 2003), which counts
//     distinct senders too, and holds no packet for more than MaxDelay.
//   - "poisson": each leaves by itself, after the delay that its maker drew from the exponential distribution and wrote into it
//     (Kesdogan, Egner, Büschkes, IH 1998; Loopix, USENIX Security 2017).
//
// Three things hold for all of them. What leaves together leaves in an order in which every permutation is equally
// likely; if the source of randomness fails, what it was needed for stays, and Due tries anew each time it is called. A
// packet that came alone leaves too: if Due is called when it asks to be, after Interval at the latest, or MaxDelay where
// the strategy has one. And a clock that is set back strands nobody: that latest time counts anew from then, at most. A
// Strategy holds as many packets as it is given, so a caller that wants a bound counts. None allocates once it has held
// as many before.
package mix

import "time"

// A Packet is what a [Strategy] holds: an item of the caller's and what a strategy may want to know of it.
type Packet[T any] struct {
	// Sender tells who handed the packet in. Strategies compare senders and nothing else. Whoever can make many of them
	// up counts as many, so a caller chooses what is costly to have: a proven identity, or a network address.
	Sender string

	// Delay is how long the packet's maker asks for it to be held. Only "poisson" heeds it.
	Delay time.Duration

	Item T
}

// A Strategy holds packets until it is time for them to leave. One goroutine uses it at a time.
type Strategy[T any] interface {
	// Add hands p to the strategy, at the time now.
	Add(p Packet[T], now time.Time)

	// Due returns the items that leave at the time now, in the order in which they must be sent, and the time at which to
	// ask again: until then Due has nothing more to say unless Add is called. A zero time means not before the next Add,
	// and that nothing is held. What out holds is the caller's until the next call of Due, which may use its memory anew.
	Due(now time.Time) (out []T, next time.Time)
}

// retryAfter is when a strategy wants to be asked again after its source of randomness has failed.
const retryAfter = time.Second
