// Package render shows what package bench measured: as tables, as text for benchstat, and as plots. It measures
// nothing.
package render

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"sphinxmix.example/bench"
)

// Table writes r for people.
func Table(w io.Writer, r *bench.Report) error {
	t := &tables{w: w, r: r, marks: marks(r)}
	t.header()
	t.hops()
	t.payloads()
	t.senders()
	t.cores()
	t.shares()
	t.primitives()
	t.peers()
	t.missing()
	return t.err
}

// tables is a writer of tables that keeps the first error.
type tables struct {
	w     io.Writer
	r     *bench.Report
	marks map[string]string // by names of measurements
	err   error
}

func (t *tables) printf(format string, arguments ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format, arguments...)
	}
}

// write writes rows below a title, all columns but the first to the right. It writes nothing where there are no rows.
func (t *tables) write(title string, columns []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	t.printf("\n%s\n\n", title)
	// A tabwriter aligns all cells alike, so that the first ones are filled up here.
	width := 0
	for _, row := range append([][]string{columns}, rows...) {
		width = max(width, len([]rune(row[0])))
	}
	var aligned bytes.Buffer
	out := tabwriter.NewWriter(&aligned, 0, 0, 3, ' ', tabwriter.AlignRight)
	for _, row := range append([][]string{columns}, rows...) {
		first := row[0] + strings.Repeat(" ", width-len([]rune(row[0])))
		fmt.Fprintf(out, "%s\t%s\t\n", first, strings.Join(row[1:], "\t"))
	}
	out.Flush()
	for line := range strings.Lines(aligned.String()) {
		t.printf("%s\n", strings.TrimRight(line, " \n"))
	}
}

func (t *tables) header() {
	r, m := t.r, t.r.Machine
	t.printf("%s, %s, %s/%s, %s", m.Model, plural(m.Cores, "core"), m.System, m.Processor, m.Go)
	if m.Version != "" {
		t.printf(", mixnet %s", m.Version)
	}
	t.printf("\nIn use here: %s for X25519, %s for ChaCha20 and BLAKE2b.\n", m.X25519, m.Symmetric)
	t.printf("\nU, the unit, is one crypto/ecdh X25519 with ready keys: %s µs here (quartiles %s to %s).\n%s\n",
		micro(r.Unit.Median), micro(r.Unit.Low), micro(r.Unit.High), noise(r))
	t.printf("Figures are medians over rounds on one core, in U by U right before and after; beside them are quartiles.\n")
}

// figures are the columns for one measurement.
func (t *tables) figures(m *bench.Measurement) []string {
	return []string{t.micro(m), unit(m.Units.Median), unit(m.Units.Low) + " – " + unit(m.Units.High)}
}

// micro is the median of a measurement, with its mark.
func (t *tables) micro(m *bench.Measurement) string {
	return t.marks[m.Name] + micro(m.Nanoseconds.Median)
}

func (t *tables) hops() {
	var rows [][]string
	var reference float64
	for _, m := range t.r.Measurements {
		if m.Payload != 1024 || m.Kind != "Unwrap" && m.Kind != "UnwrapBatch" {
			continue
		}
		name := "one packet"
		if m.Kind == "UnwrapBatch" {
			name = "batch of " + fmt.Sprint(m.Items)
		} else {
			reference = m.Units.Median
		}
		gain := ""
		if reference > 0 && m.Items > 0 {
			gain = fmt.Sprintf("%.1f×", reference/m.Units.Median)
		}
		rate := fmt.Sprintf("%.0f", 1e9/m.Nanoseconds.Median)
		rows = append(rows, append(append([]string{name}, t.figures(&m)...), rate, gain))
	}
	columns := []string{"", "µs", "U", "quartiles", "packets/s on a core", ""}
	t.write("One hop that relays, per packet: r = 5, P = 1024", columns, rows)
}

// payloads shows batches across, payloads down.
func (t *tables) payloads() {
	var rows [][]string
	columns := []string{"P, bytes"}
	for _, m := range t.r.Measurements {
		if m.Kind != "Unwrap" && m.Kind != "UnwrapBatch" {
			continue
		}
		if m.Kind == "Unwrap" {
			rows = append(rows, []string{fmt.Sprint(m.Payload)})
		}
		if len(rows) == 0 {
			return // not all were measured
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], t.micro(&m))
		if len(rows) == 1 {
			columns = append(columns, map[bool]string{true: "one packet", false: fmt.Sprintf("n = %d", m.Items)}[m.Items == 0])
		}
	}
	for _, row := range rows {
		if len(row) != len(columns) {
			return
		}
	}
	if len(rows) == 1 && rows[0][0] == "1024" {
		return // which the table above shows
	}
	t.write("The same for other payloads and batches, µs per packet: r = 5", columns, rows)
}

