package sphinx

import (
	"crypto/subtle"
	"fmt"
	"io"
	"slices"

	"sphinxmix.example/lioness"
	"sphinxmix.example/sphinx/internal/wire"
)

// Wrap appends to dst a packet of PacketSize bytes that takes message along path to destination, a name of 1 to 127
// bytes that the last hop understands, and returns the extended slice. The message may be empty, and MaxMessage bytes
// long at most. dst's spare room must not overlap the other arguments.
//
// From random, or crypto/rand where it is nil, it reads 32 bytes for x and then the padding of the last β (§3.2),
// 32(r−n)+31 bytes for a path of n hops. The packet is a function of the arguments and these bytes.
//
// Errors wrap ErrParams, ErrPath, ErrKey, ErrDestination, ErrMessageSize or what random returned; dst is then unchanged up
// to its length.
func (p Params) Wrap(dst []byte, random io.Reader, path []Hop, destination, message []byte) ([]byte, error) {
	b, err := p.newBuilder(path)
	if err != nil {
		return dst, err
	}
	defer b.wipe()
	if len(destination) < 1 || len(destination) > wire.MaxIDSize {
		return dst, fmt.Errorf("%w, not %d", ErrDestination, len(destination))
	}
	switch limit := p.MaxMessage(len(destination)); {
	case limit < 0:
		return dst, fmt.Errorf("%w: a payload of %d bytes has no room for this destination", ErrMessageSize, p.PayloadSize)
	case len(message) > limit:
		return dst, fmt.Errorf("%w: %d bytes, at most %d fit beside this destination", ErrMessageSize, len(message), limit)
	}

	packet, out := p.extend(dst)
	var noID MessageID
	if err := b.header(packet[:p.HeaderSize()], random, path, []byte{wire.ExitPrefix}, &noID); err != nil {
		clear(packet)
		return dst, err
	}
	delta := packet[p.HeaderSize():]
	clear(delta[:kappa])
	delta[kappa] = byte(len(destination))
	n := kappa + 1
	n += copy(delta[n:], destination)
	n += copy(delta[n:], message)
	if !wire.Pad(delta, n) {
		panic("sphinx: unreachable: a message that fits can be padded")
	}
	cipher := lioness.New(b.keys[len(path)-1].Payload())
	defer cipher.Wipe()
	for i := len(path) - 1; i >= 0; i-- {
		cipher.SetKey(b.keys[i].Payload())
		cipher.Encrypt(delta)
	}
	return out, nil
}

// openForward splits a decrypted forward payload (§3.5).
func openForward(delta []byte) (destination, message []byte, ok bool) {
	if !startsWithZeros(delta) {
		return nil, nil, false
	}
	n, ok := wire.Unpad(delta)
	if !ok || n < kappa {
		return nil, nil, false
	}
	route, destination, message, ok := wire.Decode(delta[kappa:n])
	if !ok || route != wire.Reply { // the code of a client id, which a destination shares
		return nil, nil, false
	}
	return destination, message, true
}

// startsWithZeros reports, in constant time, whether the κ bytes that stand for a payload's integrity are zero.
func startsWithZeros(delta []byte) bool {
	var zeros [kappa]byte
	return subtle.ConstantTimeCompare(delta[:kappa], zeros[:]) == 1
}

// extend grows dst by a packet and returns the packet and the whole.
func (p Params) extend(dst []byte) (packet, out []byte) {
	out = slices.Grow(dst, p.PacketSize())[:len(dst)+p.PacketSize()]
	return out[len(dst):], out
}
