package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"sphinxmix.example/client/exit"
	"sphinxmix.example/client/stream"
	"sphinxmix.example/node"
	"sphinxmix.example/node/cmd/mixnet/internal/welcome"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/mix"
	"sphinxmix.example/sphinx"
	"sphinxmix.example/tao"
)

// What a network on one machine is like: packets wait long enough to be mixed when there are others, and not so long
// that a lone user notices.
var (
	localNet      = directory.Network{Params: sphinx.Params{MaxHops: 5, PayloadSize: 2048}, Epoch: time.Hour}
	localBatch    = 8
	localDeadline = 30 * time.Millisecond
)

const localRefresh = 200 * time.Millisecond

// localMix is how each of them mixes.
func localMix() mix.Config { return mix.Config{Size: localBatch, Interval: localDeadline} }

// localNetwork is a directory and mixes in one process.
type localNetwork struct {
	authority *localAuthority
	tpms      *softwareTPMs     // nil where the mixes' attestors are soft
	directory *directory.Client // as everyone in this network would use it
	handler   *directory.Server
	server    *http.Server // of the handler
	listener  net.Listener // of the directory
	nodes     []*node.Node
	listeners []net.Listener    // of the nodes, which close them when they run
	operator  net.Listener      // of the operator's page of the first node
	page      *http.Server      // that
	exits     []*exit.TCP       // of the first nodes
	journeys  *welcome.Journeys // to the page that these serve
}

// exitsAmong is how many of so many mixes are exits: half of them, so that a client whose gateway is one has others.
func exitsAmong(nodes int) int { return nodes / 2 }

// listenLocal takes the ports and makes the nodes, all from o.port on, or on any ports if it is 0.
func listenLocal(o *localOptions) (_ *localNetwork, err error) {
	nodes, port := o.nodes, o.port
	l := &localNetwork{journeys: welcome.NewJourneys()}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if l.listener, err = listen(port); err != nil { // before all that takes longer
		return nil, err
	}
	members, err := l.enrol(o)
	if err != nil {
		return nil, fmt.Errorf("the mixes cannot be attested: %w", err)
	}
	if err := l.makeDirectory(); err != nil {
		return nil, err
	}
	for i := range nodes {
		at := 0
		if port != 0 {
			at = port + 1 + i
		}
		listener, err := listen(at)
		if err != nil {
			return nil, err
		}
		l.listeners = append(l.listeners, listener)
		if err := l.addNode(listener, members[i], o.allow); err != nil {
			return nil, err
		}
	}
	at := 0
	if port != 0 {
		at = port + 1 + nodes
	}
	if l.operator, err = listen(at); err != nil {
		return nil, err
	}
	l.page = node.OperatorServer(l.nodes[0].Stats, nil, newExitMetrics(l.exits[0].Stats))
	return l, nil
}

// makeDirectory makes one that lists nobody but those whom the authority's policy allows.
func (l *localNetwork) makeDirectory() error {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	policy, err := l.authority.sign(time.Now())
	if err != nil {
		return err
	}
	l.handler, err = directory.NewServer(directory.ServerConfig{
		Key: private, Network: localNet, Policy: policy, PolicyKey: l.authority.publicKey(),
	})
	if err != nil {
		return err
	}
	l.server = newWebServer(l.handler)
	l.directory = &directory.Client{URLs: []string{"http://" + l.listener.Addr().String()}, Key: public, Policy: l.authority.publicKey()}
	return nil
}

// addNode makes a node, whose exit, if it is to be one, connects to public addresses and to those of allow.
func (l *localNetwork) addNode(listener net.Listener, m *member, allow []netip.Prefix) error {
	handlers := map[string]node.Handler{"echo": exit.NewEcho(localNet.Params)}
	if m.role == tao.Exit {
		id := directory.NodeIDOf(m.identity.Public().(ed25519.PublicKey))
		page := &welcome.Page{Exit: id, Called: l.called, Journeys: l.journeys, Attested: l.authority.kind}
		e, err := exit.NewTCP(exit.Config{
			Params: localNet.Params,
			Policy: exit.Policy{Allow: allow},
			Sites:  page.Sites(),
		})
		if err != nil {
			return err
		}
		l.exits = append(l.exits, e)
		handlers[stream.Service] = e
	}
	n, err := node.New(node.Config{
		Identity:  m.identity,
		Network:   localNet,
		Directory: &directory.Client{URLs: l.directory.URLs, Key: l.directory.Key, Policy: l.directory.Policy},
		Prover:    m.prover,
		Listener:  listener,
		Handlers:  handlers,
		Mix:       localMix(),
		Refresh:   localRefresh,
		Version:   version(),

		MaxLinksPerAddress: 1024, // everybody is at one address here
	})
	if err != nil {
		return err
	}
	l.nodes = append(l.nodes, n)
	return nil
}

func listen(port int) (net.Listener, error) {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("port %d of this machine cannot be used (%w): choose others with --port, or any free ones with --port 0", port, err)
	}
	return listener, nil
}

// close gives back what a network has that never ran.
func (l *localNetwork) close() {
	for _, listener := range append(l.listeners, l.listener, l.operator) {
		if listener != nil {
			listener.Close()
		}
	}
	l.closeExits()
	l.closeTPMs()
}

func (l *localNetwork) closeTPMs() {
	if l.tpms != nil {
		l.tpms.close()
	}
}

func (l *localNetwork) closeExits() {
	for _, e := range l.exits {
		e.Close()
	}
}

// run serves until ctx ends or a part fails, and returns once all parts have ended.
func (l *localNetwork) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	running.Go(func() {
		if err := l.server.Serve(directory.Limit(l.listener)); !errors.Is(err, http.ErrServerClosed) {
			cancel(fmt.Errorf("directory: %w", err))
		}
	})
	running.Go(func() {
		if err := l.page.Serve(l.operator); !errors.Is(err, http.ErrServerClosed) {
			cancel(fmt.Errorf("operator's page: %w", err))
		}
	})
	running.Go(func() {
		if err := l.renewPolicy(ctx); err != nil {
			cancel(fmt.Errorf("policy: %w", err))
		}
	})
	for _, n := range l.nodes {
		running.Go(func() {
			if err := n.Run(ctx); err != nil {
				cancel(err)
			}
		})
	}
	<-ctx.Done()
	l.closeExits()
	l.server.Close()
	l.page.Close()
	running.Wait()
	l.closeTPMs()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// ready waits until every mix knows every other.
func (l *localNetwork) ready(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		known := 0
		for _, n := range l.nodes {
			if view := n.View(); view != nil && len(view.Nodes) == len(l.nodes) {
				known++
			}
		}
		if known == len(l.nodes) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("only %d of %d mixes were ready after %v: is this machine very busy? Try again, or fewer with --nodes", known, len(l.nodes), limit)
		}
	}
}

// called returns what a mix is called here, and where it is.
func (l *localNetwork) called(id directory.NodeID) welcome.Mix {
	i := slices.IndexFunc(l.nodes, func(n *node.Node) bool { return n.ID() == id })
	if i < 0 {
		return welcome.Mix{Name: "a mix", ID: id.String()} // started by somebody else
	}
	return welcome.Mix{Name: fmt.Sprintf("mix %d", i+1), ID: id.String(), Address: l.listeners[i].Addr().String()}
}