func (t *tables) senders() {
	names := map[string]string{
		"Wrap": "make a packet", "WrapBatch": "make a packet", "SURB": "make a SURB", "ReplyOpen": "open a reply",
	}
	var rows [][]string
	for _, m := range t.r.Measurements {
		name, ok := names[m.Kind]
		if !ok {
			continue
		}
		if m.Items > 0 {
			name += fmt.Sprintf(", one of %d at once", m.Items)
		}
		payload := ""
		if m.Payload > 0 {
			payload = fmt.Sprint(m.Payload)
		}
		rows = append(rows, append([]string{name, payload}, t.figures(&m)...))
	}
	columns := []string{"", "P", "µs", "U", "quartiles"}
	t.write("Senders and receivers of replies, per packet or SURB, paths of 5", columns, rows)
}

func (t *tables) cores() {
	var rows [][]string
	var busy []string
	for _, c := range t.r.Cores {
		left, each := "", ""
		if c.Got.Median > 0 {
			left, each = fmt.Sprintf("%.0f %%", 100*c.Got.Median), fmt.Sprintf("%.0f", c.Each.Median)
			if !c.Free {
				busy = append(busy, fmt.Sprint(c.Cores))
			}
		}
		rows = append(rows, []string{
			fmt.Sprint(c.Cores), fmt.Sprintf("%.0f", c.Rate.Median), fmt.Sprintf("%.0f – %.0f", c.Rate.Low, c.Rate.High),
			fmt.Sprintf("%.2f×", c.Rate.Median/t.r.Cores[0].Rate.Median), left, each,
		})
	}
	t.write("Many cores: batches of 64, r = 5, P = 1024; left: of so many cores' time, what other programs did not take",
		[]string{"cores", "packets/s", "quartiles", "gain", "left", "packets per processor second"}, rows)
	if len(busy) > 0 {
		t.printf("\nOther programs ran in most rounds, and packets/s and gain say little, of so many cores: %s.\n",
			strings.Join(busy, ", "))
	}
}

func (t *tables) shares() {
	var rows [][]string
	for _, s := range t.r.Shares {
		row := []string{hopName(s), t.marks[s.Name] + unit(s.Whole)}
		parts, rest := s.Fractions()
		for _, part := range append(parts, rest) {
			row = append(row, fmt.Sprintf("%.0f %%", 100*part))
		}
		rows = append(rows, append(row, unit(s.Primitives()), fmt.Sprintf("%.2f", s.Whole/s.Primitives())))
	}
	if len(rows) == 0 {
		return
	}
	columns := []string{"", "U"}
	for _, p := range t.r.Shares[0].Parts {
		columns = append(columns, p.Primitive)
	}
	columns = append(columns, "all else", "sum, U", "hop / sum")
	t.write("What a hop consists of: its primitives, each measured by itself, as parts of the hop, or of their sum if larger",
		columns, rows)
}

func hopName(s bench.Share) string {
	if s.Items == 0 {
		return fmt.Sprintf("P = %d, one packet", s.Payload)
	}
	return fmt.Sprintf("P = %d, batch of %d", s.Payload, s.Items)
}

// primitives shows this library's beside others, as multiples of U.
func (t *tables) primitives() {
	var rows [][]string
	for _, m := range t.r.Measurements {
		if m.Implementation == "" {
			continue
		}
		name := fmt.Sprintf("%s, %d B", m.Kind, m.Size)
		if m.Point != "" {
			name = fmt.Sprintf("%s, %s point", m.Kind, m.Point)
		}
		who := map[string]string{"sphinx": "this library", "xcrypto": "x/crypto", "ecdh": "crypto/ecdh"}[m.Implementation]
		if who == "" {
			who = m.Implementation
		}
		together := ""
		if m.Items > 0 {
			together = fmt.Sprint(m.Items)
		}
		rate := ""
		if m.Size > 0 {
			rate = fmt.Sprintf("%.2f", float64(m.Size)/m.Nanoseconds.Median)
		}
		rows = append(rows, append([]string{name, who, together}, append(t.figures(&m), rate)...))
	}
	t.write("Primitives, per message", []string{"", "by", "at once", "µs", "U", "quartiles", "GB/s"}, rows)
}

func (t *tables) missing() {
	for i, m := range t.r.Missing {
		if i == 0 {
			t.printf("\nNot measured:\n")
		}
		t.printf("  %s: %s\n", m.What, m.Reason)
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// micro shows nanoseconds as microseconds, in three digits or so.
func micro(nanoseconds float64) string { return digits(nanoseconds / 1000) }

// unit shows multiples of U.
func unit(value float64) string { return digits(value) }

// digits shows a positive value in about three digits.
func digits(value float64) string {
	switch {
	case value >= 100:
		return fmt.Sprintf("%.0f", value)
	case value >= 10:
		return fmt.Sprintf("%.1f", value)
	case value >= 0.1:
		return fmt.Sprintf("%.2f", value)
	case value >= 0.01:
		return fmt.Sprintf("%.3f", value)
	}
	return fmt.Sprintf("%.4f", value)
}
