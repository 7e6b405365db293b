// Package client sends messages through a mix network and receives the replies to them.
//
// [New] learns the network from its directory and connects to a mix that becomes the client's gateway. Request sends one
// message to a service at some last hop and returns the service's reply. Every packet takes a fresh random path through
// at least three mixes, no mix twice, and carries a SURB for its reply, which takes another.
package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/sphinx"
)

// MinHops is the length of the shortest path: with fewer mixes, one of them knows both ends.
const MinHops = 3

// Config is what a client needs. A zero field means its documented default.
type Config struct {
	Directory *directory.Client // required

	// Dial connects to a mix's address; TCP if nil.
	Dial func(ctx context.Context, address string) (net.Conn, error)

	// Hops is the number of mixes on each path, replies' too; 3 if zero.
	Hops int
}

// Client is connected to a network through one gateway. It is safe for concurrent use. Make it with New and Close it.
type Client struct {
	cfg     Config
	params  sphinx.Params
	view    atomic.Pointer[directory.View] // the newest
	gateway directory.NodeID
	id      []byte // what the gateway knows the client by; fresh for each Client
	conn    *link.Conn

	jobs  chan job    // cells to be wrapped
	out   chan []byte // packets to be sent
	book  book
	trips trips

	ctx     context.Context // ends when the client is closed or loses its gateway
	cancel  context.CancelCauseFunc
	running sync.WaitGroup
}

// Errors that a caller may want to tell apart.
var (
	ErrClosed    = errors.New("client: closed")
	ErrGateway   = errors.New("client: the connection to the gateway is lost; make a new client")
	ErrView      = errors.New("client: the view of the network has expired")
	ErrNetwork   = errors.New("client: the network is too small")
	ErrNoService = errors.New("client: no mix offers this service") // the gateway aside
	ErrTooLong   = errors.New("client: message is too long")
)

// New fetches the network's view and connects to a gateway. ctx bounds these two and nothing later.
func New(ctx context.Context, cfg Config) (*Client, error) {
	if cfg.Directory == nil {
		return nil, errors.New("client: Config.Directory is missing")
	}
	if cfg.Dial == nil {
		cfg.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		}
	}
	if cfg.Hops == 0 {
		cfg.Hops = MinHops
	}
	view, err := cfg.Directory.Fetch(ctx)
	if err != nil {
		return nil, err
	}
	c := &Client{
		cfg:    cfg,
		params: view.Params,
		jobs:   make(chan job),
		out:    make(chan []byte, window),
		book:   book{expected: make(map[sphinx.MessageID]*expectation)},
	}
	switch {
	case cfg.Hops < MinHops || cfg.Hops > view.Params.MaxHops:
		return nil, fmt.Errorf("client: %d hops: this network's paths have %d to %d", cfg.Hops, MinHops, view.Params.MaxHops)
	case len(view.Nodes) <= cfg.Hops:
		return nil, tooSmall(view, cfg.Hops)
	}
	c.view.Store(view)
	if err := c.connect(ctx, view.Nodes); err != nil {
		return nil, err
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.start(c.read)
	c.start(c.write)
	c.start(c.follow)
	for range runtime.GOMAXPROCS(0) {
		c.start(c.wrap)
	}
	return c, nil
}

// start runs part until it returns or the client is closed. Its error ends the client.
func (c *Client) start(part func() error) {
	c.running.Go(func() {
		if err := part(); err != nil {
			c.cancel(fmt.Errorf("%w: %w", ErrGateway, err))
		}
	})
}

// Close ends the client and every call under way, which return ErrClosed. It waits until all is ended.
func (c *Client) Close() {
	c.cancel(ErrClosed)
	c.conn.Close()
	c.running.Wait()
}

// connect tries mixes in random order until one takes the client, and subscribes to its mailbox there.
func (c *Client) connect(ctx context.Context, mixes []*directory.Descriptor) error {
	var failed error
	for _, i := range shuffled(len(mixes)) {
		conn, err := c.dial(ctx, mixes[i])
		if err != nil {
			failed = err
			continue
		}
		if err := c.subscribe(conn); err != nil {
			conn.Close()
			failed = err
			continue
		}
		c.conn, c.gateway = conn, mixes[i].ID()
		return nil
	}
	return fmt.Errorf("client: none of %d mixes can be reached; the last said: %w", len(mixes), failed)
}

// subscribe claims a new mailbox at the gateway that conn leads to.
func (c *Client) subscribe(conn *link.Conn) error {
	var secret link.MailboxSecret
	rand.Read(secret[:])
	frame := make([]byte, c.params.PacketSize())
	copy(frame, secret[:])
	c.id = secret.ClientID()
	defer clear(frame)
	defer clear(secret[:])
	if err := conn.WriteFrame(link.Subscribe, 0, frame); err != nil {
		return err
	}
	return conn.Flush()
}

func (c *Client) dial(ctx context.Context, to *directory.Descriptor) (*link.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := c.cfg.Dial(ctx, to.Address)
	if err != nil {
		return nil, err
	}
	return link.Dial(ctx, conn, to.Identity, link.Config{FrameSize: c.params.PacketSize()})
}

// read takes what the gateway delivers. Whatever is not a reply that is waited for is dropped: the gateway, and everyone
// behind it, may send anything.
func (c *Client) read() error {
	frame := make([]byte, c.params.PacketSize())
	for {
		kind, _, err := c.conn.ReadFrame(frame)
		if err != nil {
			return err
		}
		if kind == link.Reply {
			id := sphinx.MessageID(frame[:sphinx.MessageIDSize])
			if trip, ok := c.book.arrive(id, frame[sphinx.MessageIDSize:][:c.params.PayloadSize]); ok {
				c.trips.measure(trip)
			}
		}
	}
}

// write sends packets to the gateway.
func (c *Client) write() error {
	padding := make([]byte, c.params.PacketSize())
	idle := time.NewTicker(link.KeepAlive)
	defer idle.Stop()
	for {
		var err error
		select {
		case packet := <-c.out:
			err = c.conn.WriteFrame(link.Packet, firstEpoch, packet)
		case <-idle.C:
			err = c.conn.WriteFrame(link.Padding, 0, padding)
		case <-c.ctx.Done():
			return nil
		}
		if err == nil && len(c.out) == 0 {
			err = c.conn.Flush()
		}
		if err != nil {
			return err
		}
	}
}

// refresh is how often a client asks its directory for a newer view.
const refresh = time.Minute

// follow keeps the view fresh. A directory that does not answer is asked again: the view is good until it expires.
func (c *Client) follow() error {
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			view, err := c.cfg.Directory.Fetch(c.ctx)
			if err != nil || view.Params != c.params {
				continue
			}
			// A directory that has just started may not have heard from every mix.
			if _, listed := view.Node(c.gateway); listed || !time.Now().Before(c.view.Load().Expires) {
				c.view.Store(view)
			}
		case <-c.ctx.Done():
			return nil
		}
	}
}
