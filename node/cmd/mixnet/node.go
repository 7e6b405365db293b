package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"sphinxmix.example/client/exit"
	"sphinxmix.example/client/stream"
	"sphinxmix.example/node"
	"sphinxmix.example/node/cmd/mixnet/internal/welcome"
	"sphinxmix.example/node/directory"
)

func nodeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Run a mix",
		Long: `Run the mix that a configuration file describes, until a signal: the first one (Ctrl-C, SIGTERM) takes it out of the
directory and lets it send what it holds before it stops, a second one stops it at once.

The exit status is 0 after a first signal, 2 where the configuration is wrong, and 1 for anything else.`,
		Example: "  mixnet init node\n  mixnet node --config mixnet-node/node.toml --check\n  mixnet node --config mixnet-node/node.toml",
		Args:    noArguments,
	}
	runConfigured(cmd, filepath.Join(nodeFolder, "node.toml"), loadNode)
	cmd.AddCommand(enrolNodeCommand(), sealNodeCommand())
	return cmd
}

// configured is what a configuration file describes, when the file was found good.
type configured interface {
	run(ctx context.Context, log *slog.Logger) error
	logging() *logSettings
}

// runConfigured makes a command run what a configuration file describes: that which --config names, else standard.
func runConfigured[C configured](cmd *cobra.Command, standard string, load func(file string) (C, error)) {
	config := cmd.Flags().String("config", standard, "configuration file")
	check := cmd.Flags().Bool("check", false, "check the configuration, say what is wrong with it, and run nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return runFile(cmd, *config, *check, load)
	}
}

// runFile runs what a configuration file describes, or checks the file alone.
func runFile[C configured](cmd *cobra.Command, file string, check bool, load func(file string) (C, error)) error {
	loaded, err := load(file)
	if err != nil {
		return err
	}
	if check {
		fmt.Fprintln(cmd.OutOrStdout(), "ok")
		return nil
	}
	return loaded.run(cmd.Context(), loaded.logging().logger(cmd.ErrOrStderr()))
}

func (l *loadedNode) logging() *logSettings { return &l.settings.log }

// run runs the mix until ctx ends, and then lets it leave.
func (l *loadedNode) run(ctx context.Context, log *slog.Logger) error {
	folder, err := hold(filepath.Dir(l.file.path(l.settings.identity)), "mixnet node")
	if err != nil {
		return l.file.because("identity", err)
	}
	defer folder.release()
	prover, end, err := l.openProver()
	if err != nil {
		return err
	}
	defer end()
	listener, err := l.file.listenAt("listen", l.settings.listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	mix := &operated{address: l.settings.address}
	if l.settings.operator != "" {
		operator, err := node.ListenOperator(l.settings.operator)
		if err != nil {
			return l.file.because("operator.listen", inUse(err))
		}
		var further []prometheus.Collector
		if l.settings.exit.enabled {
			further = append(further, newExitMetrics(mix.exitStats))
		}
		server := node.OperatorServer(mix.stats, log, further...)
		defer server.Close()
		go serveOperator(server, operator, log)
		log.Info("the operator's page is open", "url", "http://"+operator.Addr().String())
	}

	cfg := l.config(anyNetwork)
	network, err := awaitNetwork(ctx, cfg.Directory, log)
	if err != nil {
		return nil // told to stop before it began
	}
	if err := l.suits(network); err != nil {
		return err
	}
	cfg = l.config(network)
	cfg.Listener, cfg.Log, cfg.Prover = listener, log, prover
	if l.settings.exit.enabled {
		e, err := l.startExit(network, log)
		if err != nil {
			return err
		}
		defer e.Close()
		mix.exit.Store(e)
		cfg.Handlers[stream.Service] = e
	}
	n, err := node.New(cfg)
	if err != nil {
		if cfg.KeyDir != "" {
			return l.file.because("keys.folder", err)
		}
		return err
	}
	mix.node.Store(n)
	log.Info("the mix runs", "node", n.ID().String(), "address", l.settings.address, "strategy", l.settings.mix.Strategy)
	return serveUntil(ctx, n, l.settings.drain, log)
}

// serveOperator shows the operator's page until server is closed. It says so where the page ends before: the mix goes on
// without.
func serveOperator(server *http.Server, listener net.Listener, log *slog.Logger) {
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Error("the operator's page is gone until the mix is started anew", "error", err)
	}
}

