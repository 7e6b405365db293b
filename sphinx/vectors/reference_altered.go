package vectors

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"regexp"
	"strconv"

	"sphinxmix.example/sphinx"
	"sphinxmix.example/sphinx/internal/x25519"
	"sphinxmix.example/testvectors"
)

// checkAltered checks a packet that was altered just before mutate_hop: bad ends as stated, good reaches its end.
func (w *journey) checkAltered() error {
	good, bad := *w.Good, *w.Bad
	altered, err := alteration(good, bad)
	if err == nil {
		err = altered.named(w.Name)
	}
	if err != nil {
		return err
	}
	if err := w.checkUnaltered(good, altered); err != nil {
		return fmt.Errorf("good: %w", err)
	}
	return w.checkStated(w.walk(bad, *w.MutateHop))
}

// checkUnaltered requires good to reach its end. Where bad is good, it is the node that is not what the packet was made
// for: then good must reach its end with the node's own key, or in a network of the packet's own size.
func (w *journey) checkUnaltered(good testvectors.Packet, altered difference) error {
	original := *w
	original.other = nil
	if altered.field == "" && w.other == nil {
		original.params.MaxHops = (len(good.Beta)/kappa - 1) / 2
		original.params.PayloadSize = len(good.Delta)
		if original.params == w.params && len(good.Alpha) == x25519.Size && len(good.Gamma) == kappa {
			return nil // all that can be compared is how it ends
		}
		if err := original.params.Validate(); err != nil {
			return err
		}
	} else if altered.field != "" && w.other != nil {
		return fmt.Errorf("nodes[%d]: private_key is not private_raw, clamped", *w.MutateHop)
	}
	o, err := original.walk(good, *w.MutateHop)
	if err := first(err, o.err); err != nil {
		return err
	}
	if o.code.name == "client" && len(w.TokenKeys) > 0 {
		if _, raised := referenceOpen(w.params, w.TokenKeys, o.payload); raised != "" {
			return errors.New(raised)
		}
	}
	return nil
}

// difference is how one packet differs from another: in one field, in the bytes from at to end of it.
type difference struct {
	field   string // empty where there is none
	at, end int
	size    int // of the field
	bits    int // that are flipped; 0 where the length differs
}

// alteration returns how bad differs from good. It reports an error where that is in more than one way.
func alteration(good, bad testvectors.Packet) (d difference, err error) {
	for _, field := range []struct {
		name      string
		good, bad []byte
	}{
		{"alpha", good.Alpha, bad.Alpha},
		{"beta", good.Beta, bad.Beta},
		{"gamma", good.Gamma, bad.Gamma},
		{"delta", good.Delta, bad.Delta},
	} {
		if bytes.Equal(field.good, field.bad) {
			continue
		}
		if d.field != "" {
			return d, fmt.Errorf("bad: differs from good in %s and in %s", d.field, field.name)
		}
		d = difference{field: field.name, at: -1, size: len(field.good)}
		if common := min(len(field.good), len(field.bad)); len(field.good) != len(field.bad) {
			d.at, d.end = common, max(len(field.good), len(field.bad))
			if !bytes.Equal(field.good[:common], field.bad[:common]) {
				return d, fmt.Errorf("bad.%s: differs from good in its length and in what it has", d.field)
			}
			continue
		}
		equal := 0
		for i := range field.good {
			changed := field.good[i] ^ field.bad[i]
			if changed == 0 {
				equal++
				continue
			}
			if d.at < 0 {
				d.at = i
			}
			d.bits += bits.OnesCount8(changed)
			d.end = i + 1
		}
		// A byte that was replaced is the same as before once in 256 times.
		if same := equal - (d.size - (d.end - d.at)); same > 2+(d.end-d.at)/64 {
			return d, fmt.Errorf("bad.%s: differs from good in more than one place from byte %d to %d", d.field, d.at, d.end)
		}
	}
	return d, nil
}

// flipName is the end of a name that says which bit was flipped; a negative byte counts from the end of the field.
var flipName = regexp.MustCompile(`-(alpha|beta|gamma|delta)-(-?\d+)\.([0-7])-hop\d+$`)

// named reports a difference other than the one that the name of the case states.
func (d difference) named(name string) error {
	match := flipName.FindStringSubmatch(name)
	if match == nil {
		return nil
	}
	at, err := strconv.Atoi(match[2])
	if err != nil {
		return err
	}
	if at < 0 {
		at += d.size
	}
	if d.field != match[1] || d.at != at || d.bits != 1 {
		return fmt.Errorf("bad: differs from good in %d bits from byte %d of %q on, and not as the name says", d.bits, d.at, d.field)
	}
	return nil
}

// checkSequence gives the packets of a sequence to nodes[0], which has one replay set. Every packet is one that goes
// through, or that one altered in one way.
func (w *journey) checkSequence() error {
	if len(w.Sequence) == 0 {
		return errors.New("sequence: empty")
	}
	seen, key := make(sphinx.TagSet), w.path[0].key
	unwrapper, err := sphinx.NewUnwrapper(w.params, key, make(sphinx.TagSet))
	if err != nil {
		return err
	}
	for i, step := range w.Sequence {
		o := outcome{verdict: referenceUnwrap(w.params, key, seen, step.Packet)}
		if err := first(sameError(o.raised, step.Error), o.unwrap(unwrapper, step.Packet)); err != nil {
			return fmt.Errorf("sequence[%d]: %w", i, err)
		}
	}
	return w.checkOriginals()
}

// checkOriginals reports a packet of a sequence that is neither good by itself nor one alteration away from one that is.
func (w *journey) checkOriginals() error {
	var originals []testvectors.Packet
	for _, step := range w.Sequence {
		if len(step.Packet.Alpha) != x25519.Size {
			continue
		}
		if v := referenceUnwrap(w.params, w.path[0].key, make(sphinx.TagSet), step.Packet); v.raised == "" {
			originals = append(originals, step.Packet)
		}
	}
	if originals == nil { // one altered packet, again and again
		originals = append(originals, w.Sequence[0].Packet)
	}
	for i, step := range w.Sequence {
		found := false
		for _, original := range originals {
			_, err := alteration(original, step.Packet)
			found = found || err == nil
		}
		if !found {
			return fmt.Errorf("sequence[%d].packet: no other step has it unaltered", i)
		}
	}
	return nil
}
