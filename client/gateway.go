package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/sphinx"
)

// session is the client's time at one gateway: a link to it, and a mailbox there, new for each session.
type session struct {
	conn    *link.Conn
	mailbox *mailbox
	out     chan outgoing   // packets for the gateway
	ctx     context.Context // ends with the session
	end     context.CancelCauseFunc

	mu      sync.Mutex
	gateway *directory.Descriptor // the newest that is known; guarded by mu
	missing int                   // views in a row that did not list it; guarded by mu
	charts  [2]*chart             // the last that were made; guarded by mu
}

// mailbox is where replies wait for the client at a gateway. SURBs lead to it by its name.
type mailbox struct {
	secret link.MailboxSecret
	name   []byte
}

func newMailbox() *mailbox {
	m := new(mailbox)
	rand.Read(m.secret[:])
	m.name = m.secret.ClientID()
	return m
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

// gatewayID returns the name of the session's gateway.
func (s *session) gatewayID() directory.NodeID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gateway.ID()
}

// heed takes note of what a view says of the gateway. Since a directory may forget a mix for a moment, only the second
// view in a row without it ends the session.
func (s *session) heed(view *directory.View) {
	s.mu.Lock()
	defer s.mu.Unlock()
	listed, ok := view.Node(s.gateway.ID())
	switch {
	case ok && listed.Version > s.gateway.Version:
		s.gateway, s.missing = listed, 0
		s.charts = [2]*chart{}
	case ok:
		s.missing = 0
	default:
		if s.missing++; s.missing == 2 {
			s.end(errUnlisted)
		}
	}
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

func (a *access) heed(view *directory.View) {
	if s, _ := a.get(); s != nil {
		s.heed(view)
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
		if s, err = c.enter(ctx, gateway); err == nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%w: none of %d mixes can be reached; the last said: %w", ErrGateway, len(gateways), err)
}

// gateways returns the mixes that may be gateways, in the order in which to try them. The error wraps ErrView, ErrNetwork
// or ErrGateway.
func (c *Client) gateways() ([]*directory.Descriptor, error) {
	ch, err := c.chart(nil)
	if err != nil {
		return nil, err
	}
	return ch.gateways(c.cfg.Via)
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
}

// stay keeps the client at a gateway until it is closed. s is its first session.
func (c *Client) stay(s *session) {
	var search search
	for s != nil {
		began := time.Now()
		why := c.serve(s)
		search.last = s.gatewayID()
		if search.failures++; time.Since(began) >= steady {
			search.failures = 0
		}
		c.hasten() // a gateway that has gone may not be listed any more, or come back with other keys
		s = c.nextSession(&search, why)
		c.hasten()
	}
}

// nextSession tries gateways until one takes the client. It returns nil where the client is closed. why there is no
// session any more is for the errors of requests.
func (c *Client) nextSession(search *search, why error) *session {
	for ; ; search.failures++ {
		c.access.set(nil, why)
		if !c.pause(search.failures) {
			return nil
		}
		var gateway *directory.Descriptor
		if gateway, why = c.gatewayAfter(search.last, search.failures < loyalty); why != nil {
			continue
		}
		search.last = gateway.ID()
		var s *session
		if s, why = c.enter(c.ctx, gateway); why == nil {
			return s
		}
	}
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

// enter makes a link to a gateway and a mailbox there.
func (c *Client) enter(ctx context.Context, gateway *directory.Descriptor) (*session, error) {
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
	mailbox := newMailbox()
	err = c.subscribe(conn, mailbox)
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	s := &session{conn: conn, mailbox: mailbox, out: make(chan outgoing, window), gateway: gateway}
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

// serve runs the parts of a session until one of them fails or the client is closed, and returns why. The replies that
// would have come to its mailbox are lost then, and those who wait for them are told.
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
	start(c.write)
	start(c.cover)
	for range runtime.GOMAXPROCS(0) {
		start(c.wrap)
	}
	c.access.set(s, nil)
	<-s.ctx.Done()
	s.conn.Close()
	running.Wait()
	c.covers.lost.Add(c.book.lose(s.mailbox))
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

// write sends packets to the gateway.
func (c *Client) write(s *session) error {
	padding := make([]byte, c.params.PacketSize())
	idle := time.NewTicker(link.KeepAlive)
	defer idle.Stop()
	for {
		var err error
		select {
		case packet := <-s.out:
			err = s.conn.WriteFrame(link.Packet, packet.epoch, packet.bytes)
		case <-idle.C:
			err = s.conn.WriteFrame(link.Padding, 0, padding)
		case <-s.ctx.Done():
			return nil
		}
		if err == nil && len(s.out) == 0 {
			err = s.conn.Flush()
		}
		if err != nil {
			return err
		}
	}
}
