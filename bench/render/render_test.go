package render

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/bench"
)

// report is one as a run returns it, with figures that are easy to follow: U is 50 µs.
func report() *bench.Report {
	r := &bench.Report{
		Rounds: 31, Took: time.Minute, Load: &bench.Load{Others: 0.012},
		Machine: bench.Machine{
			System: "linux", Processor: "amd64", Model: "Test CPU", Cores: 2, Go: "go1.26",
			X25519: "AVX-512 IFMA", Symmetric: "AVX-512",
		},
		Unit:      bench.Summary{Median: 50_000, Low: 49_900, High: 50_100},
		UnitOfAll: bench.Summary{Median: 50_000, Low: 49_800, High: 50_900}, QuietLimit: 55_000, Quiet: 0.97,
	}
	add := func(s bench.Subject, units float64) {
		call := units * float64(max(1, s.Items))
		r.Measurements = append(r.Measurements, bench.Measurement{
			Name: s.Name(), Subject: s,
			Nanoseconds: bench.Summary{Median: units * 50_000, Low: units * 49_000, High: units * 51_000},
			Units:       bench.Summary{Median: units, Low: units * 0.98, High: units * 1.02},
			Rounds: []bench.Round{
				{Calls: 10, Nanoseconds: call * 50_000, Unit: 50_000, Counts: true},
				{Calls: 10, Nanoseconds: call * 51_000, Unit: 51_000, Counts: true},
				{Calls: 10, Nanoseconds: 1, Unit: 99_000},
			},
		})
	}
	for _, payload := range []int{1024, 32768} {
		add(bench.Subject{Kind: "Unwrap", Hops: 5, Payload: payload}, 1)
		add(bench.Subject{Kind: "UnwrapBatch", Hops: 5, Payload: payload, Items: 8}, 0.5)
		add(bench.Subject{Kind: "UnwrapBatch", Hops: 5, Payload: payload, Items: 64}, 0.25)
	}
	add(bench.Subject{Kind: "Wrap", Hops: 5, Payload: 1024}, 4)
	add(bench.Subject{Kind: "X25519", Point: "any", Implementation: "sphinx", Items: 8}, 0.1)
	add(bench.Subject{Kind: "ChaCha20", Size: 992, Implementation: "xcrypto"}, 0.04)
	r.Shares = []bench.Share{{
		Name: "Unwrap/r=5/P=1024", Payload: 1024, Whole: 1,
		Parts: []bench.Part{{Primitive: "X25519", Units: 0.6}, {Primitive: "BLAKE2b", Units: 0.2}},
	}, {
		Name: "UnwrapBatch/r=5/P=1024/n=64", Payload: 1024, Items: 64, Whole: 0.25, // less than its parts by themselves
		Parts: []bench.Part{{Primitive: "X25519", Units: 0.24}, {Primitive: "BLAKE2b", Units: 0.06}},
	}}
	each := func(n float64) bench.Summary { return bench.Summary{Median: n, Low: n - 1000, High: n + 1000} }
	r.Cores = []bench.Cores{
		{
			Cores: 1, Free: true, Rate: each(80_000), Got: bench.Summary{Median: 1}, Each: each(80_000),
			Rounds: []bench.CoresRound{{Rate: 79_000, Got: 1, Counts: true}, {Rate: 81_000, Got: 1, Counts: true}},
		},
		{
			Cores: 2, Free: true, Rate: each(156_000), Got: bench.Summary{Median: 0.97}, Each: each(80_412),
			Rounds: []bench.CoresRound{{Rate: 150_000, Got: 0.5}, {Rate: 158_000, Got: 1, Counts: true}},
		},
	}
	r.Peers = []bench.Peer{{
		Peer: "other", Version: "v0.1", Operation: "unwrap", Hops: 5, Payload: 1024, Packet: 1300, Note: "the same job.",
		Nanoseconds: bench.Summary{Median: 550_000, Low: 540_000, High: 560_000},
		Units:       bench.Summary{Median: 10, Low: 9.8, High: 10.2},
		Rounds: []bench.PeerRound{
			{Nanoseconds: 540_000, Unit: 54_000, Counts: true},
			{Nanoseconds: 560_000, Unit: 56_000, Counts: true},
			{Nanoseconds: 1, Unit: 99_000},
		},
	}}
	secp := r.Peers[0]
	secp.Operation = "secp256k1"
	r.Peers = append(r.Peers, secp)
	r.Missing = []bench.Missing{{What: "peers/rust", Reason: "cargo is not installed here"}}
	return r
}

