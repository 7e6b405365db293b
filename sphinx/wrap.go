package sphinx

import (
	"crypto/subtle"
	"fmt"
	"io"
	"slices"

	"sphinxmix.example/sphinx/internal/wire"
)

// Wrap appends to dst a packet of PacketSize bytes that takes message along path to destination, a name of 1 to 127
// bytes that the last hop understands, and returns the extended slice. The message may be empty, and MaxMessage bytes
// long at most. dst's spare room must not overlap the other arguments. WrapBatch makes many, in less time for each.
//
// From random, or crypto/rand where it is nil, it reads 32 bytes for x and then the padding of the last β (§3.2),
// 32(r−n)+31 bytes for a path of n hops. The packet is a function of the arguments and these bytes.
//
// Errors wrap ErrParams, ErrPath, ErrKey, ErrDestination, ErrMessageSize or what random returned; dst is then unchanged
// up to its length.
func (p Params) Wrap(dst []byte, random io.Reader, path []Hop, destination, message []byte) ([]byte, error) {
	letters := [1]Letter{{path, destination, message}}
	return p.WrapBatch(dst, random, letters[:])
}

// Letter is one message for WrapBatch, with what Wrap wants to know of it.
type Letter struct {
	Path        []Hop
	Destination []byte
	Message     []byte
}

// WrapBatch appends to dst a packet for each of letters, one after the other, and returns the extended slice: the bytes
// that as many calls of Wrap in turn would append, with the same bytes of random, all of which it reads before it
// computes. Paths may differ in length.
//
// It makes all packets or none. Errors are those of Wrap and name a letter at fault, of several not always the first; dst is
// then unchanged up to its length.
func (p Params) WrapBatch(dst []byte, random io.Reader, letters []Letter) ([]byte, error) {
	if err := p.Validate(); err != nil {
		return dst, err
	}
	for i := range letters {
		if err := p.checkLetter(&letters[i]); err != nil {
			return dst, about("letter", i, len(letters), err)
		}
	}
	packets, out := p.extend(dst, len(letters))
	c := borrow(p)
	err := c.wrap(packets, random, letters)
	composers.Put(c)
	if err != nil {
		clear(packets)
		return dst, err
	}
	return out, nil
}

// wrap makes packets of letters that were checked.
func (c *composer) wrap(packets []byte, random io.Reader, letters []Letter) error {
	p, size := c.params, c.params.PacketSize()
	for i := range letters {
		if err := p.outline(packets[i*size:][:p.HeaderSize()], random, len(letters[i].Path), nil, MessageID{}); err != nil {
			return err
		}
	}
	for from := 0; from < len(letters); from += groupSize {
		group := letters[from:min(from+groupSize, len(letters))]
		for i := range group {
			packet := packets[(from+i)*size:][:size]
			delta := packet[p.HeaderSize():]
			p.enclose(delta, group[i].Destination, group[i].Message)
			c.add(draft{path: group[i].Path, header: packet[:p.HeaderSize()], delta: delta})
		}
		if i, err := c.compose(); err != nil {
			return about("letter", from+i, len(letters), err)
		}
	}
	return nil
}

// about says which of many an error is about.
func about(what string, i, of int, err error) error {
	if of == 1 {
		return err
	}
	return fmt.Errorf("%w, in %s %d", err, what, i)
}

func (p Params) checkLetter(l *Letter) error {
	if err := p.checkPath(l.Path); err != nil {
		return err
	}
	if len(l.Destination) < 1 || len(l.Destination) > wire.MaxIDSize {
		return fmt.Errorf("%w, not %d", ErrDestination, len(l.Destination))
	}
	switch limit := p.MaxMessage(len(l.Destination)); {
	case limit < 0:
		return fmt.Errorf("%w: a payload of %d bytes has no room for this destination", ErrMessageSize, p.PayloadSize)
	case len(l.Message) > limit:
		return fmt.Errorf("%w: %d bytes, at most %d fit beside this destination", ErrMessageSize, len(l.Message), limit)
	}
	return nil
}

func (p Params) checkPath(path []Hop) error {
	if len(path) < 1 || len(path) > p.MaxHops {
		return fmt.Errorf("%w: it has %d hops, must have 1 to %d", ErrPath, len(path), p.MaxHops)
	}
	for i := range path {
		if path[i].Address[0] != wire.RelayPrefix {
			return fmt.Errorf("%w: the address of hop %d starts with %#02x, must start with 0xff", ErrPath, i, path[i].Address[0])
		}
	}
	return nil
}

// enclose sets delta to the payload of a forward packet before any encryption (§3.5).
func (p Params) enclose(delta, destination, message []byte) {
	clear(delta[:kappa])
	delta[kappa] = byte(len(destination))
	n := kappa + 1
	n += copy(delta[n:], destination)
	n += copy(delta[n:], message)
	if !wire.Pad(delta, n) {
		panic("sphinx: unreachable: a message that fits can be padded")
	}
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

// extend grows dst by n packets and returns them and the whole.
func (p Params) extend(dst []byte, n int) (packets, out []byte) {
	size := n * p.PacketSize()
	out = slices.Grow(dst, size)[:len(dst)+size]
	return out[len(dst):], out
}
