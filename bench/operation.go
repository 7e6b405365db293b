package bench

import (
	"fmt"
	"strings"
)

// Subject says what an operation is.
type Subject struct {
	Kind           string `json:"kind"`                     // "Unwrap", "UnwrapBatch", "X25519", ...
	Hops           int    `json:"hops,omitempty"`           // r: of the longest path, and of this one
	Payload        int    `json:"payload,omitempty"`        // P, bytes
	Point          string `json:"point,omitempty"`          // of an X25519: "any" or "base"
	Size           int    `json:"size,omitempty"`           // bytes of a primitive's message
	Implementation string `json:"implementation,omitempty"` // of a primitive: "sphinx" is this library's
	Items          int    `json:"items,omitempty"`          // packets or messages in one call, where it takes many
}

// Name is the operation's as `go test -bench` would print it, without the word Benchmark.
func (s Subject) Name() string {
	var b strings.Builder
	b.WriteString(s.Kind)
	part := func(key string, value any, set bool) {
		if set {
			fmt.Fprintf(&b, "/%s=%v", key, value)
		}
	}
	part("r", s.Hops, s.Hops > 0)
	part("P", s.Payload, s.Payload > 0)
	part("point", s.Point, s.Point != "")
	part("size", s.Size, s.Size > 0)
	part("impl", s.Implementation, s.Implementation != "")
	part("n", s.Items, s.Items > 0)
	return b.String()
}

// items is how many packets or messages one call works on.
func (s Subject) items() int { return max(1, s.Items) }

// Item is what a call takes one or many of, in a word.
func (s Subject) Item() string {
	if s.Implementation != "" {
		return "message"
	}
	return "packet"
}

// Operation is something to be measured.
type Operation struct {
	Subject
	prepare func(calls int) // lays ready what so many calls use up; nil where they use up nothing
	call    func() error    // does it once, and checks that it did it
	verify  func() error    // looks closely at what the last call did; nil where call does
	bytes   int             // that one call works on
}

// restore makes the operation ready for so many calls.
func (o *Operation) restore(calls int) {
	if o.prepare != nil {
		o.prepare(calls)
	}
}

// maker makes an operation when it is its turn, as its keys and packets take memory and time.
type maker struct {
	Subject
	make func() (*Operation, error)
}

// copies are what an operation that works in place uses up, one a call, made before a slice begins: that memory is
// written just before, as it is where a packet comes from the network.
type copies struct {
	original []byte
	all      []byte
	rest     []byte // of all: not used up yet
	last     []byte // used up last
}

func (c *copies) restore(calls int) {
	if size := calls * len(c.original); len(c.all) < size {
		c.all = make([]byte, size)
	}
	for at := 0; at < calls; at++ {
		copy(c.all[at*len(c.original):], c.original)
	}
	c.rest = c.all[:calls*len(c.original)]
}

// take returns the next copy. It panics where more are taken than were restored.
func (c *copies) take() []byte {
	c.last, c.rest = c.rest[:len(c.original):len(c.original)], c.rest[len(c.original):]
	return c.last
}
