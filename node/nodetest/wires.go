package nodetest

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/directory"
)

// Directory returns a client of the network's directory that has asked it nothing yet.
func (n *Network) Directory() *directory.Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return n.connect(ctx, "anyone", address)
		},
		DisableKeepAlives: true,
	}
	c := &directory.Client{URLs: []string{"http://" + directoryAddress}, Key: n.key.Public().(ed25519.PublicKey), HTTP: &http.Client{Transport: transport}}
	if n.Authority != nil {
		c.Policy = n.Authority.Key.Public().(ed25519.PublicKey)
	}
	return c
}

// ForgetNodes empties the directory, as a restart does. It must be stopped, and is still after that.
func (n *Network) ForgetNodes() {
	n.t.Helper()
	cfg := directory.ServerConfig{Key: n.key, Network: n.Network}
	if n.Authority != nil {
		cfg.Policy, cfg.PolicyKey = n.Authority.sign(n.t), n.Authority.Key.Public().(ed25519.PublicKey)
	}
	if n.cfg.Views != nil {
		n.cfg.Views(&cfg)
	}
	var err error
	n.server, err = directory.NewServer(cfg)
	require.NoError(n.t, err)
}

// StopDirectory makes the directory unreachable. It forgets nothing.
func (n *Network) StopDirectory() {
	n.directory.Close()
	n.directory = nil
}

// StartDirectory makes the directory reachable again after StopDirectory.
func (n *Network) StartDirectory() {
	n.directory = &http.Server{Handler: http.HandlerFunc(n.serveDirectory)}
	server, at := n.directory, n.Listen(directoryAddress)
	n.running.Go(func() { _ = server.Serve(at) })
}

// Listen listens at an address, host:port, that Dialer reaches.
func (n *Network) Listen(address string) net.Listener {
	n.t.Helper()
	return n.listen(address, nil, "")
}

// listen does so for a mix of that name, whose identity a tap on its links needs.
func (n *Network) listen(address string, identity ed25519.PrivateKey, name string) *listener {
	n.t.Helper()
	l := &listener{network: n, address: address, identity: identity, name: name, waiting: make(chan net.Conn), closed: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	require.NotContains(n.t, n.listeners, address, "somebody listens there")
	n.listeners[address] = l
	return l
}

// Dialer returns what connects the host of that name, which is no mix, to any address in the network.
func (n *Network) Dialer(host string) func(ctx context.Context, address string) (net.Conn, error) {
	return n.dialer(host, nil)
}

// dialer does so for one who proves key on its links.
func (n *Network) dialer(host string, key ed25519.PrivateKey) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := n.connect(ctx, host, address)
		if err != nil || n.cfg.Tap == nil {
			return conn, err
		}
		n.mu.Lock()
		l := n.listeners[address]
		n.mu.Unlock()
		if l == nil || l.identity == nil {
			return conn, nil
		}
		return n.tap(host, key, l, conn), nil
	}
}

// connect makes a connection to whoever listens.
func (n *Network) connect(ctx context.Context, host, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[address]
	n.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("%s: %w", address, syscall.ECONNREFUSED)
	}
	near, far := n.pipe(host, address)
	var err error
	select {
	case l.waiting <- far:
		return near, nil
	case <-l.closed:
		err = fmt.Errorf("%s: %w", address, syscall.ECONNREFUSED)
	case <-ctx.Done():
		err = ctx.Err()
	}
	near.Close()
	far.Close()
	return nil, err
}

// Cut ends all connections from a host to an address, as a cable would that breaks and is mended.
func (n *Network) Cut(host, address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for end := range n.open {
		if end.host == host && end.address == address {
			end.Conn.Close()
		}
	}
}

// Written returns how many bytes a host has sent over its connections to an address, as an observer of the wire counts them.
func (n *Network) Written(host, address string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.written[wire{host, address}]
}

// wire is a way from a host to an address.
type wire struct{ host, address string }

// A pipe is an end of a connection from a host to an address.
type pipe struct {
	net.Conn
	near          bool // the end of the host that has dialled
	network       *Network
	host, address string
	remote        name // of the other end
}

func (n *Network) pipe(host, address string) (near, far *pipe) {
	a, b := net.Pipe()
	near = &pipe{a, true, n, host, address, name(address)}
	far = &pipe{b, false, n, host, address, name(host)}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open[near], n.open[far] = struct{}{}, struct{}{}
	return near, far
}

func (p *pipe) RemoteAddr() net.Addr { return p.remote }

func (p *pipe) Write(b []byte) (int, error) {
	count, err := p.Conn.Write(b)
	if p.near {
		p.network.mu.Lock()
		p.network.written[wire{p.host, p.address}] += count
		p.network.mu.Unlock()
	}
	return count, err
}

func (p *pipe) Close() error {
	p.network.mu.Lock()
	delete(p.network.open, p)
	p.network.mu.Unlock()
	return p.Conn.Close()
}

// name is a name as an address.
type name string

func (name) Network() string  { return "memory" }
func (n name) String() string { return string(n) }

// listener takes connections at one address.
type listener struct {
	network  *Network
	address  string
	identity ed25519.PrivateKey // of the mix that listens, nil if it is none
	name     string             // of that mix
	waiting  chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.waiting:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Addr() net.Addr { return name(l.address) }

func (l *listener) Close() error {
	l.once.Do(func() {
		l.network.mu.Lock()
		delete(l.network.listeners, l.address)
		l.network.mu.Unlock()
		close(l.closed)
	})
	return nil
}
