package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"sphinxmix.example/sphinx/vectors"
)

func vectorsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vectors",
		Short: "Check test vectors of the packet format",
		RunE:  listCommands,
		Args:  cobra.ArbitraryArgs,
	}
	check := &cobra.Command{
		Use:   "check FILE...",
		Short: "Run every case of these files through the library",
		Long: `Run every case of these files through the library: vectors of the Python reference, and of this project. A line says what
differs in each case that fails. The last line counts the cases, and the exit status is 1 where any failed.`,
		Example: "  mixnet vectors check testvectors/*.json",
		Args: func(_ *cobra.Command, files []string) error {
			if len(files) == 0 {
				return errors.New("name the files to check, for example testvectors/*.json")
			}
			return nil
		},
	}
	long := check.Flags().Bool("long", false, "check also what takes minutes: hashes over a million packets")
	check.RunE = func(cmd *cobra.Command, files []string) error {
		var passed, failed int
		done := make(chan struct{})
		go func() {
			defer close(done)
			passed, failed = vectors.Checker{Long: *long}.CheckFiles(cmd.OutOrStdout(), files)
		}()
		select {
		case <-done:
		case <-cmd.Context().Done():
			return cmd.Context().Err()
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%d passed, %d failed\n", passed, failed)
		if failed > 0 || passed == 0 {
			return errReported
		}
		return nil
	}
	cmd.AddCommand(check)
	return cmd
}
