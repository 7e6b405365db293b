package main

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"sphinxmix.example/client"
	"sphinxmix.example/client/exit"
	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/mix"
	"sphinxmix.example/sphinx"
)

// What a network on one machine is like: packets wait long enough to be mixed when there are others, and not so long that
// a lone user notices.
var (
	localNet      = directory.Network{Params: sphinx.Params{MaxHops: 5, PayloadSize: 2048}, Epoch: time.Hour}
	localBatch    = 8
	localDeadline = 30 * time.Millisecond
)

const localRefresh = 200 * time.Millisecond

func upCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run a whole network on this machine until interrupted",
		Long: `Run a directory and mixes in this process, on loopback ports, send a message through them and back, and keep the
network running for 'mixnet send' and 'mixnet ping' in other terminals. Its keys live in memory and end with it.`,
		Args: noArguments,
	}
	nodes := cmd.Flags().Int("nodes", 6, "number of mixes, 4 to 50")
	port := cmd.Flags().Int("port", 0, "port of the directory; the mixes and the operator's page of mix 1 take the ones after it; 0 takes any free ones")
	path := networkFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *nodes < client.MinHops+1 || *nodes > 50 {
			return fmt.Errorf("--nodes %d: a network on one machine has %d to 50", *nodes, client.MinHops+1)
		}
		if *port < 0 || *port+*nodes+1 > 65535 {
			return fmt.Errorf("--port %d: %d ports from there do not exist", *port, *nodes+2)
		}
		return up(cmd.Context(), cmd.OutOrStdout(), *nodes, *port, *path)
	}
	return cmd
}

func up(ctx context.Context, out io.Writer, nodes, port int, path string) (err error) {
	local, err := listenLocal(nodes, port)
	if err != nil {
		return err
	}
	file := network{Directory: local.directory.URLs[0], Key: hex.EncodeToString(local.directory.Key)}
	if err := file.write(ctx, path); err != nil {
		local.close()
		return err
	}
	defer file.remove(path)

	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- local.run(ctx) }()
	defer func() {
		cancel()
		if failed := <-ended; err == nil || errors.Is(err, context.Canceled) {
			err = failed
		}
	}()

	err = local.ready(ctx, 20*time.Second)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(out, "Stopped.")
		return nil
	case err != nil:
		return err
	case !file.stands(path):
		return fmt.Errorf("another network was started at the same moment, as %s says: name another file with --network", path)
	}
	fmt.Fprintf(out, "%d mixes and a directory are running.\n\n", nodes)
	if err := local.demonstrate(ctx, out); err != nil && ctx.Err() == nil {
		return err
	}
	if ctx.Err() == nil {
		fmt.Fprintf(out, nextSteps, local.directory.URLs[0], local.operator.Addr())
		local.watch(ctx)
	}
	fmt.Fprintln(out, "Stopped.")
	return nil
}

// nextSteps is what a newcomer can try once a network runs.
const nextSteps = `
Next, in another terminal:
  go run ./node/cmd/mixnet send "your message"
  go run ./node/cmd/mixnet send --file README.md
  go run ./node/cmd/mixnet ping
The directory lists the mixes at %s. To see how mix 1 is:
  go run ./node/cmd/mixnet status --operator %s
Stop the network with Ctrl-C.
`

// localNetwork is a directory and mixes in one process.
type localNetwork struct {
	directory *directory.Client // as everyone in this network would use it
	server    *http.Server
	listener  net.Listener // of the directory
	nodes     []*node.Node
	listeners []net.Listener // of the nodes, which close them when they run
	operator  net.Listener   // of the operator's page of the first node
	page      *http.Server   // that
}

