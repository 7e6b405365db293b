package main

import (
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
		Args:    cobra.MinimumNArgs(1),
	}
	long := check.Flags().Bool("long", false, "check also what takes minutes: hashes over a million packets")
	check.RunE = func(cmd *cobra.Command, files []string) error {
		passed, failed := vectors.Checker{Long: *long}.CheckFiles(cmd.OutOrStdout(), files)
		fmt.Fprintf(cmd.OutOrStdout(), "%d passed, %d failed\n", passed, failed)
		if failed > 0 || passed == 0 {
			return errReported
		}
		return nil
	}
	cmd.AddCommand(check)
	return cmd
}
