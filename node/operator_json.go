package node

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"sphinxmix.example/node/directory"
)

// MarshalText returns what String returns.
func (d Drop) MarshalText() ([]byte, error) {
	if d < 0 || d >= drops {
		return nil, fmt.Errorf("node: no reason to drop a packet has the number %d", int(d))
	}
	return []byte(d.String()), nil
}

// UnmarshalText is the reverse of MarshalText. It returns an error for a name that no reason has.
func (d *Drop) UnmarshalText(name []byte) error {
	known := slices.Index(dropNames[:], string(name))
	if known < 0 {
		return fmt.Errorf("node: no reason to drop a packet is called %q", name)
	}
	*d = Drop(known)
	return nil
}

// hexID is a node id that is text in JSON.
type hexID directory.NodeID

func (id hexID) MarshalText() ([]byte, error) { return []byte(directory.NodeID(id).String()), nil }

func (id *hexID) UnmarshalText(digits []byte) error {
	if hex.DecodedLen(len(digits)) != len(id) {
		return fmt.Errorf("node: %q is no node id: it must have %d hexadecimal digits", digits, hex.EncodedLen(len(id)))
	}
	_, err := hex.Decode(id[:], digits)
	return err
}

// The fields of Stats and PeerStats without their methods; of two fields called Node, JSON has the one that is less deep.
type (
	statsFields Stats
	statsJSON   struct {
		Node hexID
		statsFields
	}
	peerFields PeerStats
	peerJSON   struct {
		Node hexID
		peerFields
	}
)

// MarshalJSON returns an object whose members have the names of the fields, with those of Counts among them. Times are as
// in RFC 3339, node ids in hexadecimal, and the members of Dropped are named as by Drop.String; one that is missing there
// is zero.
func (s Stats) MarshalJSON() ([]byte, error) {
	return json.Marshal(statsJSON{hexID(s.Node), statsFields(s)})
}

// UnmarshalJSON is the reverse of MarshalJSON. It ignores members that it does not know.
func (s *Stats) UnmarshalJSON(data []byte) error {
	var read statsJSON
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	*s = Stats(read.statsFields)
	s.Node = directory.NodeID(read.Node)
	return nil
}

// MarshalJSON returns an object as that of Stats.
func (p PeerStats) MarshalJSON() ([]byte, error) {
	return json.Marshal(peerJSON{hexID(p.Node), peerFields(p)})
}

// UnmarshalJSON is the reverse of MarshalJSON.
func (p *PeerStats) UnmarshalJSON(data []byte) error {
	var read peerJSON
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	*p = PeerStats(read.peerFields)
	p.Node = directory.NodeID(read.Node)
	return nil
}
