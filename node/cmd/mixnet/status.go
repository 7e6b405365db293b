package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sphinxmix.example/node"
)

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how a mix is",
		Long: `Ask a mix, where its operator's page is, how it is: one on this machine, as the page is for the mix's own machine alone,
or one at the end of a tunnel. What --operator names is asked wherever it is. The exit status is 1 where the mix is not
healthy: it does not answer, is not in the network, or refuses packets.`,
		Args: noArguments,
	}
	address := cmd.Flags().String("operator", newNodeSettings().operator, "host:port of the mix's operator page")
	config := cmd.Flags().String("config", "", "the mix's configuration file, which says that")
	raw := cmd.Flags().Bool("json", false, "print everything that the mix says, as JSON")
	cmd.MarkFlagsMutuallyExclusive("operator", "config")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *config != "" {
			n := newNodeSettings()
			c := readConfiguration(*config, n.list())
			if err := c.err(); err != nil {
				return err
			}
			if *address = n.operator; *address == "" {
				return c.because("operator.listen", &remedied{"is empty, so that nobody can ask this mix", "give a loopback address, and start the mix anew"})
			}
		}
		said, err := askMix(cmd.Context(), *address)
		if err != nil {
			return err
		}
		var stats node.Stats
		if err := json.Unmarshal(said, &stats); err != nil {
			return fmt.Errorf("what answers at %s is no mix of this version: %w", *address, err)
		}
		if *raw {
			fmt.Fprintf(cmd.OutOrStdout(), "%s\n", bytes.TrimSpace(said))
		} else {
			printStatus(cmd.OutOrStdout(), &stats)
		}
		problems := stats.Problems()
		for _, problem := range problems {
			fmt.Fprintln(cmd.ErrOrStderr(), problem)
		}
		if len(problems) > 0 {
			return errReported
		}
		return nil
	}
	return cmd
}

const maxStats = 16 << 20 // bytes of a mix's answer

// askMix returns what a mix says of itself on its operator's page.
func askMix(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/stats", nil)
	if err != nil {
		return nil, fmt.Errorf("--operator %s: is not host:port", address)
	}
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		return nil, fmt.Errorf("no mix answers at %s: is it running, and is this where its operator's page is? (%w)", address, errors.Unwrap(err))
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, maxStats))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("what answers at %s is no mix: it says %s", address, strings.Map(visible, answer.Status))
	}
	return said, nil
}

// printStatus writes what a person wants to see of a mix.
func printStatus(to io.Writer, s *node.Stats) {
	t := newTable(to)
	defer t.Flush()
	t.line("node", "%s at %s", s.Node, s.Address)
	if s.Started.IsZero() {
		t.line("state", "%s", s.State)
	} else {
		t.line("state", "%s, up for %v", s.State, lapse(s.Now.Sub(s.Started)))
	}
	printEpochs(t, s)
	if s.View == nil {
		t.line("view", "none yet")
	} else {
		t.line("view", "%v old, %d mixes, good for %v", lapse(s.Now.Sub(s.View.Published)), s.View.Mixes, lapse(s.View.Expires.Sub(s.Now)))
	}
	printAttestation(t, s)
	in, out, over := lately(s)
	t.line("packets", "%.1f/s in, %.1f/s out over the last %v; %d in, %d out in all; %d held, %.1f MB",
		in, out, lapse(over), s.Received, s.Sent+s.Served+s.Delivered, s.Held, float64(s.Memory)/1e6)
	printAnonymity(t, s)
	var drops []string
	for _, reason := range slices.Sorted(maps.Keys(s.Dropped)) {
		drops = append(drops, fmt.Sprintf("%s %d", reason, s.Dropped[reason]))
	}
	t.line("dropped", "%s", cmp.Or(strings.Join(drops, ", "), "nothing"))
	printLoops(t, s)
	t.line("links", "from %d mixes and %d others", s.Links.Mixes, s.Links.Others)
	connected := 0
	for _, p := range s.Peers {
		if p.Connected {
			connected++
		}
	}
	t.line("peers", "%d of %d connected", connected, len(s.Peers))
	for _, p := range s.Peers {
		if !p.Connected || p.Queue > 0 || p.Lost > 0 {
			state := "connected"
			if !p.Connected {
				state = "not connected"
			}
			t.line("", "%s at %s: %s, %d sent, %d waiting, %d lost", p.Node, p.Address, state, p.Sent, p.Queue, p.Lost)
		}
	}
}

