// Package nodetest runs a whole mix network in memory: a directory, mixes that offer the echo service, and the links
// between them, each of which a test can watch, spoil or cut.
//
// It is for tests in a bubble of testing/synctest. There a network of any latency costs no more than its computations,
// what happens has an exact time, and a test fails that leaves a goroutine behind. Everything ends with the test.
//
//	synctest.Test(t, func(t *testing.T) {
//		network := nodetest.Start(t, nodetest.Config{})
//		alice := network.Client("alice")
//		reply, err := alice.Request(t.Context(), client.Message{To: "echo", Body: []byte("hello")})
//	})
//
// Where Config.Attested is set, the mixes show evidence and all go by a policy, which Network.Publish changes. Network.Lie makes
// the directory one that goes by none.
//
// Whoever connects has a name, which stands in for an address: mixes tell two clients apart by it. The mixes are called
// mix0, mix1 and so on. Connections are those of net.Pipe: a write lasts until the other end has read it.
package nodetest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/client/exit"
	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/mix"
	"sphinxmix.example/sphinx"
)

// What differs from a node's own defaults unless Config.Node says otherwise: lone clients get on without a wait that
// would make their clocks, or their patience, the subject of a test.
const (
	BatchDeadline = 30 * time.Millisecond
	Refresh       = 10 * time.Second
)

// FirstEpoch is the epoch, mod 256, in which a bubble of testing/synctest begins, in 2000, with the default Network. It
// lasts for five days from then on.
const FirstEpoch = 1565 % 256

const directoryAddress = "directory:80"

// Config says what a network is like. A zero field means its default.
type Config struct {
	Mixes    int                           // 5 if zero
	Attested bool                          // has an Authority, and goes by its policy
	Papers   func(i int, p *Papers)        // changes what mix i shows of itself in an attested network, each time before it starts
	Network  directory.Network             // 5 hops, a payload of 1024 bytes and epochs of 7 days if zero
	Node     func(i int, cfg *node.Config) // changes the configuration of mix i, each time before it starts
	Client   func(cfg *client.Config)      // changes that of clients
	Views    func(*directory.ServerConfig) // changes the directory's
	Tap      Tap                           // sees the frames on all links; see Tap
	Ended    func(i int, err error)        // is told that mix i ended by itself; fails the test if nil
}

// Network is a running network.
type Network struct {
	directory.Network
	Mixes     []*Mix
	Authority *Authority // nil unless the network is attested

	t         testing.TB
	cfg       Config
	key       ed25519.PrivateKey // the directory's
	server    *directory.Server
	liar      *liar        // between the server and all others; nil where it is honest
	directory *http.Server // while it runs
	running   sync.WaitGroup

	mu        sync.Mutex
	listeners map[string]*listener // by address; guarded by mu
	open      map[*pipe]struct{}   // ends of open connections; guarded by mu
	written   map[wire]int         // bytes; guarded by mu
}

// Mix is one mix of a network: the identity that stays, and the node that runs, or ran last, under it.
type Mix struct {
	*node.Node
	Name     string // by which other mixes know its connections
	Address  string // where it listens; may be changed while it is stopped
	Identity ed25519.PrivateKey
	Key      *sphinx.PrivateKey // a copy of the mix key of the epoch in which it was started, new at each start
	Epoch    byte               // of that key, mod 256

	rogue       bool
	attestation ed25519.PrivateKey // the key of its attestor

	cancel  context.CancelFunc
	running sync.WaitGroup
}

// Start starts a network and waits until its mixes know each other. It ends with the test.
func Start(t testing.TB, cfg Config) *Network {
	t.Helper()
	cfg.Mixes = cmp.Or(cfg.Mixes, 5)
	cfg.Network.Params = cmp.Or(cfg.Network.Params, sphinx.Params{MaxHops: 5, PayloadSize: 1024})
	cfg.Network.Epoch = cmp.Or(cfg.Network.Epoch, directory.MaxEpoch)
	_, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	n := &Network{
		Network:   cfg.Network,
		t:         t,
		cfg:       cfg,
		key:       private,
		listeners: make(map[string]*listener),
		open:      make(map[*pipe]struct{}),
		written:   make(map[wire]int),
	}
	t.Cleanup(n.close)
	for i := range cfg.Mixes {
		n.Mixes = append(n.Mixes, n.newMix(i))
	}
	if cfg.Attested {
		n.Authority = n.newAuthority()
	}
	n.ForgetNodes()
	n.StartDirectory()
	for i := range cfg.Mixes {
		n.start(i)
	}
	n.Settle()
	return n
}

func (n *Network) newMix(i int) *Mix {
	_, identity, err := ed25519.GenerateKey(nil)
	require.NoError(n.t, err)
	_, attestation, err := ed25519.GenerateKey(nil)
	require.NoError(n.t, err)
	name := fmt.Sprintf("mix%d", i)
	return &Mix{Name: name, Address: name + ":4000", Identity: identity, attestation: attestation}
}

// close ends everything, and what a test has connected to it.
func (n *Network) close() {
	for _, m := range n.Mixes {
		m.halt()
	}
	if n.directory != nil {
		n.StopDirectory()
	}
	n.mu.Lock()
	for end := range n.open {
		end.Conn.Close()
	}
	n.mu.Unlock()
	n.running.Wait()
}

