// Package node is the reference mix: it takes packets from links, opens them, holds them back in a batch, and sends
// them on in an order that tells nothing.
package node

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/keyring"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/mix"
	"sphinxmix.example/sphinx"
	"sphinxmix.example/tao"
)

// Handler is what happens to a payload at its last hop.
type Handler interface {
	// Handle takes one message, which belongs to the handler until it returns. A node calls a handler for one message after
	// the other; meanwhile the others of its messages wait, and those beyond a limit are dropped. An error is counted and
	// goes nowhere else. ctx ends with the node.
	//
	// Packets given to send go out with a later batch, to the hop that their first address names; they are copied. send may
	// be called by any goroutine, also after Handle has returned, until ctx ends; then it does nothing. It waits while the
	// node is busy. It drops packets that have not the size of the network's, and those that are more than the batch has room
	// for of whom they are sent for: the one who handed in the message.
	Handle(ctx context.Context, message []byte, send func(first sphinx.Address, packet []byte)) error
}

// Config is what a node needs. A zero field means its documented default.
type Config struct {
	Identity  ed25519.PrivateKey // what the node is known by; required
	Network   directory.Network  // as the directory publishes it; required
	Directory *directory.Client  // where the node registers and finds its peers; required

	// Listener is where peers and clients connect. It is required, and closed when Run returns.
	Listener net.Listener
	// Address is what others dial to reach Listener; its own address if empty.
	Address string
	// Dial connects to a peer's address; TCP if nil.
	Dial func(ctx context.Context, address string) (net.Conn, error)

	// Handlers are the services at this hop by the destination that names them; none if nil.
	Handlers map[string]Handler

	// Weight says how many paths the node can take, relative to other nodes: clients choose it that much more often than one
	// of weight 1. 1 to directory.MaxWeight; directory.DefaultWeight if zero.
	Weight int
	// NoClients keeps the node from being a gateway: it hangs up on whoever does not prove an identity, and its descriptor
	// does not list link.GatewayService.
	NoClients bool

	Mix   mix.Config // when packets leave, and in which order; package mix has the defaults
	Cover Cover      // traffic of the node's own; none if zero

	// KeyDir is a folder of the node's own where its epoch keys outlive it, each with its replay set. If empty they die
	// with the process, which gives less to who seizes the machine, and costs the packets under way at a restart.
	KeyDir  string
	MaxTags int // packets that one epoch's key opens; 4,194,304 if zero, at up to 80 bytes of memory each

	// Prover makes the node's evidence, for networks whose policy wants some; such a node needs Directory.Policy. It is asked
	// each time that the node registers, by a goroutine that nothing else waits for, and Run does not end before it has
	// answered. If nil the node shows no evidence.
	Prover *tao.Prover

	MaxLinks           int           // connections from mixes, and as many from others; link's default if zero
	MaxLinksPerAddress int           // of the others from one address; link's default if zero
	Refresh            time.Duration // how often the network view is fetched; 10 s, or a quarter of an epoch if that is less, if zero
	Lifetime           time.Duration // how long a registration is good for; 1 h if zero

	Version string       // of the program, for operators
	Random  io.Reader    // for keys and shuffles; crypto/rand if nil
	Log     *slog.Logger // discards if nil
}

