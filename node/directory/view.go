package directory

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
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

	// SignedPolicy says which nodes are to be trusted, as tao.ParsePolicy reads it: it is signed by somebody else than the
	// directory. Empty where the network has no policy.
	SignedPolicy []byte

	// Stamp proves by itself when the directory made the view: see ParseStamp.
	Stamp []byte
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
	if v.Nodes, err = decodeNodes(nodes, v.Network.Hash()); err != nil {
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

// WithService returns the nodes that offer the service of that name at the last hop, by ascending ID.
func (v *View) WithService(name string) []*Descriptor {
	var nodes []*Descriptor
	for _, d := range v.Nodes {
		if slices.Contains(d.Services, name) {
			nodes = append(nodes, d)
		}
	}
	return nodes
}

// At returns the view as it is good at a time: v itself where no node has expired, and an error that wraps ErrExpired where
// v has.
func (v *View) At(now time.Time) (*View, error) {
	if !now.Before(v.Expires) {
		return nil, fmt.Errorf("%w: the view was good until %s, and now is %s", ErrExpired, date(v.Expires), date(now))
	}
	expired := func(d *Descriptor) bool { return d.expired(now) }
	if !slices.ContainsFunc(v.Nodes, expired) {
		return v, nil
	}
	w := *v
	w.Nodes = slices.DeleteFunc(slices.Clone(v.Nodes), expired)
	return &w, nil
}

// decodeNodes returns the nodes of a view, each checked for all but the time.
func decodeNodes(s cryptobyte.String, network [32]byte) ([]*Descriptor, error) {
	descriptors, err := splitNodes(s)
	if err != nil {
		return nil, err
	}
	var (
		nodes []*Descriptor
		last  NodeID
	)
	for i, signed := range descriptors {
		d, err := parseDescriptor(signed)
		if err == nil && d.Network != network {
			err = ErrOtherNetwork
		}
		if err != nil {
			return nil, fmt.Errorf("%w: node %d: %w", ErrView, i, err)
		}
		id := d.ID()
		if i > 0 && compare(last, id) >= 0 {
			return nil, fmt.Errorf("%w: node %s comes after %s, must be sorted and listed once", ErrView, id, last)
		}
		nodes, last = append(nodes, d), id
	}
	return nodes, nil
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
