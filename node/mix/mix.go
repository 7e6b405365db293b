// Package mix decides when a mix lets go of the packets that it holds, and in
// which order. It knows nothing of packets, and neither waits nor asks for the
// time: a [Strategy] is told what the time is, and says when to ask again.
package mix

import "time"

// A Packet is what a [Strategy] holds: an item of the caller's and what a
// strategy may want to know of it.
type Packet[T any] struct {
	// Sender tells who handed the packet in. Strategies compare senders and
	// nothing else. Whoever can make many of them up counts as many, so a caller
	// chooses what is costly to have: a proven identity, or a network address.
	Sender string

	// Delay is how long the packet's maker asks for it to be held, for strategies
	// that heed it. [Threshold] does not.
	Delay time.Duration

	Item T
}

// A Strategy holds packets until it is time for them to leave. One goroutine
// uses it at a time.
type Strategy[T any] interface {
	// Add hands p to the strategy, at the time now.
	Add(p Packet[T], now time.Time)

	// Due returns the items that leave at the time now, in the order in which
	// they must be sent, and the time at which to ask again: until then Due has
	// nothing more to say unless Add is called. A zero time means not before the
	// next Add. What out holds is the caller's until the next call of Due, which
	// may use its memory anew.
	Due(now time.Time) (out []T, next time.Time)
}
