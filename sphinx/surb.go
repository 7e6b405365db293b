package sphinx

import (
	"fmt"
	"io"
	"slices"
	"sync"

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
// clientID (1 to MaxClientID(len(path)) bytes), together with id. The ReplyKey opens that reply. NewSURBs makes many,
// in less time for each.
//
// From random, or crypto/rand where it is nil, it reads 32 bytes for x, the padding of the last β (§3.2), which is
// 32(r−n)+31 bytes less the length of clientID for a path of n hops, and 32 bytes for k̃.
//
// Errors wrap ErrParams, ErrPath, ErrKey, ErrClientID or what random returned.
func (p Params) NewSURB(random io.Reader, path []Hop, clientID []byte, id MessageID) (*SURB, *ReplyKey, error) {
	surbs, keys, err := p.NewSURBs(random, []ReturnAddress{{path, clientID, id}})
	if err != nil {
		return nil, nil, err
	}
	return surbs[0], keys[0], nil
}

// ReturnAddress is where a reply is to go, as NewSURB wants to know it.
type ReturnAddress struct {
	Path      []Hop
	ClientID  []byte
	MessageID MessageID
}

// NewSURBs makes a SURB for each of addresses, with the ReplyKey at the same index: those that as many calls of
// NewSURB in turn would make, with the same bytes of random, all of which it reads before it computes. Paths may differ
// in length.
//
// It makes all or none. Errors are those of NewSURB and name an address at fault, of several not always the first.
func (p Params) NewSURBs(random io.Reader, addresses []ReturnAddress) ([]*SURB, []*ReplyKey, error) {
	if err := p.Validate(); err != nil {
		return nil, nil, err
	}
	for i := range addresses {
		if err := p.checkReturn(&addresses[i]); err != nil {
			return nil, nil, about("address", i, len(addresses), err)
		}
	}
	surbs, keys := p.blanks(addresses)
	c := borrow(p)
	err := c.newSURBs(surbs, keys, random, addresses)
	composers.Put(c)
	if err != nil {
		for i := range addresses {
			surbs[i].s.get().spend()
			keys[i].Wipe()
		}
		return nil, nil, err
	}
	return surbs, keys, nil
}

// blanks returns SURBs and keys with room for their secrets.
func (p Params) blanks(addresses []ReturnAddress) ([]*SURB, []*ReplyKey) {
	surbs, keys := make([]*SURB, len(addresses)), make([]*ReplyKey, len(addresses))
	for i := range addresses {
		path := addresses[i].Path
		surbs[i] = &SURB{hide(&surb{params: p, first: path[0].Address, header: make([]byte, p.HeaderSize())})}
		keys[i] = &ReplyKey{hide(&replyKey{params: p, seeds: make([]schedule.Seed, len(path))})}
	}
	return surbs, keys
}

// newSURBs completes blank SURBs and keys for addresses that were checked.
func (c *composer) newSURBs(surbs []*SURB, keys []*ReplyKey, random io.Reader, addresses []ReturnAddress) error {
	for i := range addresses {
		to, made, key := &addresses[i], surbs[i].s.get(), keys[i].k.get()
		if err := c.params.outline(made.header, random, len(to.Path), to.ClientID, to.MessageID); err != nil {
			return err
		}
		if err := draw(random, made.ktilde[:]); err != nil {
			return err
		}
		key.ktilde = made.ktilde
	}
	for from := 0; from < len(addresses); from += groupSize {
		to := min(from+groupSize, len(addresses))
		for i := from; i < to; i++ {
			c.add(draft{path: addresses[i].Path, header: surbs[i].s.get().header, seeds: keys[i].k.get().seeds})
		}
		if i, err := c.compose(); err != nil {
			return about("address", from+i, len(addresses), err)
		}
	}
	return nil
}

func (p Params) checkReturn(to *ReturnAddress) error {
	if err := p.checkPath(to.Path); err != nil {
		return err
	}
	if n, limit := len(to.ClientID), p.MaxClientID(len(to.Path)); n < 1 || n > limit {
		return fmt.Errorf("%w: it has %d bytes, must have 1 to %d at the end of this path", ErrClientID, n, limit)
	}
	return nil
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
	block, out := p.extend(dst, 1)
	delta := block[copy(block, surb.header):]
	clear(delta[:kappa])
	if !wire.Pad(delta, kappa+copy(delta[kappa:], message)) {
		panic("sphinx: unreachable: a message that fits can be padded")
	}
	c := borrow(p)
	c.closeReply(delta, &surb.ktilde)
	composers.Put(c)
	surb.spend()
	return surb.first, out, nil
}

// spend erases what the SURB sends a reply with. It is called with mu held, or before anybody else has the SURB.
func (s *surb) spend() {
	s.spent = true
	clear(s.ktilde[:])
	clear(s.header)
}

// Open decrypts in place the payload of PayloadSize bytes that came to the client and returns the message within it.
// It returns ErrPacketSize or ErrPayload for a payload that did not come through this key's SURB unharmed, and the key
// stays usable: who can spoil a reply must not be able to burn the key of the true one. After a success the key is
// spent and every later call returns ErrSpent.
func (k *ReplyKey) Open(payload []byte) (message []byte, err error) {
	reply := k.k.get()
	switch {
	case reply == nil || reply.spent:
		return nil, ErrSpent
	case len(payload) != reply.params.PayloadSize:
		return nil, ErrPacketSize
	}
	c := borrow(reply.params)
	c.openReply(payload, reply)
	composers.Put(c)
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
