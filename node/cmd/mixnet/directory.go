package main

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"io"
	stdlog "log"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"sphinxmix.example/node/directory"
)

func directoryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "directory",
		Short: "Run a directory",
		Long: `Run the directory that a configuration file describes, until a signal: the first one (Ctrl-C, SIGTERM) lets it finish
the answers under way, a second one stops it at once.

The exit status is 0 after a first signal, 2 where the configuration is wrong, and 1 for anything else.`,
		Example: "  mixnet init directory\n  mixnet directory --config mixnet-directory/directory.toml --check\n  mixnet directory --config mixnet-directory/directory.toml",
		Args:    noArguments,
	}
	runConfigured(cmd, filepath.Join(directoryFolder, "directory.toml"), loadDirectory)
	return cmd
}

// silent drops what net/http has to say, which is about the addresses of clients.
var silent = stdlog.New(io.Discard, "", 0)

func (l *loadedServer) logging() *logSettings { return &l.settings.log }

// run serves the directory until ctx ends.
func (l *loadedServer) run(ctx context.Context, log *slog.Logger) error {
	folder, err := hold(filepath.Dir(l.file.path(l.settings.identity)), "mixnet directory")
	if err != nil {
		return l.file.because("identity", err)
	}
	defer folder.release()
	store, err := l.openStore()
	if err != nil {
		return l.file.because("store", err)
	}
	defer store.Close()
	cfg := l.config()
	cfg.Log, cfg.Store = log, store
	handler, err := directory.NewServer(cfg)
	if err != nil {
		return err
	}
	listener, err := l.file.listenAt("listen", l.settings.listen)
	if err != nil {
		return err
	}
	if l.policy != nil {
		ctx, stop := context.WithCancel(ctx)
		var following sync.WaitGroup
		following.Go(func() { l.policy.follow(ctx, handler.SetPolicy, log) })
		defer following.Wait()
		defer stop()
	}
	server := newWebServer(handler)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(directory.Limit(listener)) }()
	log.Info("the directory runs", "address", listener.Addr().String(), "key", hex.EncodeToString(l.identity.Public().(ed25519.PublicKey)))
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	log.Info("finishing the answers under way; a second signal stops at once", "for_at_most", l.settings.drain)
	finishing, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.settings.drain)
	defer cancel()
	if err := server.Shutdown(finishing); errors.Is(err, context.DeadlineExceeded) {
		log.Warn("the time to finish is over: some answers are not complete")
		server.Close()
	}
	log.Info("stopped")
	return nil
}

// newWebServer returns what serves pages to others, of whom nobody holds a connection for long.
func newWebServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       10 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          silent,
	}
}