func (c Config) withDefaults() (Config, error) {
	switch {
	case len(c.Identity) != ed25519.PrivateKeySize:
		return c, errors.New("node: Config.Identity is not an Ed25519 private key")
	case c.Listener == nil:
		return c, errors.New("node: Config.Listener is missing")
	case c.Directory == nil:
		return c, errors.New("node: Config.Directory is missing")
	}
	for _, field := range []struct {
		name  string
		value int64
	}{
		{"MaxTags", int64(c.MaxTags)},
		{"MaxLinks", int64(c.MaxLinks)},
		{"MaxLinksPerAddress", int64(c.MaxLinksPerAddress)},
		{"Refresh", int64(c.Refresh)},
		{"Lifetime", int64(c.Lifetime)},
	} {
		if field.value < 0 {
			return c, fmt.Errorf("node: Config.%s is negative", field.name)
		}
	}
	for name, handler := range c.Handlers {
		if handler == nil {
			return c, fmt.Errorf("node: Config.Handlers has none for %q", name)
		}
	}
	for reserved, of := range map[string]string{
		link.DropService: "cover traffic", loopService: "cover traffic", link.GatewayService: "what gateways do",
	} {
		if c.Handlers[reserved] != nil {
			return c, fmt.Errorf("node: Config.Handlers has %q, which is the name of %s", reserved, of)
		}
	}
	if c.Weight < 0 || c.Weight > directory.MaxWeight {
		return c, fmt.Errorf("node: Config.Weight is %d, must be 1 to %d", c.Weight, directory.MaxWeight)
	}
	if err := c.Network.Validate(); err != nil {
		return c, err
	}
	if err := c.Cover.validate(c.Network); err != nil {
		return c, err
	}
	if c.Mix.Strategy == "poisson" && c.Network.MeanDelay == 0 {
		return c, errors.New("node: Config.Mix is a Poisson mix, in a network whose packets ask for no delay: nothing would be mixed")
	}
	if c.Address == "" {
		c.Address = c.Listener.Addr().String()
	}
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Mix.Rand == nil {
		c.Mix.Rand = c.Random
	}
	c.Mix = c.mixing()
	if c.Prover != nil {
		if err := c.provable(); err != nil {
			return c, err
		}
	}
	c.Weight = cmp.Or(c.Weight, directory.DefaultWeight)
	c.MaxTags = cmp.Or(c.MaxTags, 1<<22)
	c.Refresh = cmp.Or(c.Refresh, min(10*time.Second, c.Network.Epoch/4))
	c.Lifetime = cmp.Or(c.Lifetime, time.Hour)
	if c.Lifetime < time.Second || c.Lifetime > directory.MaxDescriptorLifetime {
		return c, fmt.Errorf("node: Config.Lifetime is %v, must be 1 s to %v", c.Lifetime, directory.MaxDescriptorLifetime)
	}
	return c, nil
}

// Node is one mix. Make it with New and start it with Run.
type Node struct {
	cfg     *Config // not in it, as package fmt looks into fields without asking Format
	id      directory.NodeID
	started time.Time
	ring    *keyring.Ring
	keys    atomic.Pointer[keys] // those of the ring, as the pipeline uses them

	view        atomic.Pointer[known] // the newest; View says whether it is still good
	viewChanged chan struct{}         // holds one when the mixing goroutine has not looked at it
	viewed      chan struct{}         // closed with the first view
	seen        chan struct{}         // holds one when enlist has not looked at what the directory said last
	ask         chan struct{}         // holds one when follow is to ask the directory at once
	keysChanged chan struct{}         // holds one when the directory has not been told
	version     uint64                // of the last descriptor; belongs to enlist, and to Drain after it
	attested    atomic.Pointer[AttestationStats]
	served      atomic.Bool // it has been in the network
	leaving     atomic.Bool
	leave, left chan struct{} // closed when the node is to be registered no more, and when it will not be

	maxHeld  int                   // packets in the batch
	strategy mix.Strategy[*packet] // belongs to the mixing goroutine
	inbound  chan *packet          // as they came
	opened   chan *packet          // unwrapped, not yet mixed
	services map[string]service    // by destination
	free     sync.Pool             // of *packet
	live     atomic.Int64          // packets that are not in free
	senders  senders
	boxes    mailboxes
	loops    loops
	others   coverLots               // belongs to the goroutine of cover
	peers    atomic.Pointer[[]*peer] // for Stats alone

	counts  counters
	history history
}

// The lengths of a node's queues, in packets. inbound and opened only slow the links that fill them; what comes out of a
// batch comes at once, and what then finds its queue full is dropped.
const (
	inboundQueue = 256
	openedQueue  = 2048 // what comes meanwhile goes on being opened while a batch's tags are written to disk
	outQueue     = 1 << 14
	clientQueue  = 1024 // twice what a client waits for at once
	maxUnwrap    = 64   // packets in one UnwrapBatch

	// maxMemory is the size in bytes of all packets in the node, wherever they wait. Those in the batch may take half of it,
	// and be no more than mostHeld.
	maxMemory = 256 << 20
	mostHeld  = 1 << 15
)

// New returns a node, with the keys that Config.KeyDir keeps or new ones.
func New(cfg Config) (*Node, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	n := &Node{
		cfg:     &cfg,
		id:      directory.NodeIDOf(cfg.Identity.Public().(ed25519.PublicKey)),
		started: now,
		inbound: make(chan *packet, inboundQueue),
		opened:  make(chan *packet, openedQueue),
		maxHeld: min(mostHeld, maxMemory/2/cfg.Network.PacketSize()),
		boxes:   newMailboxes(cfg.Network.Epoch),
		loops:   loops{pending: make(map[loopID]time.Time)},

		viewChanged: make(chan struct{}, 1),
		viewed:      make(chan struct{}),
		seen:        make(chan struct{}, 1),
		ask:         make(chan struct{}, 1),
		keysChanged: make(chan struct{}, 1),
		leave:       make(chan struct{}),
		left:        make(chan struct{}),
	}
	n.senders = senders{known: make(map[string]*sender), share: n.maxHeld / 4} // what one sender has here that is no mix
	n.services = make(map[string]service, len(cfg.Handlers))
	for name, handler := range cfg.Handlers {
		n.services[name] = service{handler, make(chan *packet, outQueue)}
	}
	if cfg.Prover != nil {
		n.attested.Store(&AttestationStats{Kind: cfg.Prover.Kind().String(), LogUsed: cfg.Prover.Room()})
	}
	n.free.New = func() any { return &packet{bytes: make([]byte, cfg.Network.PacketSize())} }
	if n.strategy, err = mix.New[*packet](cfg.Mix); err != nil {
		return nil, fmt.Errorf("node: Config.Mix: %w", err)
	}
	n.ring, err = keyring.Open(keyring.Config{
		Length: cfg.Network.Epoch, Dir: cfg.KeyDir, MaxTags: cfg.MaxTags, Random: cfg.Random, Log: cfg.Log,
	}, now)
	if err != nil {
		return nil, err
	}
	if err := n.useKeys(); err != nil {
		n.ring.Close()
		return nil, err
	}
	// What the directory would not take is better said now than found in a log.
	if _, err := n.sign(n.descriptor(), now); err != nil {
		n.ring.Close()
		return nil, fmt.Errorf("node: Config.Address or Config.Handlers: %w", err)
	}
	return n, nil
}

// Format prints the node's name and nothing of its keys, whatever the verb.
func (n *Node) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "node.Node(%s)", n.id) }

// ID returns the name of the node in routing blocks.
func (n *Node) ID() directory.NodeID { return n.id }

// Run serves until parent ends, which is the one way to stop it without an error, and returns once every goroutine of the
// node has ended. It erases the mix keys from memory. A node runs once.
func (n *Node) Run(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	defer n.closeKeys()
	var running sync.WaitGroup
	start := func(name string, part func(context.Context) error) {
		running.Go(func() {
			if err := part(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("node: %s: %w", name, err))
			}
		})
	}
	start("links", n.serveLinks)
	start("keys", n.rotate)
	for worker := range workers {
		start("unwrapping", func(ctx context.Context) error { return n.unwrap(ctx, worker) })
	}
	start("mixing", n.mix)
	for name, s := range n.services {
		start("service "+name, func(ctx context.Context) error { return n.serve(ctx, s) })
	}
	start("mailboxes", n.keepMailboxes)
	start("directory", n.follow)
	start("registration", n.enlist)
	start("cover", n.cover)
	<-ctx.Done()
	running.Wait()
	if parent.Err() != nil {
		return nil
	}
	return context.Cause(ctx)
}

// serveLinks takes connections until ctx ends. Those who come before the first view wait: of their packets, none could be
// sent on.
func (n *Node) serveLinks(ctx context.Context) error {
	select {
	case <-n.viewed:
	case <-ctx.Done():
	}
	return link.Serve(ctx, n.cfg.Listener, n.linkConfig(), n.receive)
}

func (n *Node) linkConfig() link.Config {
	return link.Config{
		Key:                n.cfg.Identity,
		FrameSize:          n.cfg.Network.PacketSize(),
		MaxConns:           n.cfg.MaxLinks,
		MaxConnsPerAddress: n.cfg.MaxLinksPerAddress,
		Known:              n.lists,
		Log:                n.cfg.Log,
	}
}