// operated is a mix as its operator sees it: there before it runs.
type operated struct {
	address string
	node    atomic.Pointer[node.Node]
	exit    atomic.Pointer[exit.TCP]
}

func (o *operated) stats() node.Stats {
	if n := o.node.Load(); n != nil {
		return n.Stats()
	}
	return node.Stats{Address: o.address, Version: version(), State: node.Starting, Now: time.Now()}
}

// exitStats returns those of the mix's exit, or none before that runs.
func (o *operated) exitStats() exit.Stats {
	if e := o.exit.Load(); e != nil {
		return e.Stats()
	}
	return exit.Stats{}
}

// startExit makes the exit that the configuration describes.
func (l *loadedNode) startExit(network directory.Network, log *slog.Logger) (*exit.TCP, error) {
	page := &welcome.Page{Exit: directory.NodeIDOf(l.identity.Public().(ed25519.PublicKey))}
	page.Attested, _ = l.settings.attestation.kind()
	cfg := l.settings.exit.config(network.Params, page)
	cfg.Log = log
	e, err := exit.NewTCP(cfg)
	if err != nil {
		return nil, l.file.because("exit.enabled", err)
	}
	return e, nil
}

// awaitNetwork returns what the directory says of the network, which it asks until it answers. The error is ctx's.
func awaitNetwork(ctx context.Context, from *directory.Client, log *slog.Logger) (directory.Network, error) {
	log.Info("waiting for the directory's view of the network", "directory", from.URLs)
	said := ""
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		view, err := from.Fetch(ctx)
		if err == nil {
			return view.Network, nil
		}
		if err.Error() != said && ctx.Err() == nil {
			said = err.Error()
			log.Warn("no view of the network yet, trying again", "error", err)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return directory.Network{}, ctx.Err()
		}
	}
}

// serveUntil runs a mix until ctx ends. Then the mix leaves the directory and sends what it holds, for limit at most.
func serveUntil(ctx context.Context, n *node.Node, limit time.Duration, log *slog.Logger) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- n.Run(running) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	log.Info("leaving the network and sending what is held; a second signal stops at once", "for_at_most", limit)
	leaving, cancel := context.WithTimeout(running, limit)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- n.Drain(leaving) }()
	progress := time.NewTicker(5 * time.Second)
	defer progress.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-progress.C:
			log.Info("still leaving: what is held is sent, and everyone given the time to know", "packets", n.Stats().Held)
		case err := <-drained:
			switch held := n.Stats().Held; {
			case errors.Is(err, context.DeadlineExceeded) && held == 0:
				log.Info("the time to leave is over, and nothing is held")
			case errors.Is(err, context.DeadlineExceeded):
				log.Warn("the time to leave is over: packets that were held are lost", "packets", held)
			case err != nil:
				log.Warn("left with an error", "error", err)
			}
			stop()
			err = <-ended
			log.Info("stopped")
			return err
		}
	}
}

// because returns a *configError that says why a setting cannot be used now, which only running could tell.
func (c *configuration) because(key string, err error) error {
	c.refuseWith(key, err)
	return &configError{file: c.file, problems: c.problems, running: true}
}

// listenAt takes the port that a setting names.
func (c *configuration) listenAt(key, address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, c.because(key, inUse(err))
	}
	return listener, nil
}

// inUse says what to do about an address that cannot be listened at.
func inUse(err error) error {
	return &remedied{"cannot be used: " + err.Error(), "stop what listens there, or give another address of this machine"}
}
