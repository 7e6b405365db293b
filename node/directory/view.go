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

const (
	viewHeaderSize = ed25519.SignatureSize + 8 + timeSize + timeSize + networkSize + 3 // all but the nodes
	nodePrefixSize = 2                                                                 // before each node's descriptor
)

// View is the network as its directory described it at one time. A view may be shared and must not be changed.
type View struct {
	Version   uint64        // higher in each view than in all that the directory signed before
	Published time.Time     // in whole seconds
	Expires   time.Time     // from when on the view is worth nothing; in whole seconds
	Network                 // valid
	Nodes     []*Descriptor // whose descriptors have not expired, by ascending ID
}

// ParseView returns the view in signed, of which it keeps no part, after it has checked the directory's signature,
// that of each node within, every limit, and that now is before the view expires. It leaves out nodes whose own
// descriptors have expired. The error wraps ErrView, ErrKey, ErrSignature, ErrExpired, ErrNetwork, ErrInsecureSchedule
// or sphinx.ErrParams. Where a node is at fault, which no honest directory lists, it wraps ErrView and what is wrong
// with the node.
func ParseView(signed []byte, directoryKey ed25519.PublicKey, now time.Time) (*View, error) {
	if err := checkIdentity(directoryKey); err != nil {
		return nil, err
	}
	if len(signed) < viewHeaderSize || len(signed) > MaxViewSize {
		return nil, fmt.Errorf("%w: %d bytes, must have %d to %d", ErrView, len(signed), viewHeaderSize, MaxViewSize)
	}
	body, err := verify(directoryKey, viewContext, signed)
	if err != nil {
		return nil, err
	}
	v, err := decodeView(body)
	if err != nil {
		return nil, err
	}
	return v.at(now)
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

// at returns the view as it is good at a time: v itself where no node has expired, ErrExpired where v has.
func (v *View) at(now time.Time) (*View, error) {
	if !now.Before(v.Expires) {
		return nil, fmt.Errorf("%w: the view was good until %s, and now is %s", ErrExpired, stamp(v.Expires), stamp(now))
	}
	expired := func(d *Descriptor) bool { return d.expired(now) }
	if !slices.ContainsFunc(v.Nodes, expired) {
		return v, nil
	}
	w := *v
	w.Nodes = slices.DeleteFunc(slices.Clone(v.Nodes), expired)
	return &w, nil
}

// encode returns the bytes that are signed. descriptors are those of the nodes, signed, by ascending id; v.Nodes is not
// looked at. v must be valid, and its nodes must fit.
func (v *View) encode(descriptors [][]byte) []byte {
	size := viewHeaderSize - ed25519.SignatureSize
	for _, d := range descriptors {
		size += nodePrefixSize + len(d)
	}
	b := cryptobyte.NewFixedBuilder(make([]byte, 0, size))
	b.AddUint64(v.Version)
	b.AddUint64(uint64(v.Published.Unix()))
	b.AddUint64(uint64(v.Expires.Unix()))
	v.Network.add(b)
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, d := range descriptors {
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(d) })
		}
	})
	return b.BytesOrPanic()
}

// decodeView is the reverse of encode. It checks all but the time.
func decodeView(body []byte) (*View, error) {
	s := cryptobyte.String(body)
	v, err := decodeHeader(&s)
	if err != nil {
		return nil, err
	}
	if v.Nodes, err = decodeNodes(s, v.Network.Hash()); err != nil {
		return nil, err
	}
	return v, nil
}

// decodeHeader takes a view's header off s, checks it, and leaves the nodes in s.
func decodeHeader(s *cryptobyte.String) (*View, error) {
	var (
		v                  = &View{}
		published, expires uint64
		nodes              cryptobyte.String
		err                error
	)
	if !s.ReadUint64(&v.Version) || !s.ReadUint64(&published) || !s.ReadUint64(&expires) {
		return nil, fmt.Errorf("%w: it ends before its dates do", ErrView)
	}
	var publishedOK, expiresOK bool
	v.Published, publishedOK = second(published)
	v.Expires, expiresOK = second(expires)
	if !publishedOK || !expiresOK || !v.Published.Before(v.Expires) {
		return nil, fmt.Errorf("%w: published %s, expires %s", ErrView, stamp(v.Published), stamp(v.Expires))
	}
	if v.Network, err = readNetwork(s); err != nil {
		return nil, err
	}
	if !s.ReadUint24LengthPrefixed(&nodes) || !s.Empty() {
		return nil, fmt.Errorf("%w: its nodes are not as long as it is", ErrView)
	}
	*s = nodes
	return v, nil
}

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
