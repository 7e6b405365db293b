package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/client/stream"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/sphinx"
)

// tunnel is a session of streams with one exit, for one isolation.
type tunnel struct {
	*stream.Session
	exit   directory.NodeID
	began  time.Time
	surbs  surbs
	decoys *decoys
	stale  atomic.Bool // not for new streams: the exit is gone, or does not answer
}

// tunnels are those that there are.
type tunnels struct {
	most int // at a time

	mu  sync.Mutex
	all map[string][]*tunnel // by isolation, the newest last; guarded by mu
	n   int                  // guarded by mu
}

const (
	// mostTunnels is how many tunnels a client has at a time. Those without streams go when others need their place.
	mostTunnels = 1024
	// tunnelAge is how long new streams go to the same exit: an exit should not see all that a user does, nor many exits a
	// little of all.
	tunnelAge = 10 * time.Minute
	// tunnelIdle is how long a tunnel without streams is kept.
	tunnelIdle = time.Minute
	// tunnelPatience is how long the streams of an exit that does not answer last, beside what a cell may take.
	tunnelPatience = time.Minute
)

// tunnel returns one for new streams of an isolation: the one there is, or a new one with an exit chosen at random,
// another than those that were tried where there is one. The error is one of route's, or says that there are too many.
func (c *Client) tunnel(isolation string, tried []directory.NodeID) (*tunnel, error) {
	ts := &c.tunnels
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if of := ts.all[isolation]; len(of) > 0 {
		newest := of[len(of)-1]
		if !newest.stale.Load() && newest.Err() == nil && time.Since(newest.began) < tunnelAge {
			return newest, nil
		}
	}
	if c.ctx.Err() != nil {
		return nil, context.Cause(c.ctx) // Close may wait already for all that runs
	}
	if ts.n >= ts.most && !ts.makePlace() {
		return nil, fmt.Errorf("client: %d isolations with connections at a time are too many", ts.most)
	}
	exit, err := c.chooseExit(tried)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	t := &tunnel{
		exit:   exit.ID(),
		decoys: newDecoys(c.secret, "streams of "+isolation),
		began:  now,
		Session: stream.New(stream.Config{
			Client:   true,
			Room:     c.params.MaxMessage(len(stream.Service)) - cell.HeaderSize,
			SURBSize: c.params.SURBSize(),
			Timeout:  c.firstTimeout(),
			Patience: tunnelPatience + c.trips.limit(),
		}, randomStream(), now),
	}
	ts.all[isolation] = append(ts.all[isolation], t)
	ts.n++
	c.running.Go(func() {
		c.pump(t)
		ts.mu.Lock()
		defer ts.mu.Unlock()
		ts.remove(isolation, t)
	})
	return t, nil
}

// makePlace ends the tunnel without streams that nothing was heard of for longest, and returns false where all have streams.
// It is called with mu held.
func (ts *tunnels) makePlace() bool {
	var quietest *tunnel
	var isolation string
	for of, list := range ts.all {
		for _, t := range list {
			if t.Streams() == 0 && (quietest == nil || t.Heard().Before(quietest.Heard())) {
				quietest, isolation = t, of
			}
		}
	}
	if quietest == nil {
		return false
	}
	quietest.Fail(ErrClosed)
	ts.remove(isolation, quietest)
	return true
}

// remove removes a tunnel, if it is still there. It is called with mu held.
func (ts *tunnels) remove(isolation string, t *tunnel) {
	of := ts.all[isolation]
	i := slices.Index(of, t)
	if i < 0 {
		return
	}
	ts.n--
	if ts.all[isolation] = slices.Delete(of, i, i+1); len(of) == 1 {
		delete(ts.all, isolation)
	}
}

// firstTimeout is how long a round trip of a new session takes at most. It is in the session's first cells. So it is the same
// for all clients of a network, whatever they have measured and however long their paths are, or an exit would know by it
// which sessions are of one client.
func (c *Client) firstTimeout() time.Duration {
	d := delaysOf(2*c.params.MaxHops+1, c.known.network().MeanDelay)
	return firstTrip + d.mean + d.beyond
}

// exits returns how many streams each exit has.
func (ts *tunnels) exits() map[directory.NodeID]int {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	streams := make(map[directory.NodeID]int)
	for _, of := range ts.all {
		for _, t := range of {
			streams[t.exit] += t.Streams()
		}
	}
	return streams
}

// chooseExit chooses an exit for streams, another than those that were tried where there is one.
func (c *Client) chooseExit(tried []directory.NodeID) (exit *directory.Descriptor, err error) {
	choose := func(ch *chart) (err error) {
		exit, err = ch.exit(&c.cfg, stream.Service, tried...)
		return err
	}
	s, _ := c.access.get()
	if err = c.tryCharts(s, choose); errors.Is(err, errUnfit) { // which the session will end with, and another begin
		err = c.tryCharts(nil, choose)
	}
	return exit, err
}

