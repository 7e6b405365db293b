// Command mixnet runs a Sphinx mix network, talks through one, and checks test vectors.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		if !errors.Is(err, errReported) {
			fmt.Fprintln(os.Stderr, "mixnet: "+strings.ReplaceAll(err.Error(), "\n", " "))
		}
		os.Exit(1)
	}
}

// errReported makes the exit status 1 where all has been said.
var errReported = errors.New("reported")

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "mixnet",
		Short: "A Sphinx mix network: run one, talk through it, check its format",
		Example: `  mixnet up                    run a network on this machine, and see a message go through it
  mixnet send hello            in another terminal: send a message through it
  mixnet ping                  measure round trips
  mixnet vectors check F.json  check the packet format against test vectors`,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          listCommands,
		Args:          cobra.ArbitraryArgs,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())
	})
	root.AddCommand(upCommand(), sendCommand(), pingCommand(), vectorsCommand())
	return root
}

// listCommands is what a command does that only has others below it.
func listCommands(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("no command %q; '%s --help' lists them", args[0], cmd.CommandPath())
	}
	return cmd.Help()
}
