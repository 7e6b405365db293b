package node

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"sphinxmix.example/sphinx"
)

// Drop is why a packet ended before it reached anyone.
type Drop int

// The reasons, in the order in which a packet meets them.
const (
	DropFrame        Drop = iota // a frame that has no place on this link
	DropEpoch                    // for a key of another epoch
	DropSize                     // sphinx.ErrPacketSize
	DropGroup                    // sphinx.ErrGroup
	DropMAC                      // sphinx.ErrMAC
	DropReplay                   // sphinx.ErrReplay
	DropReplayStore              // sphinx.ErrReplayStore
	DropRouting                  // sphinx.ErrRouting
	DropPayload                  // sphinx.ErrPayload
	DropSender                   // the mix is full, and most of what it holds is of that packet's sender
	DropNextHop                  // to a mix that the view does not list, or to this one
	DropPeerQueue                // more than fits is waiting for that mix, or in the node
	DropPeer                     // that mix went away with the packet queued or on its way
	DropNoService                // to a service that this node does not offer
	DropServiceQueue             // more than fits is waiting for the services
	DropService                  // the service could not use it
	DropNoClient                 // to a client that is not here, or went away and did not come back in time
	DropClientQueue              // more than fits is waiting for that client
	drops
)

var dropNames = [drops]string{
	"frame", "epoch", "size", "group", "mac", "replay", "replay_store", "routing", "payload", "sender", "next_hop", "peer_queue", "peer",
	"no_service", "service_queue", "service", "no_client", "client_queue",
}

// String returns the reason as metrics name it.
func (d Drop) String() string { return dropNames[d] }

// MarshalText returns what String returns.
func (d Drop) MarshalText() ([]byte, error) {
	if d < 0 || d >= drops {
		return nil, fmt.Errorf("node: no reason to drop a packet has the number %d", int(d))
	}
	return []byte(d.String()), nil
}

// UnmarshalText is the reverse of MarshalText. It returns an error for a name that no reason has.
func (d *Drop) UnmarshalText(name []byte) error {
	known := slices.Index(dropNames[:], string(name))
	if known < 0 {
		return fmt.Errorf("node: no reason to drop a packet is called %q", name)
	}
	*d = Drop(known)
	return nil
}

var dropErrors = []struct {
	err    error
	reason Drop
}{
	{sphinx.ErrPacketSize, DropSize},
	{sphinx.ErrGroup, DropGroup},
	{sphinx.ErrMAC, DropMAC},
	{sphinx.ErrReplay, DropReplay},
	{sphinx.ErrReplayStore, DropReplayStore},
	{sphinx.ErrRouting, DropRouting},
}

// dropOf returns the reason that an error of Unwrap stands for.
func dropOf(err error) Drop {
	for _, known := range dropErrors {
		if errors.Is(err, known.err) {
			return known.reason
		}
	}
	return DropPayload // the one that is left
}

type counters struct {
	received, sent, served, delivered   atomic.Uint64
	opened                              atomic.Uint64
	batches                             atomic.Uint64
	covered                             atomic.Uint64
	loopsSent, loopsReturned, loopsLost atomic.Uint64
	dropsSent                           atomic.Uint64
	held                                atomic.Int64
	drops                               [drops]atomic.Uint64
}

// Counts is what a node has done since it started, in packets.
type Counts struct {
	Received  uint64 // from links
	Sent      uint64 // to other mixes
	Served    uint64 // by this node's services
	Delivered uint64 // to this node's clients
	Batches   uint64 // released
	Covered   uint64 // cover of others, which ended here as it should
	Dropped   map[Drop]uint64

	// The node's own cover traffic. Loops that were sent and neither returned nor are lost are under way.
	LoopsSent, LoopsReturned, LoopsLost uint64
	DropsSent                           uint64
}

// Counts returns the node's counts. They are read one by one, so they may differ by what is under way.
func (n *Node) Counts() Counts {
	c := Counts{
		Received:  n.counts.received.Load(),
		Sent:      n.counts.sent.Load(),
		Served:    n.counts.served.Load(),
		Delivered: n.counts.delivered.Load(),
		Batches:   n.counts.batches.Load(),
		Covered:   n.counts.covered.Load(),
		Dropped:   make(map[Drop]uint64),

		LoopsSent:     n.counts.loopsSent.Load(),
		LoopsReturned: n.counts.loopsReturned.Load(),
		LoopsLost:     n.counts.loopsLost.Load(),
		DropsSent:     n.counts.dropsSent.Load(),
	}
	for reason := range drops {
		if count := n.counts.drops[reason].Load(); count > 0 {
			c.Dropped[reason] = count
		}
	}
	return c
}

// Add adds the counts of another node.
func (c *Counts) Add(other Counts) {
	c.Received += other.Received
	c.Sent += other.Sent
	c.Served += other.Served
	c.Delivered += other.Delivered
	c.Batches += other.Batches
	c.Covered += other.Covered
	c.LoopsSent += other.LoopsSent
	c.LoopsReturned += other.LoopsReturned
	c.LoopsLost += other.LoopsLost
	c.DropsSent += other.DropsSent
	if c.Dropped == nil {
		c.Dropped = make(map[Drop]uint64)
	}
	for reason, count := range other.Dropped {
		c.Dropped[reason] += count
	}
}