// fields returns the cells of the one line of text that matches the pattern.
func fields(t *testing.T, text, pattern string) []string {
	t.Helper()
	lines := regexp.MustCompile("(?m)^.*"+pattern+".*$").FindAllString(text, -1)
	require.Len(t, lines, 1, "%s in\n%s", pattern, text)
	return regexp.MustCompile(` {2,}`).Split(strings.TrimSpace(lines[0]), -1)
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Table(&out, report()))
	text := out.String()
	require.True(t, strings.HasPrefix(text, "Test CPU, 2 cores, linux/amd64, go1.26\n"), text)
	require.Contains(t, text, "AVX-512 IFMA for X25519, AVX-512 for ChaCha20 and BLAKE2b")
	require.Contains(t, text, "50.0 µs here (quartiles 49.9 to 50.1).\nWhat counts")
	for pattern, want := range map[string][]string{
		"batch of 64 .*80000":     {"batch of 64", "12.5", "0.25", "0.24 – 0.26", "80000", "4.0×"},
		"P, bytes":                {"P, bytes", "one packet", "n = 8", "n = 64"},
		"^ *32768":                {"32768", "50.0", "25.0", "12.5"},
		"make a packet .*1024":    {"make a packet", "1024", "200", "4.00", "3.92 – 4.08"},
		"156000":                  {"2", "156000", "155000 – 157000", "1.95×", "97 %", "80412"},
		"P = 1024, one packet":    {"P = 1024, one packet", "1.00", "60 %", "20 %", "20 %", "0.80", "1.25"},
		"P = 1024, batch of 64":   {"P = 1024, batch of 64", "0.25", "80 %", "20 %", "0 %", "0.30", "0.83"},
		"X25519, any":             {"X25519, any point", "this library", "8", "5.00", "0.10", "0.098 – 0.10"},
		"ChaCha20, 992":           {"ChaCha20, 992 B", "x/crypto", "2.00", "0.040", "0.039 – 0.041", "0.50"},
		"other  .*v0.1.*×":        {"other", "v0.1", "1024", "5", "550", "10.0", "9.80 – 10.2", "10.0×", "40.0×"},
		`other \(secp256k1\)  .*`: {"other (secp256k1)", "v0.1", "550", "10.0", "9.80 – 10.2"},
	} {
		require.Equal(t, want, fields(t, text, pattern))
	}
	require.Contains(t, text, "  other: the same job.\n")
	require.NotContains(t, text, "Other programs ran")
	r := report()
	r.Peers[0].Rounds[0].Unit = 70_000
	r.Peers[0].Version = "v1.2.1-0.20240712235311-98bd56499dfb"
	r.Cores[1].Free = false
	out.Reset()
	require.NoError(t, Table(&out, r))
	require.Contains(t, out.String(), "  other v1.2.1-0.20240712235311-98bd56499dfb: the same job. "+
		"(Measured while the machine was busy: U was 63.0 µs.)\n")
	require.Contains(t, out.String(), " v1.2.1-…98bd564 ")
	require.Contains(t, out.String(), "Other programs ran in most rounds, and packets/s and gain say little, of so many cores: 2.")
	for line := range strings.Lines(out.String()) {
		require.LessOrEqual(t, utf8.RuneCountInString(line), 121, line)
	}
	require.Contains(t, text, "peers/rust: cargo is not installed here")
	for line := range strings.Lines(text) {
		require.Equal(t, strings.TrimRight(line, " \n")+"\n", line, "spaces at the end of a line")
	}
}

// TestTableOfLess: what was not measured has no table, and nothing is divided by it.
func TestTableOfLess(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Table(&out, &bench.Report{Machine: bench.Machine{Cores: 1}}))
	require.Equal(t, 6, strings.Count(out.String(), "\n"), out.String())

	r := report()
	r.Measurements = r.Measurements[1:2] // a batch of 8
	out.Reset()
	require.NoError(t, Table(&out, r))
	require.NotContains(t, out.String(), "NaN")
	require.NotContains(t, out.String(), "Inf")
	require.NotContains(t, out.String(), "this library, one")
}

func TestFold(t *testing.T) {
	require.Equal(t, "  one two\n    three\n    µµµµµµµµµµµµ\n    four\n", fold("one two three µµµµµµµµµµµµ four", 10))
}

func TestTableFails(t *testing.T) {
	full := errors.New("disk full")
	var whole bytes.Buffer
	require.NoError(t, Table(&whole, report()))
	for room := 0; room < whole.Len(); room += 50 {
		require.ErrorIs(t, Table(&limited{room, full}, report()), full)
	}
}

// limited takes so many bytes and then fails.
type limited struct {
	room int
	err  error
}

func (w *limited) Write(p []byte) (int, error) {
	if w.room -= len(p); w.room < 0 {
		return 0, w.err
	}
	return len(p), nil
}

