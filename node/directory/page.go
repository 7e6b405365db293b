package directory

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
)

// page is the view for people, made once for all who read the same view.
type page struct {
	mu   sync.Mutex
	view *publication // that text is of; guarded by mu
	text []byte       // guarded by mu; never changed once it is here
}

// of returns the page of a view, made with what attested says of its nodes.
func (p *page) of(view *publication, key ed25519.PublicKey, attested func(*Descriptor) string) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.view != view {
		p.view, p.text = view, view.page(key, attested)
	}
	return p.text
}

// page writes the view of a directory for people. What nodes wrote is in it as it is: a descriptor with anything but
// visible ASCII is not accepted.
func (p *publication) page(key ed25519.PublicKey, attested func(*Descriptor) string) []byte {
	nodes := p.nodes()
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "Directory of a Sphinx mix network\n\n")
	fmt.Fprintf(table, "key\t%s\n", hex.EncodeToString(key))
	fmt.Fprintf(table, "packets\tup to %d hops, payload of %d bytes, %d bytes in all\n", p.MaxHops, p.PayloadSize, p.PacketSize())
	fmt.Fprintf(table, "epochs\t%s each, this view was made in %d\n", p.Epoch, p.EpochAt(p.Published))
	fmt.Fprintf(table, "view\tversion %d, from %s to %s\n", p.Version, date(p.Published), date(p.Expires))
	if p.Policy != nil {
		fmt.Fprintf(table, "policy\tversion %d, good until %s, of the key %x\n", p.Policy.Version, date(p.Policy.Expires), p.Policy.Key)
	}
	fmt.Fprintf(table, "nodes\t%d\n\n", len(nodes))
	table.Flush()

	fmt.Fprintf(table, "NODE\tADDRESS\tEPOCHS\tWEIGHT\tSERVICES\tEVIDENCE\tEXPIRES\n")
	for _, d := range nodes {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n",
			d.ID(), d.Address, epochs(d.Keys), d.Weight, cmp.Or(strings.Join(d.Services, " "), "-"), attested(d), date(d.Expires))
	}
	table.Flush()
	return text.Bytes()
}

func epochs(keys []EpochKey) string {
	var words []string
	for _, k := range keys {
		words = append(words, strconv.FormatUint(k.Epoch, 10))
	}
	return strings.Join(words, " ")
}

// attested says in a few words how a node is attested, as far as the server knows.
func (s *Server) attested(d *Descriptor) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.roster.records[d.ID()]
	switch {
	case len(d.Evidence) == 0:
		return "-"
	case r == nil || r.judged.verdict == nil:
		return fmt.Sprintf("%d bytes", len(d.Evidence)) // nobody has judged it here
	}
	return fmt.Sprintf("%s until %s", r.judged.verdict.Record.Kind, date(r.judged.verdict.Until))
}
