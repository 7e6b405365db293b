package vectors

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"sphinxmix.example/sphinx"
)

// WriteRandom writes one vector file with n random forward and SURB cases to w, in the schema of the reference and under
// its key schedule. Every case is one that the reference can build and open. The file is a function of n and seed.
func WriteRandom(w io.Writer, n int, seed [32]byte) error {
	if n < 1 {
		return errors.New("vectors: a file has one case at least")
	}
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "{\n \"source\": %q,\n \"note\": %q,\n \"count\": %d,\n \"cases\": [", sourceName,
		"random forward messages and single-use reply blocks under key schedule 0", n)
	//lint:ignore SA1019 these cases are for the reference, which knows this key schedule alone
	s := setting{schedule: sphinx.InsecureReferenceSchedule}
	const batch = 64 // what is held in memory
	for start := 0; start < n; start += batch {
		cases := make([]json.RawMessage, min(batch, n-start))
		errs := make([]error, len(cases))
		parallel(len(cases), func(i int) { cases[i], errs[i] = json.Marshal(s.random(seed, start+i)) })
		if err := errors.Join(errs...); err != nil {
			return err
		}
		for i, c := range cases {
			separator := ","
			if start+i == 0 {
				separator = ""
			}
			fmt.Fprintf(out, "%s\n%s", separator, c)
		}
	}
	fmt.Fprint(out, "\n]}\n")
	return out.Flush()
}

// random makes the case of an index, from a source of its own.
func (s *setting) random(seed [32]byte, index int) any {
	from := newSource(fmt.Sprintf("random %s %d", hex.EncodeToString(seed[:]), index))
	v := shape{maxHops: from.between(1, 10), payload: from.edge(192, 4096)} // no payload of the reference is smaller
	switch from.between(0, 31) {
	case 0, 1, 2:
		v.maxHops = from.between(11, sphinx.MaxMaxHops)
	case 3:
		v.payload = from.edge(4097, sphinx.MaxPayloadSize)
	}
	v.hops = from.edge(1, v.maxHops)
	kind := []string{"forward", "surb"}[from.between(0, 1)]
	v.name = fmt.Sprintf("random-%d-%s-r%d-n%d-p%d", index, kind, v.maxHops, v.hops, v.payload)

	p := sphinx.Params{MaxHops: v.maxHops, PayloadSize: v.payload, Schedule: s.schedule}
	if kind == "forward" {
		v.nameSize = from.edge(1, min(127, p.MaxMessage(2))) // leaves room for one byte
		v.message = from.edge(1, p.MaxMessage(v.nameSize)-1) // the reference's limit
		return s.drawForward(from, v)
	}
	v.nameSize = from.edge(1, p.MaxClientID(v.hops))
	v.message = from.edge(1, p.MaxReply()-1)
	return s.drawSURB(from, v)
}