// TestTableShowsNothingTwice: where only packets of the main size were measured, one table has them.
func TestTableShowsNothingTwice(t *testing.T) {
	r := report()
	r.Measurements, r.Cores, r.Shares, r.Peers = r.Measurements[:1], nil, nil, nil
	var out bytes.Buffer
	require.NoError(t, Table(&out, r))
	require.Contains(t, out.String(), "One hop that relays")
	require.NotContains(t, out.String(), "The same for other payloads")
}

func TestShortVersion(t *testing.T) {
	for version, want := range map[string]string{
		"v1.2.1-0.20240712235311-98bd56499dfb":     "v1.2.1-…98bd564",
		"v0.0.0-20240712235311-98bd56499dfb":       "v0.0.0-…98bd564",
		"v1.2.3-rc1.0.20240712235311-98bd56499dfb": "v1.2.3-…98bd564",
		"v1.2.3-rc1": "v1.2.3-rc1", "0.8.0": "0.8.0", "v0.0.12": "v0.0.12",
	} {
		short, shortened := shortVersion(version)
		require.Equal(t, want, short)
		require.Equal(t, want != version, shortened)
	}
}

// TestNoise: a machine is called quiet only where that is known, and figures worth little where those are that count.
func TestNoise(t *testing.T) {
	of := func(change func(*bench.Report)) string {
		r := report()
		change(r)
		said := noise(r)
		for line := range strings.Lines(said) {
			require.LessOrEqual(t, utf8.RuneCountInString(line), 120, line)
		}
		return said
	}
	const quiet, little = "was quiet", "worth little"
	good := of(func(*bench.Report) {})
	require.Contains(t, good, "U was at most 55.0 µs, near its best: 97 % of all, whose quartiles were 49.8 to 50.9.")
	require.Contains(t, good, "The machine was quiet, as far as it knows: other programs took 1 % of its cores' time, and U was steady.")
	require.NotContains(t, good, little)

	for name, change := range map[string]func(*bench.Report){
		"few rounds":  func(r *bench.Report) { r.Rounds = 3 },
		"short":       func(r *bench.Report) { r.Took, r.Load = time.Second, nil },
		"unknown":     func(r *bench.Report) { r.Load = nil },
		"all busy":    func(r *bench.Report) { r.Load.Others = 0.5 }, // though U is as steady as can be
		"own waited":  func(r *bench.Report) { r.Load.Waited = 0.3 },
		"unsteady":    func(r *bench.Report) { r.Quiet = 0.5 },
		"cores alone": func(r *bench.Report) { r.Measurements = nil },
		"empty":       func(r *bench.Report) { *r = bench.Report{} },
	} {
		require.NotContains(t, of(change), quiet, name)
	}

	// Busy for most of the time, and yet every figure is of quiet rounds.
	right := of(func(r *bench.Report) { r.Quiet, r.Load.Others, r.UnitOfAll.High = 0.12, 0.5, 99_000 })
	require.NotContains(t, right, little)
	require.Contains(t, right, "12 % of all, whose quartiles were 49.8 to 99.0.")
	require.Contains(t, right, "other programs took 50 %")

	// Quiet for most, and yet some are not.
	wrong := of(func(r *bench.Report) { r.Measurements[1].Rounds[2].Counts = true })
	require.Contains(t, wrong, "Worth little, for want of 11 such rounds, and marked *: UnwrapBatch/r=5/P=1024/n=8.")
	wrong = of(func(r *bench.Report) {
		for i := range 5 {
			r.Measurements[i].Rounds[2].Counts = true
		}
	})
	require.Contains(t, wrong, "5 of the 9 operations had fewer than 11 such rounds, and their figures, marked *, are worth little.")
	require.Contains(t, of(func(r *bench.Report) { r.QuietLimit = 1000 }), "The figures are worth little: for none")
	require.Contains(t, of(func(r *bench.Report) { r.Rounds = 3 }), little)
}

// TestFiguresWorthLittleAreMarked, in each table that has them, and no others; where all are worth little, none is.
func TestFiguresWorthLittleAreMarked(t *testing.T) {
	table := func(change func(i int, r *bench.Report)) string {
		r := report()
		for i := range r.Measurements {
			change(i, r)
		}
		var out bytes.Buffer
		require.NoError(t, Table(&out, r))
		return out.String()
	}
	spoil := func(i int, r *bench.Report) { r.Measurements[i].Rounds[2].Counts = true }
	some := table(func(i int, r *bench.Report) {
		if i%2 == 0 { // of P = 1024 one packet and 64, of P = 32768 a batch of 8, then Wrap and ChaCha20
			spoil(i, r)
		}
	})
	for pattern, want := range map[string][]string{
		"one packet .*20000":  {"one packet", "*50.0", "1.00", "0.98 – 1.02", "20000"},
		"batch of 8 ":         {"batch of 8", "25.0", "0.50", "0.49 – 0.51", "40000", "2.0×"},
		"^ *32768":            {"32768", "50.0", "*25.0", "12.5"},
		"make a packet .*":    {"make a packet", "1024", "*200", "4.00", "3.92 – 4.08"},
		"P = 1024, one":       {"P = 1024, one packet", "*1.00", "60 %", "20 %", "20 %", "0.80", "1.25"},
		"X25519, any":         {"X25519, any point", "this library", "8", "5.00", "0.10", "0.098 – 0.10"},
		"ChaCha20, 992":       {"ChaCha20, 992 B", "x/crypto", "*2.00", "0.040", "0.039 – 0.041", "0.50"},
		"this library, batch": {"this library, batch of 64", "1024", "5", "*12.5", "0.25", "0.24 – 0.26", "0.25×", "1.00×"},
	} {
		require.Equal(t, want, fields(t, some, pattern))
	}
	require.NotContains(t, table(spoil), "*")
	require.NotContains(t, table(func(int, *bench.Report) {}), "*")
}

