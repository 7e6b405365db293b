// Package client takes connections of programs, and messages with their replies, through a mix network.
//
// [New] learns the network from its directory and connects to a mix that becomes the client's gateway. [Client.Dial] connects
// to a host by an exit; [Client.Request] sends one message to a service at some last hop and returns the service's reply, and
// [Client.Send] sends one that nobody answers. Every packet takes a fresh random path through at least three mixes, no mix
// twice, and so does every reply, by a SURB that the client has sent along.
//
// Connections are what most programs want: [Client.Dial] has the signature that socks5.Server wants of its Dial, and with
// that makes a proxy. Its isolation keeps apart what must not be linked: connections share a session at an exit only where
// theirs is equal. "" is one like any other: all that have it may share.
//
// A client lives until it is closed. It follows the network through its key epochs, and asks mixes for delays where its
// network wants them. When its link to the gateway breaks it goes back to the same one, which has kept the replies that
// came meanwhile, for a minute; or else it finds another, and sends again what was under way. While no gateway takes it,
// requests wait.
//
// Where Config.Directory has the key of a network's policy, no packet is made for a mix whose evidence does not satisfy the newest
// policy at that second: the client judges each by itself, and takes neither the directory's word for it nor that of other
// mixes. A gateway that is not trusted any more is left at once, with the replies that are still to come by it.
//
// What the gateway, and who watches the link to it, sees: when the client is connected, and how much it sends. [Cover]
// hides whether it sends at all, and [Pace] how much too. Whoever can cut a client off from gateways of their choice
// chooses the gateway that is left, so a client goes back to its gateway before it tries another.
package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"sphinxmix.example/node/directory"
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

	// Via is the path of all messages, from the gateway to the last hop, for those who want to know whether these very mixes
	// work: at least MinHops listed mixes, none of them twice. Replies take random paths of Hops mixes to that gateway.
	// Whoever fixes a path gives up what random ones hide. If empty, paths are random.
	Via []directory.NodeID

	// Cover is the traffic that the client makes of its own, beside all other; none if zero.
	Cover Cover

	// Pace fixes when packets leave, with cover where there are no others; they leave at once if zero. It excludes Cover.
	Pace Pace

	// Routed is told the two paths of the first cell of each stream, each time that this one is sent, by the address that
	// Dial was given. It may be nil, and is called by goroutines of the client's.
	Routed func(address string, out, back []directory.NodeID)
}

// Client sends messages through a network. It is safe for concurrent use. Make it with New and Close it.
type Client struct{ *state }

// state is apart from Client because package fmt does not call Format for fields that are not exported, and there follows
// one pointer, but no second one.
type state struct {
	cfg    Config
	params sphinx.Params
	known  known
	access access

	jobs    chan job      // cells to be wrapped, by whoever has a gateway
	news    chan struct{} // holds one while the directory is to be asked at once
	book    book
	tunnels tunnels
	secret  [sha256.Size]byte // of which each isolation has its decoys; never changed
	decoys  *decoys           // of requests and single messages
	trips   trips             // of cells and their answers
	loops   trips             // of loops
	covers  coverCounts

	ctx     context.Context // ends when the client is closed
	cancel  context.CancelCauseFunc
	running sync.WaitGroup
}

// Errors that a caller may want to tell apart.
var (
	ErrClosed    = errors.New("client: closed")
	ErrGateway   = errors.New("client: no gateway takes this client")
	ErrView      = errors.New("client: the view of the network has expired")
	ErrNetwork   = errors.New("client: the network is too small")
	ErrNoService = errors.New("client: no mix offers this service") // the gateway aside
	ErrTooLong   = errors.New("client: message is too long")
)

// Format prints nothing of what the client knows, whatever the verb.
func (c *Client) Format(f fmt.State, _ rune) { io.WriteString(f, "client.Client") }

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
	cfg.Via = slices.Clone(cfg.Via)
	view, err := cfg.Directory.Fetch(ctx)
	if err != nil {
		return nil, err
	}
	if err := cfg.check(view); err != nil {
		return nil, err
	}
	c := &Client{&state{
		cfg:     cfg,
		params:  view.Params,
		known:   known{newest: view, widest: view},
		jobs:    make(chan job),
		news:    make(chan struct{}, 1),
		book:    book{expected: make(map[sphinx.MessageID]*expectation)},
		tunnels: tunnels{most: mostTunnels, all: make(map[string][]*tunnel)},
		trips:   trips{delays: delaysOf(2*cfg.Hops+1, view.MeanDelay)},
		loops:   trips{delays: delaysOf(loopHops(cfg.Hops, view.MaxHops), view.MeanDelay)},
	}}
	rand.Read(c.secret[:])
	c.decoys = newDecoys(c.secret, "messages")
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	first, err := c.firstSession(ctx)
	if err != nil {
		c.cancel(err)
		return nil, err
	}
	c.access.set(first, nil)
	c.running.Go(func() { c.stay(first) })
	c.running.Go(c.follow)
	return c, nil
}

