package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sphinxmix.example/bench"
	"sphinxmix.example/bench/render"
)

func benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what packets cost on this machine, and what they cost others",
		Long: `Measure this library: a hop, for single packets and batches; senders; many cores; and every primitive beside other
implementations of it. All of it is shown in microseconds and in U, which is one X25519 of Go's standard library, measured in
turn with everything else: microseconds belong to a machine, and multiples of U can be compared.

With --peers other Sphinx implementations are measured in the same run, by the programs of bench/peers in the source tree,
which the tools of their languages (go, cargo, python3) fetch and build: that takes minutes the first time.

Nothing else should run on the machine meanwhile. The table says how quiet it was.`,
		Example: `  mixnet bench                                 the table
  mixnet bench --text new.txt                  then 'benchstat old.txt new.txt'
  mixnet bench --only 'UnwrapBatch/.*P=1024'   a part of it
  mixnet bench --peers --plots plots           with other implementations, and drawn`,
		Args: noArguments,
	}
	var o benchOptions
	flags := cmd.Flags()
	flags.BoolVar(&o.quick, "quick", false, "some seconds: to see that it works; its figures are worth little")
	flags.IntVar(&o.rounds, "rounds", bench.Long.Rounds, "how often each operation is measured")
	flags.StringVar(&o.only, "only", "", "measure what has a name, as in --text, that matches this regular `expression`")
	flags.BoolVar(&o.peers, "peers", false, "measure other implementations, too")
	flags.StringVar(&o.folder, "peers-dir", "", "the `folder` bench/peers of the source tree, where this does not run inside of it")
	flags.StringVar(&o.from, "from", "", "measure nothing, and show what this `file` of --json has")
	flags.StringVar(&o.json, "json", "", "write everything to this `file`, every round included")
	flags.StringVar(&o.text, "text", "", "write a line for each round to this `file`, as benchstat reads it")
	flags.StringVar(&o.plots, "plots", "", "draw SVG files into this `folder`")
	for _, flag := range []string{"quick", "rounds", "only", "peers", "peers-dir"} {
		cmd.MarkFlagsMutuallyExclusive("from", flag)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := o.config(flags.Changed("rounds"))
		if err != nil {
			return err
		}
		return o.run(cmd.Context(), cfg, cmd.OutOrStdout())
	}
	return cmd
}

type benchOptions struct {
	quick, peers      bool
	rounds            int
	only, folder      string
	from              string
	json, text, plots string
}

// config returns what the flags ask for.
func (o *benchOptions) config(roundsGiven bool) (bench.Config, error) {
	cfg := bench.Long
	if o.quick {
		cfg = bench.Quick
	}
	if roundsGiven {
		cfg.Rounds = o.rounds
	}
	if cfg.Rounds < 1 {
		return cfg, fmt.Errorf("--rounds %d: must be at least 1", cfg.Rounds)
	}
	if o.folder != "" {
		o.peers = true
	}
	if o.only != "" {
		expression, err := regexp.Compile(o.only)
		if err != nil {
			return cfg, fmt.Errorf("--only: %w", err)
		}
		cfg.Only = expression
	}
	return cfg, nil
}

// run measures, shows, and writes what was asked for. What could stop it after minutes of work is tried first.
func (o *benchOptions) run(ctx context.Context, cfg bench.Config, out io.Writer) error {
	if o.peers && o.folder == "" {
		var err error
		if o.folder, err = bench.PeersFolder(ctx); err != nil {
			return fmt.Errorf("--peers: %w (--peers-dir)", err)
		}
	}
	if info, err := os.Stat(o.folder); o.peers && (err != nil || !info.IsDir()) {
		return fmt.Errorf("--peers-dir: there is no folder %s", o.folder)
	}
	writers := []struct {
		flag, name string
		write      func(io.Writer, *bench.Report) error
		file       *newFile
	}{
		{flag: "--json", name: o.json, write: func(w io.Writer, r *bench.Report) error { return r.WriteJSON(w) }},
		{flag: "--text", name: o.text, write: render.Text},
	}
	for i := range writers {
		if w := &writers[i]; w.name != "" {
			var err error
			if w.file, err = createFile(w.name); err != nil {
				return fmt.Errorf("%s: %w", w.flag, err)
			}
			defer w.file.discard()
		}
	}
	if o.plots != "" {
		if err := os.MkdirAll(o.plots, 0o777); err != nil {
			return fmt.Errorf("--plots: %w", err)
		}
	}

	r, err := o.report(ctx, cfg)
	if err != nil {
		return err
	}
	if err := render.Table(out, r); err != nil {
		return err
	}
	for _, w := range writers {
		if w.file == nil {
			continue
		}
		var text bytes.Buffer
		err := w.write(&text, r)
		if err == nil {
			err = w.file.keep(text.Bytes())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", w.flag, err)
		}
	}
	if o.plots != "" {
		names, err := render.Plots(o.plots, r)
		if err != nil {
			return fmt.Errorf("--plots: %w", err)
		}
		fmt.Fprintf(out, "\nDrawn in %s: %s\n", o.plots, strings.Join(names, ", "))
	}
	return nil
}

// report measures, or reads what was measured before.
func (o *benchOptions) report(ctx context.Context, cfg bench.Config) (*bench.Report, error) {
	if o.from != "" {
		file, err := os.Open(o.from)
		if err != nil {
			return nil, fmt.Errorf("--from: %w", err)
		}
		defer file.Close()
		r, err := bench.ReadJSON(file)
		if err != nil {
			return nil, fmt.Errorf("--from: %s is not what --json writes: %w", o.from, err)
		}
		return r, nil
	}
	shown := newStatusLine(os.Stderr)
	defer shown.clear()
	cfg.Progress = benchProgress(shown)
	r, err := bench.Run(ctx, cfg)
	if err != nil {
		return nil, err
	}
	r.Machine.Version = version()
	if o.peers {
		err = bench.MeasurePeers(ctx, cfg, r, o.folder)
	}
	return r, err
}

// benchProgress shows how far a run is: on a terminal a line that changes, elsewhere a line for each stage.
func benchProgress(shown *statusLine) func(bench.Progress) {
	stage := ""
	return func(p bench.Progress) {
		text := fmt.Sprintf("%s: %s %d of %d", p.Stage, p.Step, p.Done+1, p.Total)
		if p.Left > 0 {
			text += fmt.Sprintf(", %v left", p.Left.Round(time.Second))
		}
		shown.show(text)
		if !shown.terminal && p.Stage != stage {
			stage = p.Stage
			fmt.Fprintln(shown.out, text)
		}
	}
}