// TestText is what benchstat reads: https://go.dev/design/14313-benchmark-format.
func TestText(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Text(&out, report()))
	require.True(t, strings.HasPrefix(out.String(), "goos: linux\ngoarch: amd64\npkg: sphinxmix.example/bench\ncpu: Test CPU\n"))
	result := regexp.MustCompile(`^Benchmark[A-Z][^ \t]*-2\t[1-9][0-9]*(\t[0-9.e-]+ [a-zA-Z/]+)+\n$`)
	lines := 0
	for line := range strings.Lines(out.String()) {
		if lines++; lines > 4 {
			require.Regexp(t, result, line)
		}
	}
	require.Equal(t, 4+2*(9+2)+1+2, lines)
	require.Contains(t, out.String(), "BenchmarkUnwrapBatch/r=5/P=1024/n=64-2\t10\t800000.0 ns/op\t50000.0 ns/U\t12500.0 ns/packet\t0.25 U/packet\n")
	require.Contains(t, out.String(), "BenchmarkX25519/point=any/impl=sphinx/n=8-2\t10\t40000.0 ns/op\t50000.0 ns/U\t5000.0 ns/message\t0.1 U/message\n")
	require.Contains(t, out.String(), "BenchmarkUnwrap/r=5/P=1024-2\t10\t50000.0 ns/op\t50000.0 ns/U\t1 U/op\n")
	require.Contains(t, out.String(), "BenchmarkPeer/peer=other/op=unwrap/r=5/P=1024-2\t1\t540000.0 ns/op\t54000.0 ns/U\t10 U/op\n")
}

// TestPlots are files of SVG that say what they show.
func TestPlots(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "new", "plots")
	names, err := Plots(folder, report())
	require.NoError(t, err)
	require.Equal(t, []string{"cores.svg", "hop.svg", "peers.svg", "shares.svg"}, names)
	for name, words := range map[string][]string{
		"hop.svg":    {"payload 1024 B", "packets in a batch", ">10<", ">15<"},
		"cores.svg":  {"cores", ">measured<", "as many times one core", ">20<", ">140<"},
		"shares.svg": {"X25519", "BLAKE2b", "all else"}, "peers.svg": {"other", "this, batch of 64", "measured beside each"},
	} {
		words = append(words, "Test CPU, 2 cores; AVX-512 IFMA; U = 50.0 µs")
		content, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err)
		for _, word := range words {
			require.Contains(t, string(content), word, name)
		}
		require.NotContains(t, string(content), "NaN", name)
		for parser := xml.NewDecoder(bytes.NewReader(content)); ; {
			if _, err := parser.Token(); err != nil {
				require.ErrorIs(t, err, io.EOF, name)
				break
			}
		}
	}
	for _, none := range []string{"reckoned", "beside other programs"} {
		content, err := os.ReadFile(filepath.Join(folder, "cores.svg"))
		require.NoError(t, err)
		require.NotContains(t, string(content), none, "what was measured on free cores is all there is to show")
	}

	r := report()
	r.Shares, r.Cores[1].Free = r.Shares[1:], false
	_, err = Plots(folder, r)
	require.NoError(t, err)
	content, err := os.ReadFile(filepath.Join(folder, "shares.svg"))
	require.NoError(t, err)
	require.NotContains(t, string(content), "all else", "a band of nothing")
	content, err = os.ReadFile(filepath.Join(folder, "cores.svg"))
	require.NoError(t, err)
	require.Contains(t, string(content), "measured, beside other programs")
	require.Contains(t, string(content), "reckoned for cores without other programs")

	nothing := filepath.Join(t.TempDir(), "nothing")
	names, err = Plots(nothing, new(bench.Report))
	require.NoError(t, err)
	require.Empty(t, names)
	require.NoDirExists(t, nothing)
}
