package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sphinxmix.example/client"
)

func pingCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ping",
		Short: "Measure round trips through the network",
		Long:  "Send short messages to the echo service, one after the other, each along fresh paths, and show how long they took.",
		Args:  noArguments,
	}
	count := cmd.Flags().IntP("count", "n", 10, "number of round trips")
	timeout := cmd.Flags().Duration("timeout", 30*time.Second, "give up on a round trip after this long")
	through := accessFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *count < 1 {
			return fmt.Errorf("--count %d: must be at least 1", *count)
		}
		if *timeout <= 0 {
			return fmt.Errorf("--timeout %v: must be positive", *timeout)
		}
		c, err := through.dial(cmd.Context())
		if err != nil {
			return err
		}
		defer c.Close()
		out := cmd.OutOrStdout()
		var trips []time.Duration
		tried := 0
		for i := range *count {
			trip, err := ping(cmd.Context(), c, *timeout)
			if cmd.Context().Err() != nil {
				break
			}
			tried++
			if err != nil {
				fmt.Fprintf(out, "%3d  %v\n", i+1, err)
				continue
			}
			trips = append(trips, trip)
			fmt.Fprintf(out, "%3d  %.1f ms\n", i+1, milliseconds(trip))
		}
		fmt.Fprintf(out, "\n%d of %d came back, %d mixes each way\n", len(trips), tried, through.hops)
		if len(trips) == 0 {
			return errors.New("no round trip: is the network still running?")
		}
		histogram(out, trips)
		return cmd.Context().Err()
	}
	return cmd
}

// ping sends one message of 32 random bytes to the echo service and times it.
func ping(ctx context.Context, c *client.Client, timeout time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body := make([]byte, 32)
	rand.Read(body)
	start := time.Now()
	reply, err := c.Request(ctx, client.Message{To: "echo", Body: body})
	if err != nil {
		return 0, err
	}
	if !bytes.Equal(body, reply) {
		return 0, errors.New("the echo differs from what was sent")
	}
	return time.Since(start), nil
}

// histogram prints the quantiles of trips and their distribution, in at most ten bins of one width.
func histogram(out io.Writer, trips []time.Duration) {
	slices.Sort(trips)
	quantile := func(q float64) float64 { return milliseconds(trips[int(q*float64(len(trips)-1)+0.5)]) }
	fmt.Fprintf(out, "min %.1f  median %.1f  90 %% %.1f  max %.1f ms\n", quantile(0), quantile(0.5), quantile(0.9), quantile(1))
	if len(trips) < 5 {
		return // too few to have a shape
	}
	low, high := milliseconds(trips[0]), milliseconds(trips[len(trips)-1])
	bins := make([]int, min(10, len(trips)))
	width := (high - low) / float64(len(bins))
	for _, trip := range trips {
		bin := len(bins) - 1
		if width > 0 {
			bin = min(bin, int((milliseconds(trip)-low)/width))
		}
		bins[bin]++
	}
	most := slices.Max(bins)
	for i, count := range bins {
		bar := strings.Repeat("█", (40*count+most-1)/most)
		fmt.Fprintf(out, "%8.1f ms  %-40s %d\n", low+float64(i)*width, bar, count)
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
