package sphinx

import (
	"fmt"

	"sphinxmix.example/sphinx/internal/schedule"
	"sphinxmix.example/sphinx/internal/wire"
	"sphinxmix.example/sphinx/internal/x25519"
)

// The limits of Params.
const (
	MaxMaxHops     = 50
	MinPayloadSize = 64
	MaxPayloadSize = 65536
)

const (
	kappa     = wire.BlockSize // κ: the size of a routing block, of γ, of a message id, of the zeros before a payload
	alphaSize = x25519.Size
	gammaSize = schedule.MACSize
	hopSize   = kappa + gammaSize // what a hop takes off β, and adds to its end

	ktildeSize = 32
)

// KeySchedule is how a hop's keys are derived from its shared secret. The zero value is the one to use.
type KeySchedule uint8

const (
	// BoundSchedule is key schedule 1: α and the hop's public key enter every key, and no two keys share a keystream.
	BoundSchedule KeySchedule = iota

	// InsecureReferenceSchedule is key schedule 0, that of the Python reference sphinxmixcrypto 0.0.4.
	//
	// Deprecated: INSECURE. An observer without any key links every packet that leaves a mix to the one that came in,
	// because the payload key is keystream that also lies bare on the wire. It exists to cross-check implementations.
	InsecureReferenceSchedule
)

// Params are what all packets of a network have in common.
type Params struct {
	MaxHops     int         // r: hops on the longest path, 1 to 50
	PayloadSize int         // P: bytes of δ, 64 to 65536
	Schedule    KeySchedule // leave it zero
}

// Validate returns an error that wraps ErrParams where p is outside the limits, and nil otherwise. All other calls that
// take p check it themselves.
func (p Params) Validate() error {
	switch {
	case p.MaxHops < 1 || p.MaxHops > MaxMaxHops:
		return fmt.Errorf("%w: MaxHops is %d, must be 1 to %d", ErrParams, p.MaxHops, MaxMaxHops)
	case p.PayloadSize < MinPayloadSize || p.PayloadSize > MaxPayloadSize:
		return fmt.Errorf("%w: PayloadSize is %d, must be %d to %d", ErrParams, p.PayloadSize, MinPayloadSize, MaxPayloadSize)
	case p.Schedule > InsecureReferenceSchedule:
		return fmt.Errorf("%w: no key schedule %d", ErrParams, p.Schedule)
	}
	return nil
}

// PacketSize is the size of a packet in bytes, α ‖ β ‖ γ ‖ δ: 1248 for 5 hops and a payload of 1024.
func (p Params) PacketSize() int { return p.HeaderSize() + p.PayloadSize }

// HeaderSize is the size of α ‖ β ‖ γ in bytes: 64 + 32r.
func (p Params) HeaderSize() int { return alphaSize + p.betaSize() + gammaSize }

// SURBSize is the size of an encoded SURB in bytes, first hop ‖ header ‖ k̃: 272 for 5 hops.
func (p Params) SURBSize() int { return AddressSize + p.HeaderSize() + ktildeSize }

// MaxMessage is the length in bytes of the longest message to a destination of destinationLen bytes: P − 19 − that, which
// is negative where the payload has no room for the destination.
func (p Params) MaxMessage(destinationLen int) int {
	return p.PayloadSize - kappa - 1 - destinationLen - wire.PaddingOverhead
}

// MaxReply is the length in bytes of the longest reply through a SURB: P − 18.
func (p Params) MaxReply() int { return p.PayloadSize - kappa - wire.PaddingOverhead }

// MaxClientID is the length in bytes of the longest client id at the end of a SURB's path of n hops: at least 31, and
// at most 127 where n is small.
func (p Params) MaxClientID(n int) int {
	return min(wire.MaxIDSize, 2*(p.MaxHops-n+1)*kappa-1)
}

func (p Params) betaSize() int { return (2*p.MaxHops + 1) * kappa }

// streamSize is the length of a hop's header keystream: β and the zeros that a hop appends to it.
func (p Params) streamSize() int { return p.betaSize() + hopSize }

func (p Params) insecure() bool { return p.Schedule == InsecureReferenceSchedule }

func (p Params) alpha(header []byte) []byte { return header[:alphaSize] }
func (p Params) beta(header []byte) []byte  { return header[alphaSize : alphaSize+p.betaSize()] }
func (p Params) gamma(header []byte) []byte {
	return header[alphaSize+p.betaSize() : p.HeaderSize()]
}
