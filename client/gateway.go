package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/sphinx"
)

// session is the client's time at one gateway: a link to it, and a mailbox there.
type session struct {
	conn    *link.Conn
	mailbox *mailbox
	out     chan outgoing   // packets for the gateway; of the mailbox
	ahead   chan dummy      // cover for the gateway; nil without a pace
	ctx     context.Context // ends with the session
	end     context.CancelCauseFunc

	mu      sync.Mutex
	gateway *directory.Descriptor // the newest that is known; guarded by mu
	missing int                   // views in a row that did not list it; guarded by mu
	charts  [2]*chart             // the last that were made; guarded by mu
	trust   trust                 // guarded by mu
}

// outgoing is a packet as the gateway gets it.
type outgoing struct {
	epoch byte // of the gateway's key
	bytes []byte
}

// Why a session ends, other than by its link or by Close.
var errUnlisted = errors.New("client: the directory does not list the gateway any more")

// chart returns the chart of a view for an epoch, as seen from the session's gateway; s may be nil.
func (s *session) chart(view *directory.View, epoch uint64) *chart {
	if s == nil {
		return newChart(view, epoch, nil)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ch := range s.charts {
		if ch != nil && ch.view == view && ch.epoch == epoch {
			return ch
		}
	}
	ch := newChart(view, epoch, s.gateway)
	s.charts[0], s.charts[1] = ch, s.charts[0]
	return ch
}

// descriptor returns the newest of the session's gateway.
func (s *session) descriptor() *directory.Descriptor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gateway
}

// gatewayID returns the name of the session's gateway.
func (s *session) gatewayID() directory.NodeID { return s.descriptor().ID() }

// heed takes note of what a view says of the gateway. Since a directory may forget a mix for a moment, only the second
// view in a row without it ends the session. It reports whether the gateway was started anew since the last.
func (s *session) heed(view *directory.View) (anew bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	listed, ok := view.Node(s.gateway.ID())
	switch {
	case ok && listed.Version > s.gateway.Version:
		anew = renewed(s.gateway, listed)
		s.gateway, s.missing = listed, 0
		s.charts = [2]*chart{}
	case ok:
		s.missing = 0
	default:
		if s.missing++; s.missing == 2 {
			s.end(errUnlisted)
		}
	}
	return anew
}

// access is the client's way into the network.
type access struct {
	mu      sync.Mutex
	session *session // nil while there is none; guarded by mu
	failure error    // why there is none; guarded by mu
}

func (a *access) set(s *session, failure error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.session, a.failure = s, failure
}

func (a *access) get() (*session, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.session, a.failure
}

// missing returns nil while there is a session, and else an error that wraps ErrGateway and why there is none.
func (a *access) missing() error {
	if s, why := a.get(); s == nil {
		return fmt.Errorf("%w: %w", ErrGateway, why)
	}
	return nil
}

// Err returns nil while the client has a gateway, and else why it has none: an error that wraps ErrGateway, or ErrClosed. A
// client without a gateway looks for one by itself.
func (c *Client) Err() error {
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	return c.access.missing()
}

// heed has the session, where there is one, take note of a view. What is expected from a gateway that was started anew is
// lost.
func (c *Client) heed(view *directory.View) {
	if s, _ := c.access.get(); s != nil && s.heed(view) {
		c.lose(s.mailbox)
	}
}

