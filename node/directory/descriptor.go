package directory

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"sphinxmix.example/sphinx"
	"sphinxmix.example/tao"
)

// The limits of a Descriptor. Sizes and lengths are in bytes.
const (
	MaxAddressSize  = 255
	MaxEpochKeys    = tao.MaxKeys
	MaxServices     = 16
	MaxServiceSize  = 127 // as of a destination in a packet
	MaxEvidenceSize = tao.MaxEvidenceSize

	// MaxDescriptorSize is the size of the largest signed descriptor.
	MaxDescriptorSize = ed25519.SignatureSize + ed25519.PublicKeySize + 8 + timeSize + 32 + 1 + // version, expires, network, weight
		1 + MaxAddressSize + 1 + MaxEpochKeys*epochKeySize + 2 + MaxServices*(1+MaxServiceSize) + 2 + MaxEvidenceSize
)

// The weights of a node. Clients choose each of two nodes as often as its weight says, in proportion, wherever they have
// a choice. A node says its weight itself, and nobody checks it: one that lies gains up to MaxWeight/DefaultWeight = 4
// times the places on paths that the default would give it, and no claim has it chosen more than 16 times as often as any
// other node.
const (
	DefaultWeight = 4
	MaxWeight     = 16
)

const (
	timeSize     = 8
	epochKeySize = 8 + sphinx.KeySize

	lastSecond = 253402300799 // of the year 9999, in seconds since 1970
)

// Descriptor is what a node says about itself. One that [ParseDescriptor] returned, or that is in a [View], may be
// shared and must not be changed.
type Descriptor struct {
	Identity ed25519.PublicKey // proves the node on its links, and signs this descriptor
	Address  string            // where the node takes links: "host:port", up to MaxAddressSize bytes
	Keys     []EpochKey        // that the node opens packets with: 1 to MaxEpochKeys, by ascending epoch
	Services []string          // offered at the last hop: up to MaxServices, sorted, of 1 to MaxServiceSize visible ASCII characters
	Evidence []byte            // that binds the keys to a machine: up to MaxEvidenceSize bytes, which package tao reads
	Network  [32]byte          // Hash of the network that the node is set up for
	Weight   uint8             // how many paths the node can take, relative to others: 1 to MaxWeight
	Version  uint64            // higher in each descriptor than in all before: a time in milliseconds since 1970
	Expires  time.Time         // from when on the descriptor is worth nothing; in whole seconds

	id NodeID // of Identity; zero where it has not been computed
}

// EpochKey is a mix key and the epoch that it serves. The epochs of one descriptor are less than 256 apart, so that
// [Route.Epoch] tells them apart.
type EpochKey struct {
	Epoch uint64
	Key   sphinx.PublicKey
}

// Key returns the mix key of an epoch, and whether the node has one.
func (d *Descriptor) Key(epoch uint64) (sphinx.PublicKey, bool) {
	for _, k := range d.Keys {
		if k.Epoch == epoch {
			return k.Key, true
		}
	}
	return sphinx.PublicKey{}, false
}

// ID returns the node's name in routing blocks.
func (d *Descriptor) ID() NodeID {
	if d.id == (NodeID{}) {
		return NodeIDOf(d.Identity)
	}
	return d.id
}

// SignDescriptor returns d, signed by key, as ParseDescriptor reads it: at most MaxDescriptorSize bytes. It puts in the
// identity and DefaultWeight if d has none, sorts the services, and cuts Expires down to the second; d itself stays as it is. The error
// wraps ErrKey if key is not usable or not d's, and ErrDescriptor if d is outside a limit.
func SignDescriptor(key ed25519.PrivateKey, d Descriptor) ([]byte, error) {
	if err := checkPrivate(key); err != nil {
		return nil, err
	}
	public := key.Public().(ed25519.PublicKey)
	if d.Identity == nil {
		d.Identity = public
	}
	if !public.Equal(d.Identity) {
		return nil, fmt.Errorf("%w: it is not that of the descriptor's identity", ErrKey)
	}
	if d.Weight == 0 {
		d.Weight = DefaultWeight
	}
	d.Services = slices.Sorted(slices.Values(d.Services))
	if err := d.validate(); err != nil {
		return nil, err
	}
	return sign(key, descriptorContext, d.encode()), nil
}

