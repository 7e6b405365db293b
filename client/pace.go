package client

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"sphinxmix.example/node/directory"
)

// Pace fixes when packets leave for the gateway, whatever the client is used for. At each of these moments one leaves: the
// next of those that wait, or else one of cover, which was made before. So who watches the link learns nothing of whether
// and how much its user sends, and those who send more than the pace allows wait; nothing is lost for that. It does not
// hide how much comes back, beside the loops' part.
//
// A client has a Pace or a Cover: to a stream that is there in any case no cover is added, and a faster pace is more of it.
// It ends with the link to the gateway, and begins anew with the next.
type Pace struct {
	// Rate is how many packets leave per second, on average: 1 to 1000, or zero for no pace.
	Rate float64
	// Constant makes all gaps equal. Otherwise they are random, with the exponential distribution, so that it does not show
	// in the mixes behind which packets are of one client.
	Constant bool
	// Drops is the part of the cover, 0 to 1, that is thrown away by random mixes. The rest are loops; see Cover.
	Drops float64
}

func (p Pace) on() bool { return p.Rate != 0 }

// check says what is wrong with p beside that cover, in a network where loops have so many hops.
func (p Pace) check(cover Cover, loopHops int) error {
	switch {
	case p == Pace{}:
		return nil
	case !(p.Rate >= 1 && p.Rate <= MaxCover): // not a number is neither
		return fmt.Errorf("client: Config.Pace.Rate is %v per second, must be 1 to %d", p.Rate, MaxCover)
	case !(p.Drops >= 0 && p.Drops <= 1):
		return fmt.Errorf("client: Config.Pace.Drops is %v, must be 0 to 1", p.Drops)
	case cover != Cover{}:
		return errors.New("client: Config.Pace takes the place of Config.Cover: set one of them")
	case p.Drops < 1 && loopHops < minLoopHops:
		return fmt.Errorf("client: Config.Pace: a loop takes %d hops, and this network's paths have at most %d; with Drops 1 there are none", minLoopHops, loopHops)
	}
	return nil
}

// ahead is how many packets leave in 20 ms, which is for how long those that are made before their time may wait.
func (p Pace) ahead() int { return int(p.Rate / 50) }

// queue is how many packets wait to leave. With a pace they are few, since those that wait for answers start to count
// when a packet is made: beside them there is one for each that wraps.
func (p Pace) queue() int {
	if !p.on() {
		return window
	}
	return p.ahead()
}

// wrappers is how many cells are made into packets at a time.
func (p Pace) wrappers() int {
	if !p.on() {
		return runtime.GOMAXPROCS(0)
	}
	return min(runtime.GOMAXPROCS(0), 1+p.ahead())
}

// gap draws the time between two packets.
func (p Pace) gap() time.Duration {
	mean := time.Duration(float64(time.Second) / p.Rate)
	if p.Constant {
		return mean
	}
	return directory.Exponential(mean, never)
}

// pace is write for a client that has one.
func (c *Client) pace(s *session) error {
	padding := make([]byte, c.params.PacketSize())
	next := time.Now().Add(c.cfg.Pace.gap())
	tick := time.NewTimer(time.Until(next))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return nil
		}
		// From one moment to the next, or a link that was slow for a while would be given many at once.
		if next = next.Add(c.cfg.Pace.gap()); time.Until(next) < 0 {
			next = time.Now()
		}
		tick.Reset(time.Until(next))
		if err := s.send(c.due(s), padding); err != nil {
			return err
		}
		if err := s.flush(); err != nil {
			return err
		}
	}
}

// due returns the packet that leaves now. Without bytes, none could be made in time, and padding goes in its place, which
// is the same to all but the gateway.
func (c *Client) due(s *session) outgoing {
	if unsent := s.mailbox.takeUnsent(); len(unsent) > 0 {
		return unsent[0] // there is one at most, as each is flushed
	}
	select {
	case packet := <-s.out:
		return packet
	default:
	}
	for {
		select {
		case packet := <-s.ahead:
			if packet.epoch == byte(c.known.network().EpochAt(time.Now())) { // it may have waited for long while there was enough else
				packet.leave()
				return packet.outgoing
			}
		default:
			return outgoing{}
		}
	}
}

// fill makes cover ahead of its time, so that the work does not show.
func (c *Client) fill(s *session) error {
	counted := time.Now()
	for {
		wrap := c.loop
		if directory.Fraction() < c.cfg.Pace.Drops {
			wrap = c.drop
		}
		packet, err := wrap(s)
		switch {
		case errors.Is(err, errUnfit):
			return err
		case err != nil: // there is no network to go through for now
			select {
			case <-time.After(obstaclePause):
				continue
			case <-s.ctx.Done():
				return nil
			}
		}
		select {
		case s.ahead <- packet:
		case <-s.ctx.Done():
			return nil
		}
		counted = c.countLost(counted)
	}
}