// check says what keeps a client of this configuration out of a network.
func (cfg *Config) check(view *directory.View) error {
	switch {
	case cfg.Hops < MinHops || cfg.Hops > view.MaxHops:
		return fmt.Errorf("client: %d hops: this network's paths have %d to %d", cfg.Hops, MinHops, view.MaxHops)
	case len(view.Nodes) <= cfg.Hops && len(view.Refused) > 0:
		return fmt.Errorf("%w; the policy refuses %d more, the first since: %w", tooSmall(len(view.Nodes), cfg.Hops), len(view.Refused), view.Refused[0].Err)
	case len(view.Nodes) <= cfg.Hops:
		return tooSmall(len(view.Nodes), cfg.Hops)
	}
	if err := cfg.checkVia(view); err != nil {
		return err
	}
	if err := cfg.Pace.check(cfg.Cover, loopHops(cfg.Hops, view.MaxHops)); err != nil {
		return err
	}
	return cfg.Cover.check(loopHops(cfg.Hops, view.MaxHops))
}

func (cfg *Config) checkVia(view *directory.View) error {
	if len(cfg.Via) == 0 {
		return nil
	}
	if len(cfg.Via) < MinHops || len(cfg.Via) > view.MaxHops {
		return fmt.Errorf("client: Config.Via has %d mixes: this network's paths have %d to %d", len(cfg.Via), MinHops, view.MaxHops)
	}
	for i, id := range cfg.Via {
		if slices.Contains(cfg.Via[:i], id) {
			return fmt.Errorf("client: Config.Via has the mix %s twice", id)
		}
		if _, listed := view.Node(id); !listed {
			return fmt.Errorf("client: the directory does not list the mix %s of Config.Via", id)
		}
	}
	return nil
}

// Close ends the client and every call under way, which return ErrClosed. It waits until all is ended.
func (c *Client) Close() {
	c.tunnels.mu.Lock() // a tunnel that begins has seen that the client is not closed
	c.cancel(ErrClosed)
	c.tunnels.mu.Unlock()
	c.running.Wait()
}

// How often a client asks its directory for a newer view.
const (
	newsInterval = time.Minute     // at least, where epochs are not shorter
	newsAtOnce   = time.Second / 2 // after the first question when something has changed; doubled after each further one
)

// follow keeps what the client knows of the network fresh, until the client is closed. A directory that does not answer
// is asked again: what is known stays good until it expires.
func (c *Client) follow() {
	wait := newsInterval
	for {
		// A view is good for the epoch after the one that it was made in. So whenever the directory goes away, the client can
		// do without it for nearly three quarters of an epoch.
		longest := min(newsInterval, c.known.epoch()/4)
		wait = min(wait, longest)
		select {
		case <-time.After(jittered(wait)):
			wait *= 2
		case <-c.news:
			wait = newsAtOnce
		case <-c.ctx.Done():
			return
		}
		c.learn(max(longest, 10*time.Second))
	}
}

// jittered returns a random time between half of d and d, so that clients to which the same has happened do not all do
// the same at once ever after.
func jittered(d time.Duration) time.Duration {
	return d/2 + time.Duration(directory.Fraction()*float64(d/2))
}

// learn fetches a view.
func (c *Client) learn(patience time.Duration) {
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	view, err := c.cfg.Directory.Fetch(ctx)
	if err != nil || !c.known.adopt(view, time.Now()) {
		return
	}
	if best, err := c.chart(nil); err == nil {
		c.heed(best.view)
	}
	if s, _ := c.access.get(); s != nil {
		_ = c.trusted(s, view, time.Now()) // which ends the session where it is not
	}
}

// hasten has the directory asked at once, and again soon after: it may hear later of what the client has seen already.
func (c *Client) hasten() {
	select {
	case c.news <- struct{}{}:
	default:
	}
}
