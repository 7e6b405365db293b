package directory

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"sphinxmix.example/tao"
)

// The limits of a View.
const (
	MaxViewSize = 16 << 20 // bytes, signed and with all that is in it
	MaxNodes    = 4096     // nodes in it
)

const nodePrefixSize = 2 // before each node's descriptor

// View is the network as its directory described it at one time. A view may be shared and must not be changed.
type View struct {
	Version   uint64        // higher in each view than in all that the directory signed before
	Published time.Time     // in whole seconds
	Expires   time.Time     // from when on the view is worth nothing; in whole seconds
	Network                 // valid
	Nodes     []*Descriptor // whose descriptors have not expired, by ascending ID

	// Policy says which nodes are to be trusted; Nodes are those that are. Nil where the network has none, or whoever
	// read the view was given no policy key: then nobody was judged.
	Policy *tao.Policy

	// Refused are nodes that the directory lists and the policy does not trust, by ascending ID.
	Refused []Refusal

	// SignedPolicy is the policy as tao.ParsePolicy reads it, signed by somebody else than the directory and checked by
	// nobody where Policy is nil. Empty where the network has none.
	SignedPolicy []byte

	// Stamp proves by itself when the directory made the view: see ParseStamp.
	Stamp []byte

	verdicts map[*Descriptor]*tao.Verdict // of Nodes, and of such as have expired since; nil where Policy is
	judge    *judge                       // who gave the verdicts; nil where Policy is
	next     time.Time                    // from when on something in the view has expired; zero where that is not known
}

// Refusal is why a node is not trusted.
type Refusal struct {
	Node    NodeID
	Address string
	Err     error // wraps an error of package tao, ErrSameMachine, or ErrExpired for evidence that has expired meanwhile
}

// ParseView returns the view in signed, of which it keeps no part, after it has checked the directory's signature,
// that of each node within, every limit, and that now is before the view expires. It leaves out nodes whose own
// descriptors have expired. The error wraps ErrView, ErrKey, ErrSignature, ErrExpired, ErrNetwork, ErrInsecureSchedule
// or sphinx.ErrParams. Where a node is at fault, which no honest directory lists, it wraps ErrView and what is wrong
// with the node.
func ParseView(signed []byte, directoryKey ed25519.PublicKey, now time.Time) (*View, error) {
	v, nodes, err := openView(signed, directoryKey)
	if err != nil {
		return nil, err
	}
	if err := newReader(directoryKey, nil).read(v, nodes, now); err != nil {
		return nil, err
	}
	return v.At(now)
}

// Node returns the descriptor of the node with that id, and whether the view lists one.
func (v *View) Node(id NodeID) (*Descriptor, bool) {
	i, ok := slices.BinarySearchFunc(v.Nodes, id, func(d *Descriptor, id NodeID) int { return compare(d.ID(), id) })
	if !ok {
		return nil, false
	}
	return v.Nodes[i], true
}

// Verdict returns what the policy says of one of the view's Nodes; nil where the view has no Policy. It must not be
// changed.
func (v *View) Verdict(d *Descriptor) *tao.Verdict { return v.verdicts[d] }

// Refuses reports whether the node with that id is among those that the view has Refused.
func (v *View) Refuses(id NodeID) bool {
	_, refused := slices.BinarySearchFunc(v.Refused, id, func(r Refusal, id NodeID) int { return compare(r.Node, id) })
	return refused
}

// TrustedUntil returns until when the view's Policy trusts a node: by what the view has of it, and where that does not
// have it any more, by d, which is the last that was heard of it. That costs one Verify. It returns the zero time where the
// node is not trusted, and the end of the year 9999 where there is no Policy.
func (v *View) TrustedUntil(d *Descriptor, now time.Time) time.Time {
	if v.Policy == nil {
		return time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)
	}
	id := d.ID()
	if listed, ok := v.Node(id); ok {
		d = listed
	}
	if verdict := v.verdicts[d]; verdict != nil {
		return verdict.Until
	}
	if v.Refuses(id) {
		return time.Time{}
	}
	if judged := v.judge.judge(d, v.Policy, now); judged.err == nil {
		return judged.verdict.Until
	}
	return time.Time{}
}

// Next returns when the view, its policy, or the descriptor or the evidence of one of its nodes expires: from when on At
// returns something else. It is the zero time where At has not returned the view.
func (v *View) Next() time.Time { return v.next }

// At returns the view as it is good at a time: v itself where nothing in it has expired. It leaves out nodes whose
// descriptors have expired, and refuses those whose evidence has. The error wraps ErrExpired where the view has
// expired, and ErrPolicy where its policy has. It costs next to nothing as long as it returns v.
func (v *View) At(now time.Time) (*View, error) {
	if now.Before(v.next) {
		return v, nil
	}
	if !now.Before(v.Expires) {
		return nil, fmt.Errorf("%w: the view was good until %s, and now is %s", ErrExpired, date(v.Expires), date(now))
	}
	w := *v
	w.next = v.Expires
	if v.Policy != nil {
		if err := (policy{Policy: v.Policy}).goodAt(now); err != nil {
			return nil, err
		}
		w.next = earlier(w.next, v.Policy.Expires)
	}
	w.Nodes, w.Refused = nil, slices.Clone(v.Refused)
	for _, d := range v.Nodes {
		verdict := v.verdicts[d]
		switch {
		case d.expired(now):
			continue
		case verdict != nil && !now.Before(verdict.Until):
			err := fmt.Errorf("%w: the evidence was good until %s, and now is %s", ErrExpired, date(verdict.Until), date(now))
			w.Refused = append(w.Refused, Refusal{d.ID(), d.Address, err})
			continue
		case verdict != nil:
			w.next = earlier(w.next, verdict.Until)
		}
		w.next = earlier(w.next, d.Expires)
		w.Nodes = append(w.Nodes, d)
	}
	slices.SortFunc(w.Refused, func(a, b Refusal) int { return compare(a.Node, b.Node) })
	return &w, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// splitNodes returns the nodes' signed descriptors, which are parts of s, without a look at them.
func splitNodes(s cryptobyte.String) ([][]byte, error) {
	var descriptors [][]byte
	for !s.Empty() {
		var signed cryptobyte.String
		if !s.ReadUint16LengthPrefixed(&signed) {
			return nil, fmt.Errorf("%w: a part of a node is missing", ErrView)
		}
		if len(descriptors) == MaxNodes {
			return nil, fmt.Errorf("%w: more than %d nodes", ErrView, MaxNodes)
		}
		descriptors = append(descriptors, signed)
	}
	return descriptors, nil
}

func compare(a, b NodeID) int { return bytes.Compare(a[:], b[:]) }
