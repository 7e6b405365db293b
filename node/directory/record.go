package directory

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The names in a store. That of a node is nodeFolder and its id.
const (
	viewName   = "view"
	nodeFolder = "node/"
)

// record is the last that a node said of itself: a descriptor, or that it leaves. It must not be changed.
type record struct {
	id       NodeID
	identity ed25519.PublicKey
	version  uint64
	desc     *Descriptor // nil if the node has left, or if the descriptor has expired
	signed   []byte      // what the node said; nil if that has expired

	// keep is when every descriptor that the directory took from the node has expired. Until then the record stays, so
	// that nobody who has kept an old descriptor can register it once more.
	keep time.Time

	judged judgement // of desc; of what comes from the store, once Server.review has seen it
}

// The kinds of records in a store.
const (
	kindDescriptor = 1
	kindLeave      = 2
)

const recordPrefixSize = timeSize + 1

// clockSlack is how far the clock of a node, or of another server, may be ahead.
const clockSlack = 24 * time.Hour

// readDescriptor makes a record of a descriptor that comes from outside. The error wraps what [ParseDescriptor] has
// against it, ErrOtherNetwork, ErrLifetime or ErrFuture.
func (s *Server) readDescriptor(signed []byte, now time.Time) (*record, error) {
	d, err := ParseDescriptor(signed, now)
	if err != nil {
		return nil, err
	}
	if err := s.admissible(&d, now, 0); err != nil {
		return nil, err
	}
	return recordOf(&d, signed), nil
}

func recordOf(d *Descriptor, signed []byte) *record {
	return &record{id: d.ID(), identity: d.Identity, version: d.Version, desc: d, signed: bytes.Clone(signed), keep: d.Expires}
}

// admissible says what the directory has against a descriptor that is well made. slack is for what another server with
// another clock has let in.
func (s *Server) admissible(d *Descriptor, now time.Time, slack time.Duration) error {
	switch n := s.cfg.Network; {
	case d.Network != s.hash:
		return fmt.Errorf("%w: here a packet has up to %d hops and a payload of %d bytes, an epoch has %s, and the mean delay is %s",
			ErrOtherNetwork, n.MaxHops, n.PayloadSize, n.Epoch, n.MeanDelay)
	case d.Expires.After(now.Add(MaxDescriptorLifetime + slack)):
		return fmt.Errorf("%w: at most %s from now, which is %s here", ErrLifetime, MaxDescriptorLifetime, date(now))
	}
	return checkVersion(d.Version, now.Add(slack))
}

// checkVersion keeps a clock that was wrong once from locking a node out until that time has come.
func checkVersion(version uint64, now time.Time) error {
	if latest := now.Add(clockSlack); version > uint64(max(latest.UnixMilli(), 0)) {
		return fmt.Errorf("%w: version %d is a time in milliseconds after %s: is the node's clock right?", ErrFuture, version, date(latest))
	}
	return nil
}

// readLeave makes a record of a leave that comes from outside. The error wraps ErrLeave, ErrKey, ErrSignature or
// ErrFuture.
func readLeave(signed []byte, now time.Time) (*record, error) {
	identity, version, err := parseLeave(signed)
	if err != nil {
		return nil, err
	}
	if err := checkVersion(version, now); err != nil {
		return nil, err
	}
	return &record{id: NodeIDOf(identity), identity: identity, version: version, signed: bytes.Clone(signed)}, nil
}

// name is where the record stands in the store.
func (r *record) name() string { return nodeFolder + r.id.String() }

// encode returns the record as it stands in the store: keep(8) ‖ kind(1) ‖ what the node signed.
func (r *record) encode() []byte {
	b := make([]byte, 0, recordPrefixSize+len(r.signed))
	b = binary.BigEndian.AppendUint64(b, uint64(r.keep.Unix()))
	if r.desc != nil {
		b = append(b, kindDescriptor)
	} else {
		b = append(b, kindLeave)
	}
	return append(b, r.signed...)
}

// readRecord is the reverse of encode. It believes the store no more than whoever comes from outside.
func (s *Server) readRecord(name string, value []byte, now time.Time) (*record, error) {
	if len(value) < recordPrefixSize {
		return nil, errors.New("it is too short")
	}
	var r *record
	keep, ok := second(binary.BigEndian.Uint64(value))
	signed := value[recordPrefixSize:]
	switch kind := value[timeSize]; kind {
	case kindDescriptor:
		d, err := parseDescriptor(signed)
		if err != nil {
			return nil, err
		}
		if err := s.admissible(d, now, clockSlack); err != nil {
			return nil, err
		}
		r = recordOf(d, signed)
	case kindLeave:
		var err error
		if r, err = readLeave(signed, now.Add(clockSlack)); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("it is of a kind %d", kind)
	}
	switch {
	case !ok || keep.After(now.Add(MaxDescriptorLifetime+clockSlack)):
		return nil, errors.New("it is to be kept for too long")
	case strings.TrimPrefix(name, nodeFolder) != r.id.String():
		return nil, fmt.Errorf("it is of node %s", r.id)
	}
	if keep.After(r.keep) {
		r.keep = keep
	}
	return r, nil
}