// firstSession tries all mixes that may be gateways until one takes the client.
func (c *Client) firstSession(ctx context.Context) (*session, error) {
	gateways, err := c.gateways()
	if err != nil {
		return nil, err
	}
	for _, gateway := range gateways {
		var s *session
		if s, err = c.enter(ctx, gateway, c.newMailbox(gateway)); err == nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%w: none of %d mixes can be reached; the last said: %w", ErrGateway, len(gateways), err)
}

// gateways returns the mixes that may be gateways, in the order in which to try them: last those that are exits of streams,
// which would end. The error wraps ErrView, ErrNetwork or ErrGateway.
func (c *Client) gateways() ([]*directory.Descriptor, error) {
	ch, err := c.chart(nil)
	if err != nil {
		return nil, err
	}
	gateways, err := ch.gateways(c.cfg.Via)
	exits := c.tunnels.exits()
	slices.SortStableFunc(gateways, func(a, b *directory.Descriptor) int { return cmp.Compare(exits[a.ID()], exits[b.ID()]) })
	return gateways, err
}

const (
	// steady is how long a session must last to count as a success: a gateway that hangs up at once is left soon. More would
	// let whoever cuts connections, or starts mixes anew, keep the client out for most of the time.
	steady = 5 * time.Second

	// loyalty is how many times a client that has lost its gateway tries that one before others: an attacker must not be
	// able to move it from gateway to gateway by cutting a connection now and then.
	loyalty = 2

	maxPause = 30 * time.Second // between two attempts
)

// search is how a client comes from one gateway to the next.
type search struct {
	last     directory.NodeID // that was tried
	failures int              // in a row
	mailbox  *mailbox         // of the last session
}

// stay keeps the client at a gateway until it is closed. s is its first session.
func (c *Client) stay(s *session) {
	var search search
	for s != nil {
		began := time.Now()
		why := c.serve(s)
		search.last, search.mailbox = s.gatewayID(), s.mailbox
		s.mailbox.left, s.mailbox.gateway = time.Now(), s.descriptor()
		if search.failures++; time.Since(began) >= steady {
			search.failures = 0
		}
		c.hasten() // a gateway that has gone may not be listed any more, or come back with other keys
		s = c.nextSession(&search, why)
		c.hasten()
	}
	c.abandon(search.mailbox)
}

// nextSession tries gateways until one takes the client. It returns nil where the client is closed. why there is no
// session any more is for the errors of requests.
func (c *Client) nextSession(search *search, why error) *session {
	loyal := search.failures < loyalty
	for ; ; search.failures++ {
		c.access.set(nil, why)
		if !c.pause(search.failures) {
			return nil
		}
		// While the last gateway keeps the mailbox it is tried before each other, since it may be the client's own network
		// that has failed. It is not where it has hung up too often.
		kept := time.Since(search.mailbox.left) < c.retention()
		if !kept {
			c.lose(search.mailbox)
		}
		var s *session
		if loyal && (kept || search.failures < loyalty) {
			search.last = search.mailbox.gateway.ID()
			if s, why = c.try(search, true); s != nil {
				return s
			}
		}
		if search.failures >= loyalty {
			if s, why = c.try(search, false); s != nil {
				return s
			}
		}
	}
}

// try tries the last gateway, or another.
func (c *Client) try(search *search, same bool) (*session, error) {
	gateway, err := c.gatewayAfter(search.last, same)
	if err != nil {
		return nil, err
	}
	search.last = gateway.ID()
	mailbox := c.mailboxAt(gateway, search.mailbox)
	s, err := c.enter(c.ctx, gateway, mailbox)
	if err != nil {
		return nil, err
	}
	if mailbox != search.mailbox {
		c.abandon(search.mailbox)
	}
	return s, nil
}

// pause waits before a further attempt to find a gateway, longer after each. It returns false where the client is closed.
func (c *Client) pause(failures int) bool {
	var pause time.Duration
	if failures > 0 {
		pause = jittered(min(250*time.Millisecond<<min(failures, 10), maxPause))
	}
	select {
	case <-time.After(pause):
		return c.ctx.Err() == nil
	case <-c.ctx.Done():
		return false
	}
}

// gatewayAfter returns the gateway to try after the last one: that one again, or another where there is one.
func (c *Client) gatewayAfter(last directory.NodeID, same bool) (*directory.Descriptor, error) {
	gateways, err := c.gateways()
	if err != nil {
		return nil, err
	}
	for _, d := range gateways {
		if (d.ID() == last) == same {
			return d, nil
		}
	}
	return gateways[0], nil
}

// enter makes a link to a gateway and claims a mailbox there.
func (c *Client) enter(ctx context.Context, gateway *directory.Descriptor, mailbox *mailbox) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	raw, err := c.cfg.Dial(ctx, gateway.Address)
	if err != nil {
		return nil, err
	}
	conn, err := link.Dial(ctx, raw, gateway.Identity, link.Config{FrameSize: c.params.PacketSize()})
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	err = c.subscribe(conn, mailbox)
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	s := &session{conn: conn, mailbox: mailbox, out: mailbox.out, gateway: gateway}
	if c.cfg.Pace.on() {
		s.ahead = make(chan dummy, 1+c.cfg.Pace.ahead())
	}
	s.ctx, s.end = context.WithCancelCause(c.ctx)
	return s, nil
}

// subscribe claims a mailbox at the gateway that conn leads to.
func (c *Client) subscribe(conn *link.Conn, m *mailbox) error {
	frame := make([]byte, c.params.PacketSize())
	copy(frame, m.secret[:])
	defer clear(frame)
	if err := conn.WriteFrame(link.Subscribe, 0, frame); err != nil {
		return err
	}
	return conn.Flush()
}

// serve runs the parts of a session until one of them fails or the client is closed, and returns why. What is expected in
// its mailbox stays so, since the next session may be at the same gateway.
func (c *Client) serve(s *session) error {
	var running sync.WaitGroup
	start := func(part func(*session) error) {
		running.Go(func() {
			if err := part(s); err != nil {
				s.end(err)
			}
		})
	}
	start(c.read)
	if c.cfg.Pace.on() {
		start(c.pace)
		start(c.fill)
	} else {
		start(c.write)
		start(c.cover)
	}
	for range c.cfg.Pace.wrappers() {
		start(c.wrap)
	}
	c.access.set(s, nil)
	<-s.ctx.Done()
	s.conn.Close()
	running.Wait()
	return context.Cause(s.ctx)
}

// read takes what the gateway delivers. Whatever is not a reply that is waited for is dropped: the gateway, and everyone
// behind it, may send anything.
func (c *Client) read(s *session) error {
	frame := make([]byte, c.params.PacketSize())
	for {
		kind, _, err := s.conn.ReadFrame(frame)
		if err != nil {
			return err
		}
		if kind == link.Reply {
			id := sphinx.MessageID(frame[:sphinx.MessageIDSize])
			c.arrive(id, frame[sphinx.MessageIDSize:][:c.params.PayloadSize])
		}
	}
}