// printAttestation writes whom the mix trusts, and whether it is to be trusted itself, where there is a policy for
// that.
func printAttestation(t table, s *node.Stats) {
	if s.View != nil && s.View.Policy != nil {
		t.line("policy", "version %d, good for %v, refuses %d mixes", s.View.Policy.Version, lapse(s.View.Policy.Expires.Sub(s.Now)), s.View.Refused)
	}
	a := s.Attestation
	if a == nil {
		return
	}
	state := "no evidence yet"
	switch good := a.Until.Sub(s.Now); {
	case good > 0:
		state = fmt.Sprintf("evidence good for %v", lapse(good))
	case !a.Until.IsZero():
		state = fmt.Sprintf("EVIDENCE EXPIRED %v ago", lapse(-good))
	}
	t.line("attested", "%s, %s; %.0f %% of the room for measurements taken", a.Kind, state, 100*a.LogUsed)
	if a.Failure != "" {
		t.line("", "%s", a.Failure)
	}
}

func printEpochs(t table, s *node.Stats) {
	if len(s.Epochs) == 0 {
		t.line("epoch", "none yet")
	}
	currentFirst := slices.Clone(s.Epochs)
	slices.SortStableFunc(currentFirst, func(a, b node.EpochStats) int {
		switch {
		case a.Current:
			return -1
		case b.Current:
			return 1
		}
		return 0
	})
	for _, e := range currentFirst {
		name, when := "", "over"
		switch {
		case e.Current:
			name, when = "epoch", fmt.Sprintf("%v left", lapse(e.Ends.Sub(s.Now)))
		case e.Begins.After(s.Now):
			when = "next"
		}
		state := ""
		if e.Failed {
			state = "; REFUSES EVERYTHING: its replay set is full or cannot be written"
		}
		t.line(name, "%d (%s): %d of %d tags%s", e.Number, when, e.Tags, e.MaxTags, state)
	}
}

// printAnonymity writes between how many senders the packets of the last hour were hidden.
func printAnonymity(t table, s *node.Stats) {
	hour := s.Since(time.Time{})
	if hour.Batches == 0 {
		t.line("anonymity", "nothing was released in the last hour (%s)", s.Strategy)
		return
	}
	t.line("anonymity", "%d to %d senders, %.1f on average, in %d batches of the last hour (%s)",
		hour.MinSenders, hour.MaxSenders, hour.MeanSenders, hour.Batches, s.Strategy)
}

// printLoops writes how much of the mix's own traffic did not come back.
func printLoops(t table, s *node.Stats) {
	hour := s.Since(time.Time{})
	if hour.LoopsSent == 0 {
		t.line("loops", "none sent in the last hour")
		return
	}
	t.line("loops", "%.1f %% of %d lost in the last hour", 100*float64(hour.LoopsLost)/float64(hour.LoopsSent), hour.LoopsSent)
}

// lately returns how many packets a second came and went in about a minute.
func lately(s *node.Stats) (in, out float64, over time.Duration) {
	var received, sent uint64
	for _, sample := range slices.Backward(s.History) {
		over = s.Now.Sub(sample.At)
		received += sample.Received
		sent += sample.Sent
		if over >= time.Minute {
			break
		}
	}
	seconds := max(over.Seconds(), 1)
	return float64(received) / seconds, float64(sent) / seconds, over
}

// lapse rounds a duration for people.
func lapse(d time.Duration) time.Duration { return d.Round(time.Second) }