// ParseDescriptor returns the descriptor in signed, of which it keeps no part, after it has checked the signature by
// the descriptor's own identity, every limit, and that now is before it expires. The error wraps ErrDescriptor,
// ErrKey, ErrSignature or ErrExpired.
func ParseDescriptor(signed []byte, now time.Time) (Descriptor, error) {
	d, err := parseDescriptor(signed)
	if err != nil {
		return Descriptor{}, err
	}
	if d.expired(now) {
		return Descriptor{}, fmt.Errorf("%w: the descriptor was good until %s, and now is %s", ErrExpired, date(d.Expires), date(now))
	}
	return *d, nil
}

// parseDescriptor leaves the time out, so that its answer is the same for every reader.
func parseDescriptor(signed []byte) (*Descriptor, error) {
	if len(signed) < ed25519.SignatureSize+ed25519.PublicKeySize || len(signed) > MaxDescriptorSize {
		return nil, fmt.Errorf("%w: %d bytes, must have %d to %d",
			ErrDescriptor, len(signed), ed25519.SignatureSize+ed25519.PublicKeySize, MaxDescriptorSize)
	}
	identity := ed25519.PublicKey(signed[ed25519.SignatureSize:][:ed25519.PublicKeySize])
	if err := checkIdentity(identity); err != nil {
		return nil, err
	}
	body, err := verify(identity, descriptorContext, signed)
	if err != nil {
		return nil, err
	}
	d, err := decodeDescriptor(body)
	if err != nil {
		return nil, err
	}
	if err := d.validate(); err != nil {
		return nil, err
	}
	d.Evidence, d.id = bytes.Clone(d.Evidence), NodeIDOf(d.Identity)
	return d, nil
}

func (d *Descriptor) expired(now time.Time) bool { return !now.Before(d.Expires) }

// encode returns the bytes that are signed. d must be valid.
func (d *Descriptor) encode() []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, 512))
	b.AddBytes(d.Identity)
	b.AddUint64(d.Version)
	b.AddUint64(uint64(d.Expires.Unix()))
	b.AddBytes(d.Network[:])
	b.AddUint8(d.Weight)
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(d.Address)) })
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, k := range d.Keys {
			b.AddUint64(k.Epoch)
			b.AddBytes(k.Key[:])
		}
	})
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, name := range d.Services {
			b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
		}
	})
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(d.Evidence) })
	return b.BytesOrPanic()
}

// decodeDescriptor is the reverse of encode. It checks no more than that the lengths add up. The evidence is a part of
// body.
func decodeDescriptor(body []byte) (*Descriptor, error) {
	var (
		d                                 = &Descriptor{Identity: make(ed25519.PublicKey, ed25519.PublicKeySize)}
		s                                 = cryptobyte.String(body)
		expires                           uint64
		address, keys, services, evidence cryptobyte.String
	)
	if !s.CopyBytes(d.Identity) || !s.ReadUint64(&d.Version) || !s.ReadUint64(&expires) || !s.CopyBytes(d.Network[:]) ||
		!s.ReadUint8(&d.Weight) || !s.ReadUint8LengthPrefixed(&address) || !s.ReadUint8LengthPrefixed(&keys) ||
		!s.ReadUint16LengthPrefixed(&services) || !s.ReadUint16LengthPrefixed(&evidence) || !s.Empty() {
		return nil, fmt.Errorf("%w: its fields are not as long as it is", ErrDescriptor)
	}
	var ok bool
	if d.Expires, ok = second(expires); !ok {
		return nil, fmt.Errorf("%w: it expires after the year 9999", ErrDescriptor)
	}
	d.Address = string(address)
	for !keys.Empty() {
		var k EpochKey
		if !keys.ReadUint64(&k.Epoch) || !keys.CopyBytes(k.Key[:]) {
			return nil, fmt.Errorf("%w: a part of a key is missing", ErrDescriptor)
		}
		d.Keys = append(d.Keys, k)
	}
	for !services.Empty() {
		var name cryptobyte.String
		if !services.ReadUint8LengthPrefixed(&name) {
			return nil, fmt.Errorf("%w: a part of a service's name is missing", ErrDescriptor)
		}
		d.Services = append(d.Services, string(name))
	}
	if len(evidence) > 0 {
		d.Evidence = evidence
	}
	return d, nil
}

// second returns the time n seconds after 1970, or false for one after the year 9999.
func second(n uint64) (time.Time, bool) {
	return time.Unix(int64(min(n, lastSecond)), 0).UTC(), n <= lastSecond
}

// date writes t for people.
func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }
