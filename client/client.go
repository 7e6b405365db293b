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
	"log/slog"
	"net"
	"runtime"
	"sync"
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

	Log *slog.Logger // discards if nil
}

// Client is connected to a network through one gateway. It is safe for concurrent use. Make it with New and Close it.
type Client struct {
	cfg     Config
	view    *directory.View
	params  sphinx.Params
	gateway *directory.Descriptor
	id      []byte // what the gateway knows the client by; fresh for each Client
	conn    *link.Conn

	jobs chan job    // cells to be wrapped
	out  chan []byte // packets to be sent
	book book

	ctx     context.Context // ends when the client is closed or loses its gateway
	cancel  context.CancelCauseFunc
	running sync.WaitGroup
}

// Errors that a caller may want to tell apart.
var (
	ErrClosed    = errors.New("client: closed")
	ErrGateway   = errors.New("client: the connection to the gateway is lost")
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
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	view, err := cfg.Directory.Fetch(ctx)
	if err != nil {
		return nil, err
	}
	c := &Client{
		cfg:    cfg,
		view:   view,
		params: view.Params,
		jobs:   make(chan job),
		out:    make(chan []byte, window),
		book:   book{expected: make(map[sphinx.MessageID]*expectation)},
	}
	switch {
	case cfg.Hops < MinHops || cfg.Hops > view.Params.MaxHops:
		return nil, fmt.Errorf("client: %d hops: this network's paths have %d to %d", cfg.Hops, MinHops, view.Params.MaxHops)
	case len(view.Nodes) <= cfg.Hops:
		return nil, fmt.Errorf("%w: paths of %d take %d mixes, and it has %d", ErrNetwork, cfg.Hops, cfg.Hops+1, len(view.Nodes))
	}
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.start(c.read)
	c.start(c.write)
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

// Params returns the network's parameters.
func (c *Client) Params() sphinx.Params { return c.params }

// connect tries mixes in random order until one takes the client, and subscribes to its mailbox there.
func (c *Client) connect(ctx context.Context) error {
	nodes := c.view.Nodes
	var failed error
	for _, i := range shuffled(len(nodes)) {
		conn, err := c.dial(ctx, nodes[i])
		if err != nil {
			failed = err
			continue
		}
		var secret link.MailboxSecret
		rand.Read(secret[:])
		frame := make([]byte, c.params.PacketSize())
		copy(frame, secret[:])
		if err := conn.WriteFrame(link.Subscribe, 0, frame); err == nil {
			err = conn.Flush()
		}
		if err != nil {
			conn.Close()
			failed = err
			continue
		}
		c.conn, c.gateway, c.id = conn, nodes[i], secret.ClientID()
		return nil
	}
	return fmt.Errorf("client: none of %d mixes can be reached; the last said: %w", len(nodes), failed)
}

func (c *Client) dial(ctx context.Context, to *directory.Descriptor) (*link.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := c.cfg.Dial(ctx, to.Address)
	if err != nil {
		return nil, err
	}
	return link.Dial(ctx, conn, to.Identity, link.Config{FrameSize: c.params.PacketSize(), Log: c.cfg.Log})
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
			c.book.arrive(id, frame[sphinx.MessageIDSize:][:c.params.PayloadSize])
		}
	}
}

// keepAlive is how often an idle link carries padding, so that the gateway does not give it up.
const keepAlive = time.Minute

// write sends packets to the gateway.
func (c *Client) write() error {
	padding := make([]byte, c.params.PacketSize())
	idle := time.NewTicker(keepAlive)
	defer idle.Stop()
	for {
		var err error
		select {
		case packet := <-c.out:
			err = c.conn.WriteFrame(link.Packet, byte(c.gateway.Keys[0].Epoch), packet)
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
