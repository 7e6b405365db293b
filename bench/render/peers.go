package render

import (
	"fmt"

	"sphinxmix.example/bench"
)

// ours are the measurements that stand beside a peer's of the same name: this library's single one, and its best in batches.
var ours = map[string][2]string{
	"unwrap": {"Unwrap/r=5/P=1024", "UnwrapBatch/r=5/P=1024/n=64"},
	"wrap":   {"Wrap/r=5/P=1024", "WrapBatch/r=5/P=1024/n=64"},
}

// peers shows each peer beside this library's hop or sender for r = 5, P = 1024.
func (t *tables) peers() {
	for _, operation := range []string{"unwrap", "wrap", "x25519"} {
		var rows [][]string
		notes := ""
		single, batch := t.r.Find(ours[operation][0]), t.r.Find(ours[operation][1])
		for i, m := range []*bench.Measurement{single, batch} {
			if m != nil {
				name := []string{"this library, one packet", "this library, 64 at once"}[i]
				rows = append(rows, append([]string{name, "", "1024", fmt.Sprint(5)}, append(figures(m), timesAs(m, single), timesAs(m, batch))...))
			}
		}
		own := len(rows)
		for _, p := range t.r.Peers {
			if p.Operation != operation {
				continue
			}
			measured := &bench.Measurement{Nanoseconds: p.Nanoseconds, Units: p.Units}
			rows = append(rows, append([]string{p.Peer, p.Version, number(p.Payload), number(p.Hops)},
				append(figures(measured), timesAs(measured, single), timesAs(measured, batch))...))
			notes += fmt.Sprintf("  %s: %s", p.Peer, p.Note)
			if shift := p.After/p.Before - 1; shift > 0.1 || shift < -0.1 {
				notes += fmt.Sprintf(" (U was %s µs before it and %s µs after it: repeat this one.)", micro(p.Before), micro(p.After))
			}
			notes += "\n"
		}
		if len(rows) == own {
			continue
		}
		title := map[string]string{"unwrap": "Peers: one hop that relays", "wrap": "Peers: a sender makes a packet", "x25519": "Peers: their group operation"}[operation]
		t.write(title, []string{"", "version", "P", "hops", "µs", "U", "quartiles", "of one packet", "of 64 at once"}, rows)
		t.printf("\n%s", notes)
	}
}

// timesAs says how many times as long as this library's m took; nothing where that was not measured.
func timesAs(m, own *bench.Measurement) string {
	if own == nil {
		return ""
	}
	return digits(m.Units.Median/own.Units.Median) + "×"
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
