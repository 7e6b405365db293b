package render

import (
	"fmt"
	"strings"

	"sphinxmix.example/bench"
)

// ours are the measurements that stand beside a peer's of the same name: this library's single one, and its best in batches.
var ours = map[string][2]string{
	"unwrap":       {"Unwrap/r=5/P=1024", "UnwrapBatch/r=5/P=1024/n=64"},
	"wrap":         {"Wrap/r=5/P=1024", "WrapBatch/r=5/P=1024/n=64"},
	groupOperation: {"X25519/point=any/impl=sphinx/n=1", "X25519/point=any/impl=sphinx/n=64"},
}

const groupOperation = "x25519"

// peers shows each peer beside this library's hop or sender for r = 5, P = 1024.
func (t *tables) peers() {
	for _, operation := range []string{"unwrap", "wrap", groupOperation} {
		var rows [][]string
		notes := ""
		single, batch := t.r.Find(ours[operation][0]), t.r.Find(ours[operation][1])
		for i, m := range []*bench.Measurement{single, batch} {
			if m != nil {
				name := []string{"this library, one", "this library, one of 64 at once"}[i]
				rows = append(rows, append([]string{name, "", number(m.Payload), number(m.Hops)}, append(figures(m), timesAs(m, single), timesAs(m, batch))...))
			}
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
			measured := &bench.Measurement{Nanoseconds: p.Nanoseconds, Units: p.Units}
			payload, hops := number(p.Payload), number(p.Hops)
			if operation == groupOperation {
				payload, hops = "", "" // which have no part in it
			}
			rows = append(rows, append([]string{name, p.Version, payload, hops},
				append(figures(measured), timesAs(measured, single), timesAs(measured, batch))...))
			note := fmt.Sprintf("%s: %s.", p.Peer, strings.TrimSuffix(p.Note, "."))
			if unit := unitOf(p); unit > 1.15*t.r.Unit.Median {
				note += fmt.Sprintf(" (Measured while the machine was busy: U was %s µs.)", micro(unit))
			}
			notes += fold(note, 118)
		}
		if len(rows) == own {
			continue
		}
		title := map[string]string{"unwrap": "Peers: one hop that relays", "wrap": "Peers: a sender makes a packet", groupOperation: "Peers: their group operation, beside our X25519"}[operation]
		t.write(title, []string{"", "version", "P", "hops", "µs", "U", "quartiles", "times one", "times one of 64"}, rows)
		t.printf("\n%s", notes)
	}
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

// fold breaks text into lines of at most so many characters, where its words allow it, the second and later ones further in.
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
