// Command mixnet runs a Sphinx mix network, talks through one, and checks test vectors.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx := untilSignal()
	surviveFullFiles()
	out := &keptWriter{to: os.Stdout}
	root := command()
	root.SetOut(out)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil && out.err != nil:
		err = fmt.Errorf("the output is not complete: %w", out.err)
	case err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled):
		err = errors.New("interrupted")
	}
	if err == nil {
		return
	}
	var config *configError
	switch {
	case errors.Is(err, errReported):
	case errors.As(err, &config):
		fmt.Fprintln(os.Stderr, err)
		if !config.running {
			os.Exit(exitConfig)
		}
	default:
		fmt.Fprintln(os.Stderr, "mixnet: "+plain(err))
	}
	os.Exit(1)
}

// untilSignal returns a context that ends with the first signal to stop. From then on, another ends the process at
// once.
func untilSignal() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals)
		if len(signals) > 0 { // it came meanwhile
			os.Exit(1)
		}
		cancel()
	}()
	return ctx
}

// exitConfig is the exit status where a configuration is wrong: nothing is gained by another try before it is changed.
const exitConfig = 2

// errReported makes the exit status 1 where all has been said.
var errReported = errors.New("reported")

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "mixnet",
		Short: "A Sphinx mix network: run one, talk through it, check its format",
		Example: `  mixnet up                    run a network on this machine, and see a message go through it
  mixnet send hello            in another terminal: send a message through it
  mixnet ping                  measure round trips
  mixnet proxy                 let programs through a network that runs already
  mixnet init directory        make the configuration of a network's directory; 'mixnet init node' that of a mix
  mixnet policy init           say which mixes a network is to trust, and what they must prove
  mixnet bench                 measure what packets cost on this machine
  mixnet vectors check F.json  check the packet format against test vectors`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          listCommands,
		Args:          cobra.ArbitraryArgs,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())
	})
	root.AddCommand(upCommand(), initCommand(), nodeCommand(), directoryCommand(), proxyCommand(), policyCommand(), statusCommand(), sendCommand(), pingCommand(), benchCommand(), vectorsCommand())
	return root
}

// listCommands is what a command does that only has others below it.
func listCommands(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("no command %q; '%s --help' lists them", args[0], cmd.CommandPath())
	}
	return cmd.Help()
}

// noArguments is what a command wants that takes flags alone.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("'%s' takes no arguments, only flags; see '%s --help'", cmd.CommandPath(), cmd.CommandPath())
	}
	return nil
}

// version returns the version and revision that the program was built from, as far as the build knows them.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	text := info.Main.Version
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && !strings.Contains(text, setting.Value[:min(12, len(setting.Value))]) {
			text += " " + setting.Value // a version without a tag has the beginning of it already
		}
	}
	return text
}
