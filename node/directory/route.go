package directory

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"sphinxmix.example/sphinx"
)

// NodeIDSize is the size of a NodeID in bytes.
const NodeIDSize = 12

// MaxDelay is the longest delay that a routing block can ask for.
const MaxDelay = 65535 * time.Millisecond

// addressPrefix is the first byte of a routing block that names a node.
const addressPrefix = 0xff

// NodeID names a node in routing blocks: the start of a hash of its identity key.
type NodeID [NodeIDSize]byte

// NodeIDOf returns the id of the node with that identity key.
func NodeIDOf(identity ed25519.PublicKey) NodeID {
	const blockSize = 64 // of SHA-256: the context and the key fit, and are on the stack
	b := append(append(make([]byte, 0, blockSize), nodeIDContext...), identity...)
	hash := sha256.Sum256(b)
	return NodeID(hash[:NodeIDSize])
}

// String returns the id in hexadecimal, 24 digits.
func (id NodeID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText returns what String does. It does not fail.
func (id NodeID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText is the reverse of MarshalText. It refuses all but 24 digits, 0 to 9 and a to f, and leaves the id as it is
// then. The error says so.
func (id *NodeID) UnmarshalText(digits []byte) error {
	var read NodeID
	if len(digits) == hex.EncodedLen(NodeIDSize) {
		if _, err := hex.Decode(read[:], digits); err == nil && read.String() == string(digits) {
			*id = read
			return nil
		}
	}
	return fmt.Errorf("directory: %q is no node id, which has %d digits, 0-9 and a-f", digits, hex.EncodedLen(NodeIDSize))
}

// Route is what a routing block tells a mix about the next hop.
type Route struct {
	Node  NodeID
	Epoch uint8         // of the key that the next hop opens the packet with, mod 256
	Delay time.Duration // how long this mix holds the packet: whole milliseconds, 0 to MaxDelay
}

// Address returns the 16 bytes 0xff ‖ node id(12) ‖ epoch(1) ‖ delay in ms, big-endian(2). The delay is rounded to the
// nearest millisecond; one below 0 becomes 0 and one above MaxDelay becomes MaxDelay, so whoever draws delays at random
// chooses a distribution that hardly reaches it.
func (r Route) Address() sphinx.Address {
	delay := min(max(r.Delay, 0), MaxDelay).Round(time.Millisecond)
	var a sphinx.Address
	a[0] = addressPrefix
	copy(a[1:], r.Node[:])
	a[1+NodeIDSize] = r.Epoch
	binary.BigEndian.PutUint16(a[2+NodeIDSize:], uint16(delay/time.Millisecond))
	return a
}

// ParseRoute is the reverse of Route.Address. It returns false for an address that does not start with 0xff.
func ParseRoute(a sphinx.Address) (Route, bool) {
	if a[0] != addressPrefix {
		return Route{}, false
	}
	return Route{
		Node:  NodeID(a[1 : 1+NodeIDSize]),
		Epoch: a[1+NodeIDSize],
		Delay: time.Duration(binary.BigEndian.Uint16(a[2+NodeIDSize:])) * time.Millisecond,
	}, true
}
