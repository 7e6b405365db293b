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
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/mix"
	"sphinxmix.example/node/replay"
	"sphinxmix.example/sphinx"
)

// Handler is what happens to a payload at its last hop.
type Handler interface {
	// Handle takes one message, which belongs to the handler until it returns. A node calls all its handlers one after the
	// other, so none may wait for long. Packets given to send go out with a later batch, to the hop that their first
	// address names. An error is counted and goes nowhere else.
	Handle(ctx context.Context, message []byte, send func(first sphinx.Address, packet []byte)) error
}

// Config is what a node needs. A zero field means its documented default.
type Config struct {
	Identity  ed25519.PrivateKey // what the node is known by; required
	Params    sphinx.Params      // the network's; required
	Directory *directory.Client  // where the node registers and finds its peers; required

	// Listener is where peers and clients connect. It is required, and closed when Run returns.
	Listener net.Listener
	// Address is what others dial to reach Listener; its own address if empty.
	Address string
	// Dial connects to a peer's address; TCP if nil.
	Dial func(ctx context.Context, address string) (net.Conn, error)

	// Handlers are the services at this hop by the destination that names them; none if nil.
	Handlers map[string]Handler

	BatchSize     int           // distinct senders that release a batch; 8 if zero
	BatchDeadline time.Duration // how long a packet waits for a batch at most; 1 s if zero
	MaxTags       int           // packets that the key may open in its life; 4,194,304 if zero

	MaxLinksPerAddress int           // connections from one address; link's default if zero
	Refresh            time.Duration // how often the network view is fetched; 10 s if zero
	Lifetime           time.Duration // how long a registration is good for; 1 h if zero

	Random io.Reader    // for keys and shuffles; crypto/rand if nil
	Log    *slog.Logger // discards if nil
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
		{"BatchSize", int64(c.BatchSize)},
		{"BatchDeadline", int64(c.BatchDeadline)},
		{"MaxTags", int64(c.MaxTags)},
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
	if err := c.Params.Validate(); err != nil {
		return c, err
	}
	if c.Params.Schedule != sphinx.BoundSchedule {
		return c, directory.ErrInsecureSchedule
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
	c.BatchSize = cmp.Or(c.BatchSize, 8)
	c.BatchDeadline = cmp.Or(c.BatchDeadline, time.Second)
	c.MaxTags = cmp.Or(c.MaxTags, 1<<22)
	c.Refresh = cmp.Or(c.Refresh, 10*time.Second)
	c.Lifetime = cmp.Or(c.Lifetime, time.Hour)
	if c.Lifetime < time.Second || c.Lifetime > directory.MaxDescriptorLifetime {
		return c, fmt.Errorf("node: Config.Lifetime is %v, must be 1 s to %v", c.Lifetime, directory.MaxDescriptorLifetime)
	}
	return c, nil
}

// Node is one mix. Make it with New and start it with Run.
type Node struct {
	cfg   Config
	id    directory.NodeID
	key   *sphinx.PrivateKey // lives and dies with the process, as does the replay set
	tags  *replay.Set
	batch *mix.Threshold[*packet]

	view        atomic.Pointer[directory.View] // the newest; View says whether it is still good
	viewChanged chan struct{}                  // holds one when the mixing goroutine has not looked at it

	inbound chan *packet // as they came
	opened  chan *packet // unwrapped, not yet mixed
	exits   chan *packet // for a service of this node
	free    sync.Pool    // of *packet
	live    atomic.Int64 // packets that are not in free
	boxes   mailboxes
	counts  counters
}

// The lengths of a node's queues, in packets. inbound and opened are short, since a full one only slows the links that
// fill it; what comes out of a batch comes at once, and what then finds its queue full is dropped. The batch holds no
// more of one sender than fits in a queue beside the others, so that a flood harms only who sends it.
const (
	inboundQueue = 256
	openedQueue  = 256
	outQueue     = 1 << 14
	clientQueue  = 1024 // twice what a client waits for at once
	maxHeld      = 1 << 14
	senderShare  = maxHeld / 4
	maxUnwrap    = 64 // packets in one UnwrapBatch

	// maxMemory is the size in bytes of all packets in the node, wherever they wait.
	maxMemory = 256 << 20
)

// New returns a node with a fresh mix key.
func New(cfg Config) (*Node, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	key, err := sphinx.GenerateKey(cfg.Random)
	if err != nil {
		return nil, err
	}
	batch, err := mix.NewThreshold[*packet](mix.ThresholdConfig{Size: cfg.BatchSize, Deadline: cfg.BatchDeadline, Rand: cfg.Random})
	if err != nil {
		return nil, err
	}
	n := &Node{
		cfg:     cfg,
		id:      directory.NodeIDOf(cfg.Identity.Public().(ed25519.PublicKey)),
		key:     key,
		tags:    replay.NewSet(cfg.MaxTags),
		batch:   batch,
		inbound: make(chan *packet, inboundQueue),
		opened:  make(chan *packet, openedQueue),
		exits:   make(chan *packet, outQueue),
		boxes:   mailboxes{open: make(map[string]chan *packet)},

		viewChanged: make(chan struct{}, 1),
	}
	// What the directory would not take is better said now than found in a log.
	if _, err := n.descriptor(time.Now()); err != nil {
		return nil, fmt.Errorf("node: Config.Address or Config.Handlers: %w", err)
	}
	n.free.New = func() any { return &packet{bytes: make([]byte, cfg.Params.PacketSize())} }
	return n, nil
}

// Format prints the node's name and nothing of its keys, whatever the verb.
func (n *Node) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "node.Node(%s)", n.id) }

// ID returns the name of the node in routing blocks.
func (n *Node) ID() directory.NodeID { return n.id }

// View returns the network as the node last saw it, or nil where it has not seen it yet or what it saw has expired.
func (n *Node) View() *directory.View {
	if view := n.view.Load(); view != nil && time.Now().Before(view.Expires) {
		return view
	}
	return nil
}

// Run serves until parent ends, which is the one way to stop it without an error, and returns once every goroutine of the
// node has ended. It erases the mix key. A node runs once.
func (n *Node) Run(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	defer n.key.Wipe()
	var running sync.WaitGroup
	start := func(name string, part func(context.Context) error) {
		running.Go(func() {
			if err := part(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("node: %s: %w", name, err))
			}
		})
	}
	start("links", n.serveLinks)
	for range runtime.GOMAXPROCS(0) {
		start("unwrapping", n.unwrap)
	}
	start("mixing", n.mix)
	start("services", n.serveExits)
	start("directory", n.follow)
	<-ctx.Done()
	running.Wait()
	if parent.Err() != nil {
		return nil
	}
	return context.Cause(ctx)
}

// serveLinks takes connections until ctx ends.
func (n *Node) serveLinks(ctx context.Context) error {
	return link.Serve(ctx, n.cfg.Listener, n.linkConfig(), n.receive)
}

// lists reports whether key is the identity of a mix in the view.
func (n *Node) lists(key ed25519.PublicKey) bool {
	view := n.View()
	if view == nil || key == nil {
		return false
	}
	_, listed := view.Node(directory.NodeIDOf(key))
	return listed
}

func (n *Node) linkConfig() link.Config {
	return link.Config{
		Key:                n.cfg.Identity,
		FrameSize:          n.cfg.Params.PacketSize(),
		MaxConnsPerAddress: n.cfg.MaxLinksPerAddress,
		Known:              n.lists,
		Log:                n.cfg.Log,
	}
}
