package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sphinxmix.example/client"
	"sphinxmix.example/client/socks5"
	"sphinxmix.example/node/directory"
)

func proxyCommand() *cobra.Command {
	p := newProxySettings()
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Let programs on this machine use the network",
		Long: `Run a proxy for programs on this machine, SOCKS5 and HTTP CONNECT on one port: what they connect to is reached through
the network, and names are resolved at its exits. Connections of different user names and passwords, which may be any,
are kept apart: no exit can tell that they are one user's.

It runs until a signal. With --config it runs what that file says and nothing else, and waits for a network that is not
there yet; the exit status is then 2 where the configuration is wrong.`,
		Example: `  mixnet proxy
  mixnet proxy --directory http://directory.example.org:8080 --key 1f…9c
  mixnet init proxy --directory http://directory.example.org:8080 --key 1f…9c
  mixnet proxy --config mixnet-proxy/proxy.toml`,
		Args: noArguments,
	}
	config := cmd.Flags().String("config", "", "configuration file, in place of the other flags")
	check := cmd.Flags().Bool("check", false, "check the configuration file, say what is wrong with it, and run nothing")
	through := networkFlags(cmd)
	cmd.Flags().StringVar(&p.listen, "listen", p.listen, "host:port where programs connect, on loopback")
	for _, flag := range []string{"network", "directory", "key", "policy-key", "hops", "listen"} {
		cmd.MarkFlagsMutuallyExclusive("config", flag)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *config != "" {
			return runFile(cmd, *config, *check, loadProxy)
		}
		if *check {
			return errors.New("--check is for a configuration file: name it with --config")
		}
		if err := checkProxyListen(p.listen, false); err != nil {
			return fmt.Errorf("--listen %w: give a loopback address like 127.0.0.1:1080; for others, make a file with 'mixnet init proxy' and set shared = true in it", err)
		}
		c, err := through.dial(cmd.Context())
		if err != nil {
			return err
		}
		defer c.Close()
		listener, err := net.Listen("tcp", p.listen)
		if err != nil {
			return fmt.Errorf("--listen %s: cannot be used: %w; name another port with --listen, like 127.0.0.1:1081, or stop what listens there", p.listen, err)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "Programs reach the network by the proxy at %s, SOCKS5 or HTTP CONNECT. Stop it with Ctrl-C.\n", listener.Addr())
		e := newEntrance(p, p.log.logger(cmd.ErrOrStderr()))
		e.open(sayingRefusals(c.Dial, c.Refused), c.Err)
		return e.serve(cmd.Context(), listener)
	}
	return cmd
}

// loadedProxy is a proxy's configuration that was found good, but for what only the network can tell.
type loadedProxy struct {
	settings *proxySettings
	file     *configuration
}

func (l *loadedProxy) logging() *logSettings { return &l.settings.log }

// run serves programs until ctx ends. Until the network is there, they are refused.
func (l *loadedProxy) run(ctx context.Context, log *slog.Logger) error {
	listener, err := l.file.listenAt("listen", l.settings.listen)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e := newEntrance(l.settings, log)
	served := make(chan error, 1)
	go func() {
		defer cancel()
		served <- e.serve(ctx, listener)
	}()
	log.Info("the proxy runs", "address", listener.Addr().String())

	cfg := l.config()
	c, err := l.connect(ctx, cfg, log)
	if c != nil {
		defer c.Close()
		e.open(sayingRefusals(c.Dial, c.Refused), c.Err)
		log.Info("connected to the network")
		<-ctx.Done()
	}
	cancel()
	if failed := <-served; failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// config returns what the client is made of.
func (l *loadedProxy) config() client.Config {
	s := l.settings
	return client.Config{Directory: s.directory.client(), Hops: s.hops, Cover: s.cover, Pace: s.pace}
}

// connect becomes a client of the network, which it waits for. Both results are nil where ctx has ended before that.
func (l *loadedProxy) connect(ctx context.Context, cfg client.Config, log *slog.Logger) (*client.Client, error) {
	network, err := awaitNetwork(ctx, cfg.Directory, log)
	if err != nil {
		return nil, nil
	}
	if err := l.suits(network); err != nil {
		return nil, err
	}
	said := ""
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		c, err := client.New(ctx, cfg)
		if err == nil || ctx.Err() != nil {
			return c, nil
		}
		err = withRefusals(err, asking(ctx, cfg.Directory))
		if err.Error() != said {
			said = err.Error()
			log.Warn("not in the network yet, trying again", "error", err)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
		}
	}
}

// suits checks the configuration once more, now for the network.
func (l *loadedProxy) suits(network directory.Network) error {
	if l.settings.hops > network.MaxHops {
		return l.file.because("hops", &remedied{
			fmt.Sprintf("is %d, more than the %d that this network has room for", l.settings.hops, network.MaxHops), "give fewer",
		})
	}
	return nil
}

