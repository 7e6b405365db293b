package render

import (
	"fmt"
	"regexp"
	"strings"

	"sphinxmix.example/bench"
)

// ours are the measurements that stand beside a peer's of the same name: this library's single one, and its best in
// batches.
var ours = map[string][2]string{
	"unwrap":       {"Unwrap/r=5/P=1024", "UnwrapBatch/r=5/P=1024/n=64"},
	"wrap":         {"Wrap/r=5/P=1024", "WrapBatch/r=5/P=1024/n=64"},
	groupOperation: {"X25519/point=any/impl=sphinx/n=1", "X25519/point=any/impl=sphinx/n=64"},
}

const groupOperation = "x25519"

// peerTitles are the tables' for each operation, in their order.
var peerTitles = []struct{ operation, title string }{
	{"unwrap", "Peers: one hop that relays"},
	{"wrap", "Peers: a sender makes a packet"},
	{groupOperation, "Peers: their group operation, beside our X25519"},
}

// peers shows each peer beside this library's hop or sender for r = 5, P = 1024.
func (t *tables) peers() {
	for _, table := range peerTitles {
		operation := table.operation
		var rows [][]string
		notes := ""
		single, batch := t.r.Find(ours[operation][0]), t.r.Find(ours[operation][1])
		row := func(name, version string, m *bench.Measurement, payload, hops int) {
			cells := []string{name, version, number(payload), number(hops)}
			rows = append(rows, append(append(cells, t.figures(m)...), timesAs(m, single), timesAs(m, batch)))
		}
		if single != nil {
			row("this library, one", "", single, single.Payload, single.Hops)
		}
		if batch != nil {
			row("this library, batch of 64", "", batch, batch.Payload, batch.Hops)
		}
		own := len(rows)
		for _, p := range t.r.Peers {
			name, of := p.Peer, p.Operation
			if ours[of] == [2]string{} { // another group's
				name, of = fmt.Sprintf("%s (%s)", name, of), groupOperation
			}
			if of != operation {
				continue
			}
			if of == groupOperation {
				p.Payload, p.Hops = 0, 0 // which have no part in it
			}
			version, shortened := shortVersion(p.Version)
			row(name, version, &bench.Measurement{Nanoseconds: p.Nanoseconds, Units: p.Units}, p.Payload, p.Hops)
			note := p.Peer
			if shortened {
				note += " " + p.Version
			}
			note += fmt.Sprintf(": %s.", strings.TrimSuffix(p.Note, "."))
			if unit := unitOf(p); unit > 1.15*t.r.Unit.Median {
				note += fmt.Sprintf(" (Measured while the machine was busy: U was %s µs.)", micro(unit))
			}
			notes += fold(note, 118)
		}
		if len(rows) == own {
			continue
		}
		columns := []string{"", "version", "P", "hops", "µs", "U", "quartiles", "times one", "times batch"}
		t.write(table.title, columns, rows)
		t.printf("\n%s", notes)
	}
}

// pseudoVersion is what Go calls a commit that has no version: the one before, its time, and its hash.
var pseudoVersion = regexp.MustCompile(`^(v[0-9]+\.[0-9]+\.[0-9]+)-(?:[^+]*\.)?[0-9]{14}-([0-9a-f]{7})[0-9a-f]{5}$`)

// shortVersion returns version in as many letters as a table has room for, and whether that is less than all of it.
func shortVersion(version string) (string, bool) {
	short := pseudoVersion.ReplaceAllString(version, "$1-…$2")
	return short, short != version
}

// unitOf is what U was, on average, in the rounds of p that count.
func unitOf(p bench.Peer) float64 {
	sum, count := 0.0, 0
	for _, r := range p.Rounds {
		if r.Counts {
			sum, count = sum+r.Unit, count+1
		}
	}
	return sum / float64(count)
}

// timesAs says how many times as long as this library's m took; nothing where that was not measured.
func timesAs(m, own *bench.Measurement) string {
	if own == nil {
		return ""
	}
	return digits(m.Units.Median/own.Units.Median) + "×"
}

// fold breaks text into lines of at most so many characters, where its words allow it, the second and later ones
// further in.
func fold(text string, width int) string {
	var b strings.Builder
	at := 0
	for i, word := range strings.Fields(text) {
		length := len([]rune(word))
		switch {
		case i == 0:
			at, _ = b.WriteString("  ")
		case at+1+length > width:
			b.WriteString("\n")
			at, _ = b.WriteString("    ")
		default:
			n, _ := b.WriteString(" ")
			at += n
		}
		b.WriteString(word)
		at += length
	}
	return b.String() + "\n"
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
