// Linkability measures what an observer of all links of a mix finds out about who sent what, for each strategy of package
// mix, in virtual time. README.md says how, and what came out.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"sphinxmix.example/node/mix"
)

func main() {
	messages := flag.Int("messages", 100_000, "how many leave each mix")
	out := flag.String("out", "bench/plots", "the `folder` for linkability.json and plots")
	seed := flag.Uint("seed", 1, "of all that is random, 0 to 255; the same seed gives the same results")
	flag.Parse()
	if flag.NArg() > 0 || *messages < 1 || *seed > 255 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(os.Stdout, *out, *messages, byte(*seed), scenarios()); err != nil {
		fmt.Fprintln(os.Stderr, "linkability:", err)
		os.Exit(1)
	}
}

func run(stdout io.Writer, folder string, messages int, seed byte, all []scenario) error {
	var results []result
	for i, c := range all {
		random := rand.NewChaCha8([32]byte{seed, byte(i), byte(i >> 8)})
		c.cfg.Rand = random
		strategy, err := mix.New[packet](c.cfg)
		if err != nil {
			return err
		}
		r, err := simulate(c, strategy, messages, random)
		if err != nil {
			return err
		}
		results = append(results, r)
	}
	if err := table(stdout, results); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	written, err := json.MarshalIndent(results, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "linkability.json"), append(written, '\n'), 0o666); err != nil {
		return err
	}
	return plots(folder, results)
}

// table prints results as Markdown, and how many are not as predicted.
func table(w io.Writer, results []result) error {
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintln(t, "| load\t| strategy\t| parameter\t| messages\t| linked, 95%\t| predicted\t| in order, 95%\t| predicted\t| 1/n\t| entropy\t| latency\t| p95\t|")
	fmt.Fprintln(t, "|"+strings.Repeat("---\t|", 12))
	outside := 0
	for _, r := range results {
		fmt.Fprintf(t, "| %v/s\t| %s\t| %s\t| %d\t| %.4f – %.4f\t| %.4f\t| %.4f – %.4f\t| %.4f\t| %.4f\t| %.2f bits\t| %.2f s\t| %.2f s\t|\n",
			r.Rate, r.Strategy, r.Parameter, r.Messages, r.Linked.Low, r.Linked.High, r.LinkedPredicted,
			r.InOrder.Low, r.InOrder.High, r.InOrderPredicted, r.OneInHeld, r.Entropy, r.MeanLatency, r.P95Latency)
		if !r.Linked.Contains(r.LinkedPredicted) {
			outside++
		}
	}
	fmt.Fprintf(t, "\nlinked: of %d intervals %d do not have the predicted rate in them; about %.0f would be by chance.\n",
		len(results), outside, 0.05*float64(len(results)))
	return t.Flush()
}