// dialFunc makes a connection through the network, as client.Client.Dial does.
type dialFunc func(ctx context.Context, isolation, address string) (net.Conn, error)

// entrance is where programs come in.
type entrance struct {
	server socks5.Server
	log    *slog.Logger
	limit  time.Duration // until a connection is there

	mu   sync.Mutex
	dial dialFunc        // nil before there is a network; guarded by mu
	way  func() error    // says why there is no gateway; nil where nobody knows; guarded by mu
	lost bool            // what was logged last is that there is no way through the network; guarded by mu
	hope context.Context // ends once there has been no gateway for gatewayPatience; guarded by mu
	quit func()          // ends hope; guarded by mu
}

func newEntrance(p *proxySettings, log *slog.Logger) *entrance {
	e := &entrance{log: log, limit: p.timeout}
	e.server = socks5.Server{Dial: e.connect, MaxConns: p.connections, Log: log}
	e.hope, e.quit = context.WithCancel(context.Background())
	return e
}

// open lets programs in. way says why there is no gateway, and may be nil.
func (e *entrance) open(dial dialFunc, way func() error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dial, e.way = dial, way
}

// serve serves programs until ctx ends.
func (e *entrance) serve(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { e.watch(ctx) })
	defer watching.Wait()
	defer cancel()
	return e.server.Serve(ctx, listener)
}

// gatewayPatience is for how long programs wait for a gateway. Whoever wants a connection then is refused, until there
// is one.
const gatewayPatience = 15 * time.Second

// watch says when the gateway is lost, and when there is one again, until ctx ends.
func (e *entrance) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var since time.Time // that there is no gateway; zero while there is one
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		switch why := e.wayIn(); {
		case why == nil && !since.IsZero():
			since = time.Time{}
			e.hopeAgain()
			e.log.Info("connected again")
		case why != nil && since.IsZero():
			since = time.Now()
			e.log.Warn("the gateway is lost; looking for another", "error", withoutAddresses(why))
		case why != nil && time.Since(since) >= gatewayPatience:
			e.quit()
		}
	}
}

// wayIn says why there is no gateway, as far as anybody knows.
func (e *entrance) wayIn() error {
	e.mu.Lock()
	way := e.way
	e.mu.Unlock()
	if way == nil {
		return nil
	}
	return way()
}

// hopeAgain lets programs wait for their connections.
func (e *entrance) hopeAgain() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.quit()
	e.hope, e.quit = context.WithCancel(context.Background())
}

// withoutAddresses returns what is wrong with a connection and not whose it is: a log should not tell the user's
// address.
func withoutAddresses(err error) error {
	if failed, ok := errors.AsType[*net.OpError](err); ok {
		return failed.Err
	}
	return err
}

// Why a program gets no connection before there is a network, and after its gateway was lost.
var (
	errNoNetwork = fmt.Errorf("the proxy is not connected to its network: %w", syscall.ENETUNREACH)
	errNoGateway = fmt.Errorf("the proxy has lost its gateway into the network, and looks for another: %w", syscall.ENETUNREACH)
)

func (e *entrance) connect(ctx context.Context, isolation, address string) (net.Conn, error) {
	e.mu.Lock()
	dial, hope := e.dial, e.hope
	e.mu.Unlock()
	if dial == nil {
		return nil, errNoNetwork
	}
	ctx, cancel := context.WithTimeout(ctx, e.limit)
	defer cancel()
	defer context.AfterFunc(hope, cancel)()
	conn, err := dial(ctx, isolation, address)
	switch {
	case err == nil:
	case hope.Err() != nil, errors.Is(err, client.ErrGateway):
		err = errNoGateway // what a gateway said, or its host, is no answer of the destination's
	case errors.Is(err, client.ErrNoService):
		err = fmt.Errorf("no mix of this network is an exit that this proxy can use ('mixnet init node --exit' makes one): %w", err)
	}
	e.note(err)
	return conn, err
}

// ways are the errors of which who runs the proxy should know, as none of them is about where a program wants to.
// The gateway is watched without them.
var ways = []error{client.ErrView, client.ErrNetwork, client.ErrNoService}

// note logs when there is no way through the network, and when there is one again. It says nothing of who wanted what.
func (e *entrance) note(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch lost := slices.ContainsFunc(ways, func(way error) bool { return errors.Is(err, way) }); {
	case lost && !e.lost:
		e.lost = true
		e.log.Warn("there is no way through the network for now", "error", err)
	case err == nil && e.lost:
		e.lost = false
		e.log.Info("there is a way through the network again")
	}
}
