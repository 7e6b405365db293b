package render

import (
	"bufio"
	"fmt"
	"io"

	"sphinxmix.example/bench"
)

// Text writes r in the format of `go test -bench`, a line for each round that counts, so that benchstat tells what
// differs between two runs, and how sure that is.
func Text(w io.Writer, r *bench.Report) error {
	out := bufio.NewWriter(w)
	m := r.Machine
	fmt.Fprintf(out, "goos: %s\ngoarch: %s\npkg: sphinxmix.example/bench\ncpu: %s\n", m.System, m.Processor, m.Model)
	suffix := ""
	if m.Cores > 1 {
		suffix = fmt.Sprintf("-%d", m.Cores) // as go test prints it, whatever a benchmark uses
	}
	for _, b := range r.Measurements {
		for _, round := range b.Rounds {
			if !round.Counts {
				continue
			}
			fmt.Fprintf(out, "Benchmark%s%s\t%d\t%.1f ns/op\t%.1f ns/U",
				b.Name, suffix, round.Calls, round.Nanoseconds, round.Unit)
			if b.Items == 0 {
				fmt.Fprintf(out, "\t%.5g U/op\n", round.Nanoseconds/round.Unit)
			} else {
				each := round.Nanoseconds / float64(b.Items)
				fmt.Fprintf(out, "\t%.1f ns/%s\t%.5g U/%s\n", each, b.Item(), each/round.Unit, b.Item())
			}
		}
	}
	for _, c := range r.Cores {
		for _, round := range c.Rounds {
			if round.Counts {
				fmt.Fprintf(out, "BenchmarkCores/r=5/P=1024/n=64/cores=%d%s\t1\t%.1f ns/op\t%.1f packets/s\n",
					c.Cores, suffix, 64e9/round.Rate, round.Rate)
			}
		}
	}
	for _, p := range r.Peers {
		for _, r := range p.Rounds {
			if !r.Counts {
				continue
			}
			fmt.Fprintf(out, "BenchmarkPeer/peer=%s/op=%s/r=%d/P=%d%s\t1\t%.1f ns/op\t%.1f ns/U\t%.5g U/op\n",
				p.Peer, p.Operation, p.Hops, p.Payload, suffix, r.Nanoseconds, r.Unit, r.Nanoseconds/r.Unit)
		}
	}
	return out.Flush()
}