// pump sends what a tunnel's session has to send, until that ends.
func (c *Client) pump(t *tunnel) {
	defer c.book.end(t)
	defer t.Fail(ErrClosed)
	timer := time.NewTimer(0)
	defer timer.Stop()
	renewal := c.renewal(time.Now())
	idle := time.Now() // since when there are no streams
	for {
		now := time.Now()
		if !now.Before(renewal) {
			t.Renew()
			renewal = c.renewal(now)
		}
		if t.Streams() > 0 {
			idle = now
		} else if now.Sub(idle) >= tunnelIdle {
			t.Fail(ErrClosed)
		}
		next, ok := t.Next(now)
		var jobs chan<- job
		until := t.Deadline()
		switch {
		case ok:
			jobs = c.jobs
			if until.IsZero() { // it is the last
				until = now.Add(firstTrip)
			}
		case t.Err() != nil:
			return
		default:
			if end := idle.Add(tunnelIdle); until.IsZero() || end.Before(until) {
				until = end
			}
			if renewal.Before(until) {
				until = renewal
			}
		}
		timer.Reset(max(until.Sub(now), time.Millisecond))
		wake := t.Wake()
		if ok {
			wake = nil
		}
		select {
		case jobs <- &tunnelCell{t, next}:
		case <-wake:
		case <-timer.C: // a cell that waits here for that long counts as lost, or will soon
		case <-c.ctx.Done():
			return
		}
	}
}

// renewal returns when the SURBs that were sent are to be replaced: in the first half of the next epoch, through all of
// which they stay good, and not for all clients at the same time.
func (c *Client) renewal(now time.Time) time.Time {
	network := c.known.network()
	start := network.EpochStart(network.EpochAt(now) + 1)
	return start.Add(time.Duration(directory.Fraction() * float64(network.Epoch/2)))
}

// arrived takes what came through a SURB of the tunnel. Anything but a cell of its session is of an exit that lies.
func (t *tunnel) arrived(message []byte) {
	c, err := cell.Parse(message, 0)
	if err == nil && (c.Stream != t.ID() || c.SURBs != nil || c.Last) {
		err = stream.ErrProtocol
	}
	if err == nil {
		err = t.Receive(time.Now(), c)
	}
	if errors.Is(err, stream.ErrProtocol) || errors.Is(err, stream.ErrMalformed) || errors.Is(err, cell.ErrMalformed) {
		t.Fail(stream.ErrProtocol)
	}
}

// tunnelCell is a session's cell as a job. When it cannot be sent, it is lost like any other.
type tunnelCell struct {
	tunnel *tunnel
	stream.Cell
}

func (j *tunnelCell) done(err error) {
	if errors.Is(err, ErrNoService) {
		j.tunnel.stale.Store(true)
	}
}

// packet wraps the cell with its SURBs, all along fresh paths.
func (j *tunnelCell) packet(c *Client, s *session) (outgoing, error) {
	t := j.tunnel
	to, err := c.routeToExit(s, t)
	if err != nil {
		return outgoing{}, err
	}
	back := make([][]sphinx.Hop, j.SURBs)
	for i := range back {
		if i == 0 {
			back[i] = to.hops(to.back)
		} else {
			back[i] = to.hops(to.another(c.cfg.Hops))
		}
	}
	surbs, err := c.newSURBs(s, back...)
	if err != nil {
		return outgoing{}, err
	}
	made, wanted := cell.Cell{Stream: t.ID(), Sequence: j.Number, Data: j.Data}, true
	for _, surb := range surbs {
		wanted = c.book.expect(surb.id, &expectation{key: surb.key, mailbox: s.mailbox, tunnel: t}) && wanted
		made.SURBs = append(made.SURBs, surb.encoded)
	}
	if !wanted { // the tunnel has ended, and the book with all that it held for it
		return outgoing{}, nil
	}
	packet, err := c.params.Wrap(nil, nil, to.hops(to.out), []byte(stream.Service), made.Append(nil))
	if err != nil {
		return outgoing{}, err
	}
	if c.cfg.Routed != nil {
		for _, address := range j.Opens {
			c.cfg.Routed(address, ids(to.out), ids(to.back))
		}
	}
	return outgoing{to.epochByte(), packet}, nil
}

// routeToExit chooses paths to and from a tunnel's exit. The error is one of route's.
func (c *Client) routeToExit(s *session, t *tunnel) (to route, err error) {
	err = c.tryCharts(s, func(ch *chart) error {
		if err := ch.check(c.cfg.Hops); err != nil {
			return err
		}
		exit, _ := ch.view.Node(t.exit)
		if !slices.ContainsFunc(ch.exits[stream.Service], func(l directory.Lot) bool { return l.Mix == exit }) {
			return fmt.Errorf("%w: the exit %s has gone, or has become the gateway", ErrNoService, t.exit)
		}
		to, err = ch.routeTo(&c.cfg, exit, t.decoys)
		return err
	})
	return to, err
}