// listenLocal takes the ports and makes the nodes, all from port on, or on any ports if it is 0.
func listenLocal(nodes, port int) (_ *localNetwork, err error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	handler, err := directory.NewServer(directory.ServerConfig{Key: private, Network: localNet})
	if err != nil {
		return nil, err
	}
	l := &localNetwork{server: newWebServer(handler)}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if l.listener, err = listen(port); err != nil {
		return nil, err
	}
	l.directory = &directory.Client{URLs: []string{"http://" + l.listener.Addr().String()}, Key: public}
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
		n, err := localNode(listener, &directory.Client{URLs: l.directory.URLs, Key: public})
		if err != nil {
			return nil, err
		}
		l.nodes = append(l.nodes, n)
	}
	at := 0
	if port != 0 {
		at = port + 1 + nodes
	}
	if l.operator, err = listen(at); err != nil {
		return nil, err
	}
	l.page = node.OperatorServer(l.nodes[0].Stats, nil)
	return l, nil
}

func localNode(listener net.Listener, known *directory.Client) (*node.Node, error) {
	_, identity, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	return node.New(node.Config{
		Identity:  identity,
		Network:   localNet,
		Directory: known,
		Listener:  listener,
		Handlers:  map[string]node.Handler{"echo": exit.NewEcho(localNet.Params)},
		Mix:       mix.Config{Size: localBatch, Interval: localDeadline},
		Refresh:   localRefresh,
		Version:   version(),

		MaxLinksPerAddress: 1024, // everybody is at one address here
	})
}

func listen(port int) (net.Listener, error) {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("port %d of this machine cannot be used (%w): choose others with --port, or any free ones with --port 0", port, err)
	}
	return listener, nil
}

// close gives the ports of a network back that never ran.
func (l *localNetwork) close() {
	for _, listener := range append(l.listeners, l.listener, l.operator) {
		if listener != nil {
			listener.Close()
		}
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
	for _, n := range l.nodes {
		running.Go(func() {
			if err := n.Run(ctx); err != nil {
				cancel(err)
			}
		})
	}
	<-ctx.Done()
	l.server.Close()
	l.page.Close()
	running.Wait()
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

// demonstrate sends one message around and says where it went.
func (l *localNetwork) demonstrate(ctx context.Context, out io.Writer) error {
	c, err := client.New(ctx, client.Config{Directory: l.directory})
	if err != nil {
		return err
	}
	defer c.Close()
	const greeting = "hello, mixnet"
	start := time.Now()
	var there, back string
	reply, err := c.Request(ctx, client.Message{
		To:   "echo",
		Body: []byte(greeting),
		Routed: func(out, in []directory.NodeID) {
			there, back = l.names(out), l.names(in)
		},
	})
	if err != nil {
		return fmt.Errorf("the first message did not come back: %w", err)
	}
	if string(reply) != greeting {
		return fmt.Errorf("the first message came back as %q", reply)
	}
	fmt.Fprintf(out, "%q went  you → %s → echo\n%16s back  echo → %s → you   in %v\n", greeting, there, "and", back, time.Since(start).Round(time.Millisecond))
	return nil
}

// names calls mixes by their number here.
func (l *localNetwork) names(path []directory.NodeID) string {
	names := make([]string, len(path))
	for i, id := range path {
		for j, n := range l.nodes {
			if n.ID() == id {
				names[i] = fmt.Sprintf("mix %d", j+1)
			}
		}
	}
	return strings.Join(names, " → ")
}

// watch shows what flows, on a terminal, until ctx ends.
func (l *localNetwork) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	line := newStatusLine(os.Stderr)
	defer line.clear()
	var before node.Counts
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		var now node.Counts
		for _, n := range l.nodes {
			now.Add(n.Counts())
		}
		dropped := uint64(0)
		for _, count := range now.Dropped {
			dropped += count
		}
		line.show(fmt.Sprintf("%d packets/s in %d batches/s · %d messages served, %d replies delivered, %d packets dropped",
			now.Received-before.Received, now.Batches-before.Batches, now.Served, now.Delivered, dropped))
		before = now
	}
}
