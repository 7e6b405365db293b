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
		Long: `Measure this library: a hop, for single packets and batches; senders; many cores; and every primitive beside
other implementations of it. All of it is shown in microseconds and in U, which is one X25519 of Go's standard library,
measured in turn with everything else: microseconds belong to a machine, and multiples of U can be compared.

With --peers other Sphinx implementations are measured in the same run, by the programs of bench/peers in the source
tree, which the tools of their languages (go, cargo, python3) fetch and build: that takes minutes the first time.

Nothing else should run on the machine meanwhile. The table says how steady it was, and how busy with what else.

The table goes to standard output, or to standard error where --json - or --text - have taken that.`,
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
	flags.StringVar(&o.folder, "peers-dir", "", "--peers, by the `folder` bench/peers of a source tree elsewhere")
	flags.StringVar(&o.from, "from", "", "measure nothing, and show what this `file` of --json has")
	flags.StringVar(&o.json, "json", "", "write everything to this `file`, every round included; - is standard output")
	flags.StringVar(&o.text, "text", "", "write each round that counts to this `file`, as benchstat reads it; - as above")
	flags.StringVar(&o.plots, "plots", "", "draw SVG files into this `folder`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, flag := range []string{"quick", "rounds", "only", "peers", "peers-dir"} {
			if flags.Changed("from") && flags.Changed(flag) {
				return fmt.Errorf("--from shows what was measured before, and --%s says what to measure: choose one", flag)
			}
		}
		cfg, err := o.config(flags.Changed("rounds"))
		if err != nil {
			return err
		}
		return o.run(cmd.Context(), cfg, cmd.OutOrStdout(), cmd.ErrOrStderr())
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
	o.peers = o.peers || o.folder != ""
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
func (o *benchOptions) run(ctx context.Context, cfg bench.Config, out, errs io.Writer) (err error) {
	if o.peers {
		if o.folder, err = bench.PeersFolder(ctx, o.folder); err != nil {
			return fmt.Errorf("--peers-dir: %w", err)
		}
	}
	files, err := o.files(out)
	for _, f := range files {
		defer f.discard()
	}
	if err != nil {
		return err
	}
	if o.plots != "" {
		folder, err := createFolder(o.plots)
		if err != nil {
			return fmt.Errorf("--plots: %w", err)
		}
		defer folder.discard()
	}

	r, err := o.report(ctx, cfg)
	if err != nil {
		return err
	}
	table := out
	for _, f := range files {
		if f.file == nil {
			table = errs
		}
		if err := f.keep(r); err != nil {
			return fmt.Errorf("%s: %w", f.flag, err)
		}
	}
	if err := render.Table(table, r); err != nil {
		return err
	}
	if o.plots == "" {
		return nil
	}
	names, err := render.Plots(o.plots, r)
	if err != nil {
		return fmt.Errorf("--plots: %w", err)
	}
	if len(names) == 0 {
		fmt.Fprintln(errs, "Nothing is drawn: neither hops in batches were measured, nor cores, all parts of a hop, or peers.")
	} else {
		fmt.Fprintf(errs, "Drawn in %s: %s\n", o.plots, strings.Join(names, ", "))
	}
	return nil
}

// benchFile is one that a run writes at its end.
type benchFile struct {
	flag  string
	write func(io.Writer, *bench.Report) error
	out   io.Writer // standard output
	file  *newFile  // nil: out
}

// files starts those that were asked for. Beside an error it returns those that it started.
func (o *benchOptions) files(out io.Writer) (files []*benchFile, err error) {
	for _, f := range []struct {
		flag, name string
		write      func(io.Writer, *bench.Report) error
	}{
		{"--json", o.json, func(w io.Writer, r *bench.Report) error { return r.WriteJSON(w) }},
		{"--text", o.text, render.Text},
	} {
		if f.name == "" {
			continue
		}
		started := &benchFile{flag: f.flag, write: f.write, out: out}
		if !isStandardOutput(f.name) {
			if started.file, err = createFile(f.name); err != nil {
				return files, fmt.Errorf("%s: %w", f.flag, err)
			}
		}
		if files = append(files, started); len(files) == 2 && files[0].same(files[1]) {
			return files, fmt.Errorf("--json and --text both name %s: one of them would be lost", f.name)
		}
	}
	return files, nil
}

// isStandardOutput says whether name is "-", or that of what standard output is, like /dev/stdout.
func isStandardOutput(name string) bool {
	if name == "-" || name == os.DevNull {
		return name == "-"
	}
	named, err := os.Stat(name)
	if err != nil {
		return false
	}
	standard, err := os.Stdout.Stat()
	return err == nil && os.SameFile(named, standard)
}

// same reports whether two files are one. Devices take what both write.
func (f *benchFile) same(other *benchFile) bool {
	if f.file == nil || other.file == nil {
		return f.file == other.file
	}
	return f.file.name != "" && f.file.name == other.file.name
}

// keep writes what r has for the file.
func (f *benchFile) keep(r *bench.Report) error {
	var text bytes.Buffer
	if err := f.write(&text, r); err != nil {
		return err
	}
	if f.file == nil {
		_, err := f.out.Write(text.Bytes())
		return err
	}
	if err := f.file.shared(); err != nil {
		return err
	}
	return f.file.keep(text.Bytes())
}

func (f *benchFile) discard() {
	if f.file != nil {
		f.file.discard()
	}
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
