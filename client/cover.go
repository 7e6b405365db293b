package client

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/sphinx"
)

// Cover is traffic that a client makes of its own: two independent Poisson processes, of which a zero rate means none. It
// goes to the gateway like all else, as packets of one size along random paths with the same delays, so that who sees it
// cannot tell it from messages and their replies; but a mix that a drop ends at can.
//
// It hides whether a client sends anything, as long as messages are few beside it. It does not hide how much, since
// messages come on top of it. It stops while the client has no gateway.
type Cover struct {
	// Loops is how many packets the client sends to itself, on average per second, through its gateway, random mixes and
	// its gateway again. What does not come back shows that somebody loses packets, or holds them back. A loop takes one hop
	// more than other packets where the network's paths may have as many.
	Loops float64
	// Drops is how many packets the client sends to random mixes that throw them away, on average per second.
	Drops float64
}

// MaxCover is the highest rate of a Cover or a Pace, in packets per second: more can only be a mistake.
const MaxCover = 1000

// minLoopHops is the length of the shortest loop. With one mix less, the only one beside the gateway would see that the
// packet goes where it comes from.
const minLoopHops = MinHops + 1

// loopHops is the length of a client's loops.
func loopHops(hops, maxHops int) int { return min(hops+1, maxHops) }

// check says what is wrong with c, in a network where loops have so many hops.
func (c Cover) check(loopHops int) error {
	for _, rate := range []float64{c.Loops, c.Drops} {
		if !(rate >= 0 && rate <= MaxCover) { // not a number is neither
			return fmt.Errorf("client: Config.Cover has a rate of %v per second, must be 0 to %d", rate, MaxCover)
		}
	}
	if c.Loops > 0 && loopHops < minLoopHops {
		return fmt.Errorf("client: Config.Cover.Loops: a loop takes %d hops, and this network's paths have at most %d", minLoopHops, loopHops)
	}
	return nil
}

// CoverStats says what has become of a client's cover traffic, in packets. Loops that are neither returned nor lost are
// under way.
type CoverStats struct {
	LoopsSent     uint64
	LoopsReturned uint64
	LoopsLost     uint64 // not back in time, which is longer than nearly all loops take; or the gateway was lost meanwhile
	DropsSent     uint64
}

// coverCounts are what CoverStats reads.
type coverCounts struct {
	loops, returned, lost, drops atomic.Uint64
}

// Cover returns what has become of the cover traffic so far.
func (c *Client) Cover() CoverStats {
	c.covers.lost.Add(c.book.giveUp(time.Now()))
	return CoverStats{
		LoopsReturned: c.covers.returned.Load(), // before those sent, of which there are never fewer
		LoopsLost:     c.covers.lost.Load(),
		LoopsSent:     c.covers.loops.Load(),
		DropsSent:     c.covers.drops.Load(),
	}
}

// countLost counts the loops that are lost, unless that was done less than a second ago, and returns when it was done last:
// it looks at all that the client expects, which is too much for each packet.
func (c *Client) countLost(counted time.Time) time.Time {
	now := time.Now()
	if now.Sub(counted) < time.Second {
		return counted
	}
	c.covers.lost.Add(c.book.giveUp(now))
	return now
}

// never is longer than any wait, and short enough to be computed with.
const never = 100 * 365 * 24 * time.Hour

// cover makes cover traffic for one session. The two processes together are one, each of whose packets is a loop with
// the probability that the rates give.
func (c *Client) cover(s *session) error {
	rate := c.cfg.Cover.Loops + c.cfg.Cover.Drops
	if rate == 0 {
		return nil
	}
	mean := time.Duration(min(float64(time.Second)/rate, float64(never)))
	gap := time.NewTimer(directory.Exponential(mean, never))
	defer gap.Stop()
	counted := time.Now()
	for {
		select {
		case <-gap.C:
		case <-s.ctx.Done():
			return nil
		}
		gap.Reset(directory.Exponential(mean, never))
		counted = c.countLost(counted)
		wrap := c.drop
		if directory.Fraction()*rate < c.cfg.Cover.Loops {
			wrap = c.loop
		}
		packet, err := wrap(s)
		switch {
		case errors.Is(err, errUnfit):
			return err
		case err != nil:
			continue // there is no network to go through for now
		}
		packet.leave()
		select {
		case s.out <- packet.outgoing:
		case <-s.ctx.Done():
			return nil
		}
	}
}

// dummy is a packet of cover.
type dummy struct {
	outgoing
	leave func() // to be called before it leaves: counts it, and has a loop expected
}

// drop makes a packet that a random mix throws away.
func (c *Client) drop(s *session) (dummy, error) {
	ch, err := c.chart(s)
	if err != nil {
		return dummy{}, err
	}
	path := ch.anywhere(c.cfg.Hops)
	if len(c.cfg.Via) > 0 { // or the gateway would see which packets go another way
		if path, err = ch.via(c.cfg.Via); err != nil {
			return dummy{}, err
		}
	}
	packet, err := c.params.Wrap(nil, nil, ch.hops(path), []byte(link.DropService), nil)
	if err != nil {
		return dummy{}, err
	}
	return dummy{outgoing{ch.epochByte(), packet}, func() { c.covers.drops.Add(1) }}, nil
}

// loop makes a packet to the client itself: a SURB, used by who made it.
func (c *Client) loop(s *session) (dummy, error) {
	ch, err := c.chart(s)
	if err != nil {
		return dummy{}, err
	}
	path := ch.loop(loopHops(c.cfg.Hops, c.params.MaxHops))
	var id sphinx.MessageID
	rand.Read(id[:])
	surb, key, err := c.params.NewSURB(nil, ch.hops(path), s.mailbox.name, id)
	if err != nil {
		return dummy{}, err
	}
	_, packet, err := surb.Use(nil, nil)
	if err != nil {
		return dummy{}, err
	}
	return dummy{outgoing{ch.epochByte(), packet}, func() {
		c.covers.loops.Add(1)
		now := time.Now()
		c.book.expect(id, &expectation{key: key, mailbox: s.mailbox, sent: now, lost: now.Add(2 * c.loops.timeout())})
	}}, nil
}
