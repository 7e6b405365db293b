package sphinx

import (
	"fmt"
	"io"
	"slices"
	"sync"

	"sphinxmix.example/lioness"
	"sphinxmix.example/sphinx/internal/schedule"
	"sphinxmix.example/sphinx/internal/wire"
)

// SURB is a single-use reply block (§3.3): it sends one reply along a path that only its maker knows. It carries k̃ and
// no hop's key, so that who replies cannot recognise the reply on its way. It is never printed.
//
// A SURB is safe for concurrent use: only one call of Use succeeds. The zero value is spent.
type SURB struct{ s secret[surb] }

type surb struct {
	params Params
	first  Address

	mu     sync.Mutex // guards what follows
	spent  bool
	header []byte // wiped when spent
	ktilde [ktildeSize]byte
}

// ReplyKey opens the one reply that comes through the SURB made with it. It is never printed.
//
// A ReplyKey is not safe for concurrent use. The zero value is spent.
type ReplyKey struct{ k secret[replyKey] }

type replyKey struct {
	params Params
	ktilde [ktildeSize]byte
	seeds  []schedule.Seed // one a hop
	spent  bool            // here, so that every copy of a ReplyKey knows
}

// NewSURB makes a SURB whose reply goes along path, and then from its last hop to the client that this hop knows as
// clientID (1 to MaxClientID(len(path)) bytes), together with id. The ReplyKey opens that reply.
//
// From random, or crypto/rand where it is nil, it reads 32 bytes for x, the padding of the last β (§3.2), which is
// 32(r−n)+31 bytes less the length of clientID for a path of n hops, and 32 bytes for k̃.
//
// Errors wrap ErrParams, ErrPath, ErrKey, ErrClientID or what random returned.
func (p Params) NewSURB(random io.Reader, path []Hop, clientID []byte, id MessageID) (*SURB, *ReplyKey, error) {
	b, err := p.newBuilder(path)
	if err != nil {
		return nil, nil, err
	}
	defer b.wipe()
	if limit := p.MaxClientID(len(path)); len(clientID) < 1 || len(clientID) > limit {
		return nil, nil, fmt.Errorf("%w: it has %d bytes, must have 1 to %d at the end of this path", ErrClientID, len(clientID), limit)
	}
	s := &surb{params: p, first: path[0].Address, header: make([]byte, p.HeaderSize())}
	final := append([]byte{byte(len(clientID))}, clientID...)
	if err := b.header(s.header, random, path, final, &id); err != nil {
		return nil, nil, err
	}
	if err := draw(random, s.ktilde[:]); err != nil {
		return nil, nil, err
	}
	k := &replyKey{params: p, ktilde: s.ktilde, seeds: slices.Clone(b.seeds)}
	return &SURB{hide(s)}, &ReplyKey{hide(k)}, nil
}

// AppendBinary appends the SURBSize bytes first hop ‖ header ‖ k̃ to dst. It returns ErrSpent for a SURB that was used.
func (s *SURB) AppendBinary(dst []byte) ([]byte, error) {
	surb := s.s.get()
	if surb == nil {
		return dst, ErrSpent
	}
	surb.mu.Lock()
	defer surb.mu.Unlock()
	if surb.spent {
		return dst, ErrSpent
	}
	dst = append(dst, surb.first[:]...)
	dst = append(dst, surb.header...)
	return append(dst, surb.ktilde[:]...), nil
}

// ParseSURB reads a SURB of exactly SURBSize bytes, which are copied. It returns ErrSURB for anything else. A SURB that
// parses may still be one that no hop accepts: only its maker can tell.
func (p Params) ParseSURB(b []byte) (*SURB, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if len(b) != p.SURBSize() {
		return nil, fmt.Errorf("%w: it has %d bytes, must have %d", ErrSURB, len(b), p.SURBSize())
	}
	if b[0] != wire.RelayPrefix {
		return nil, fmt.Errorf("%w: its first hop's address does not start with 0xff", ErrSURB)
	}
	s := &surb{params: p, header: slices.Clone(b[AddressSize : AddressSize+p.HeaderSize()])}
	copy(s.first[:], b)
	copy(s.ktilde[:], b[AddressSize+p.HeaderSize():])
	return &SURB{hide(s)}, nil
}

// Use appends to dst the packet of PacketSize bytes that carries message as the reply, and returns the address of the
// hop to send it to with the extended slice. The message may be empty, and MaxReply bytes long at most. The second and
// every later call returns ErrSpent; a message that is too long leaves the SURB unused.
func (s *SURB) Use(dst, message []byte) (first Address, packet []byte, err error) {
	surb := s.s.get()
	if surb == nil {
		return Address{}, dst, ErrSpent
	}
	p := surb.params
	if len(message) > p.MaxReply() {
		return Address{}, dst, fmt.Errorf("%w: %d bytes, at most %d fit in a reply", ErrMessageSize, len(message), p.MaxReply())
	}
	surb.mu.Lock()
	defer surb.mu.Unlock()
	if surb.spent {
		return Address{}, dst, ErrSpent
	}
	surb.spent = true
	block, out := p.extend(dst)
	n := copy(block, surb.header)
	delta := block[n:]
	clear(delta[:kappa])
	if !wire.Pad(delta, kappa+copy(delta[kappa:], message)) {
		panic("sphinx: unreachable: a message that fits can be padded")
	}
	var key [lioness.KeySize]byte
	keys := schedule.New(p.insecure())
	keys.ReplyKey(&key, &surb.ktilde)
	cipher := lioness.New(&key)
	cipher.Encrypt(delta)

	cipher.Wipe()
	keys.Wipe()
	clear(key[:])
	clear(surb.ktilde[:])
	clear(surb.header)
	return surb.first, out, nil
}

// Open decrypts in place the payload of PayloadSize bytes that came to the client and returns the message within it.
// It returns ErrPacketSize or ErrPayload for a payload that did not come through this key's SURB unharmed, and the key
// stays usable: who can spoil a reply must not be able to burn the key of the true one. After a success the key is
// spent and every later call returns ErrSpent.
func (k *ReplyKey) Open(payload []byte) (message []byte, err error) {
	reply := k.k.get()
	if reply == nil || reply.spent {
		return nil, ErrSpent
	}
	p := reply.params
	if len(payload) != p.PayloadSize {
		return nil, ErrPacketSize
	}
	keys := schedule.New(p.insecure())
	defer keys.Wipe()
	var key [lioness.KeySize]byte
	defer clear(key[:])
	cipher := lioness.New(&key)
	defer cipher.Wipe()
	for i := len(reply.seeds) - 1; i >= 0; i-- { // each hop decrypted
		keys.PayloadKey(&key, &reply.seeds[i])
		cipher.SetKey(&key)
		cipher.Encrypt(payload)
	}
	keys.ReplyKey(&key, &reply.ktilde)
	cipher.SetKey(&key)
	cipher.Decrypt(payload)

	n, ok := wire.Unpad(payload)
	if !startsWithZeros(payload) || !ok || n < kappa {
		return nil, ErrPayload
	}
	k.Wipe()
	return payload[kappa:n], nil
}

// Wipe forgets the key, which is spent from then on.
func (k *ReplyKey) Wipe() {
	if reply := k.k.get(); reply != nil {
		clear(reply.ktilde[:])
		clear(reply.seeds)
		reply.spent = true
	}
}

// Format prints no part of the SURB, whatever the verb.
func (s SURB) Format(f fmt.State, _ rune) { io.WriteString(f, "sphinx.SURB(secret)") }

// Format prints no part of the key, whatever the verb.
func (k ReplyKey) Format(f fmt.State, _ rune) { io.WriteString(f, "sphinx.ReplyKey(secret)") }