// Start starts mix i after a Stop, with a new mix key, and waits until all mixes know of it.
func (n *Network) Start(i int) {
	n.t.Helper()
	n.start(i)
	n.Settle()
}

// StartKept starts mix i after a Stop with the mix keys that its Config.KeyDir has kept: Mix.Key stays.
func (n *Network) StartKept(i int) {
	n.t.Helper()
	key := n.Mixes[i].Key
	n.start(i)
	n.Mixes[i].Key = key
	n.Settle()
}

func (n *Network) start(i int) {
	n.t.Helper()
	m := n.Mixes[i]
	raw := make([]byte, sphinx.KeySize)
	rand.Read(raw)
	cfg := n.configuration(i, n.listen(m.Address, m.Identity, m.Name), raw)
	var err error
	if n.Authority != nil {
		cfg.Prover = n.prover(i)
	}
	m.Key, err = sphinx.NewPrivateKey(raw)
	m.Epoch = byte(n.EpochAt(time.Now()))
	require.NoError(n.t, err)
	m.Node, err = node.New(cfg)
	require.NoError(n.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	m.running.Go(func() {
		switch err := m.Run(ctx); {
		case err == nil:
		case n.cfg.Ended != nil:
			n.cfg.Ended(i, err)
		default:
			n.t.Errorf("%s ended: %v", m.Name, err)
		}
	})
}

// configuration returns that of mix i, which takes the current epoch's key from raw.
func (n *Network) configuration(i int, at net.Listener, raw []byte) node.Config {
	m := n.Mixes[i]
	cfg := node.Config{
		Identity:  m.Identity,
		Network:   n.Network,
		Directory: n.Directory(),
		Listener:  at,
		Dial:      n.dialer(m.Name, m.Identity),
		Handlers:  map[string]node.Handler{"echo": exit.NewEcho(n.Params)},
		Refresh:   Refresh,
		Random:    io.MultiReader(bytes.NewReader(raw), rand.Reader), // that key is what is drawn first
	}
	if n.cfg.Node != nil {
		n.cfg.Node(i, &cfg)
	}
	if cfg.Mix == (mix.Config{}) {
		cfg.Mix.Interval = BatchDeadline
	}
	return cfg
}

// Stop ends mix i and returns when its Run has. The directory goes on listing it.
func (n *Network) Stop(i int) { n.Mixes[i].halt() }

func (m *Mix) halt() {
	if m.cancel != nil {
		m.cancel()
		m.running.Wait()
		m.cancel = nil
	}
}

// Hop is the mix as a hop of a path.
func (m *Mix) Hop() sphinx.Hop {
	return sphinx.Hop{Address: directory.Route{Node: m.ID(), Epoch: m.Epoch}.Address(), Key: m.Key.Public()}
}

// Settle waits until each running mix knows all running mixes as they are now, and all that are no rogues.
func (n *Network) Settle() {
	n.t.Helper()
	for deadline := time.Now().Add(time.Hour); !n.settled(); time.Sleep(Refresh / 10) {
		require.True(n.t, time.Now().Before(deadline), "the mixes do not get to know each other")
	}
}

func (n *Network) settled() bool {
	for _, knows := range n.Mixes {
		if knows.cancel == nil || knows.rogue {
			continue
		}
		view := knows.View()
		if view == nil {
			return false
		}
		for _, m := range n.Mixes {
			d, listed := view.Node(m.ID())
			if m.cancel != nil && !m.rogue && (!listed || d.Address != m.Address || !lists(d, m.Key.Public())) {
				return false
			}
		}
	}
	return true
}

// lists reports whether d has that key, in whatever epoch.
func lists(d *directory.Descriptor, key sphinx.PublicKey) bool {
	return slices.ContainsFunc(d.Keys, func(k directory.EpochKey) bool { return k.Key == key })
}

// Client connects a client from the host of that name. It is closed with the test, if not before.
func (n *Network) Client(host string) *client.Client {
	n.t.Helper()
	cfg := client.Config{Directory: n.Directory(), Dial: n.Dialer(host)}
	if n.cfg.Client != nil {
		n.cfg.Client(&cfg)
	}
	c, err := client.New(n.t.Context(), cfg)
	require.NoError(n.t, err)
	n.t.Cleanup(c.Close)
	return c
}

// Link links the host of that name to mix i, anonymously where key is nil. It is closed with the test, if not before.
func (n *Network) Link(host string, key ed25519.PrivateKey, i int) *link.Conn {
	n.t.Helper()
	m := n.Mixes[i]
	conn, err := n.dialer(host, key)(n.t.Context(), m.Address)
	require.NoError(n.t, err)
	c, err := link.Dial(n.t.Context(), conn, m.Identity.Public().(ed25519.PublicKey), link.Config{Key: key, FrameSize: n.Params.PacketSize()})
	require.NoError(n.t, err)
	return c
}

// Counts adds up what all mixes have counted, those that are stopped too.
func (n *Network) Counts() node.Counts {
	sum := node.Counts{Dropped: make(map[node.Drop]uint64)}
	for _, m := range n.Mixes {
		sum.Add(m.Counts())
	}
	return sum
}
