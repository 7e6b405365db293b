package sphinx

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"slices"

	"sphinxmix.example/lioness"
	"sphinxmix.example/lioness/symmetric"
	"sphinxmix.example/sphinx/internal/schedule"
	"sphinxmix.example/sphinx/internal/wire"
	"sphinxmix.example/sphinx/internal/x25519"
)

// Route is what a hop is to do with a packet that it opened.
type Route uint8

// The routes. The zero Route is that of a packet that was refused.
const (
	Relay = Route(wire.Relay) // send the packet on to Layer.Next
	Exit  = Route(wire.Exit)  // the message is for Layer.Destination, here
	Reply = Route(wire.Reply) // hand the payload to the client Layer.Client
)

// Layer is what one hop learns from a packet. Its slices point into the packet.
type Layer struct {
	Route Route
	Tag   Tag // τ of the packet that came in

	Next Address // Relay: where the packet, which was changed in place, goes now

	Destination []byte // Exit: 1 to 127 bytes
	Message     []byte // Exit

	Client    []byte    // Reply: 1 to 127 bytes
	MessageID MessageID // Reply
	Payload   []byte    // Reply: δ, for ReplyKey.Open
}

// Unwrapper opens packets with one hop's key (§3.6). It works in its own memory, so that no call allocates once a batch
// of that size was seen, and erases that memory before a call returns. It is never printed.
//
// Use NewUnwrapper. An Unwrapper is not safe for concurrent use: give each goroutine its own, with one Replay for all.
type Unwrapper struct{ w secret[workspace] }

// workspace is what an Unwrapper computes with and in.
type workspace struct {
	params   Params
	replay   Replay
	scalar   x25519.Key // x
	public   x25519.Key // y
	schedule *schedule.Schedule
	cipher   *lioness.Cipher
	header   []byte // β ‖ zeros, decrypted
	gamma    [gammaSize]byte

	hops  []hop // one a packet of the batch
	tags  []Tag // of the packets with a valid MAC, together
	fresh []bool
}

// hop is what is known of one packet between the stages.
type hop struct {
	secret x25519.Key // s
	keys   schedule.Keys
}

// NewUnwrapper returns an Unwrapper with key, which is copied, that asks replay about every packet whose MAC is right.
func NewUnwrapper(p Params, key *PrivateKey, replay Replay) (*Unwrapper, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if key == nil || key.scalar.get() == nil || *key.scalar.get() == (x25519.Key{}) {
		return nil, fmt.Errorf("%w: the private key is missing or was wiped", ErrKey)
	}
	if replay == nil {
		return nil, errors.New("sphinx: an Unwrapper needs a Replay; TagSet is one in memory")
	}
	w := &workspace{
		params:   p,
		replay:   replay,
		scalar:   *key.scalar.get(),
		public:   x25519.Key(key.public),
		schedule: schedule.New(p.insecure()),
		cipher:   lioness.New(new([lioness.KeySize]byte)),
		header:   make([]byte, p.streamSize()),
	}
	w.grow(1)
	return &Unwrapper{hide(w)}, nil
}

// Unwrap opens one packet in place. Where it returns an error, which is one of the first group of this package's, the packet is to be dropped, in silence; its header is
// as it was, and its payload too unless the error is ErrPayload.
func (u *Unwrapper) Unwrap(packet []byte) (Layer, error) {
	packets, layers, errs := [1][]byte{packet}, [1]Layer{}, [1]error{}
	u.UnwrapBatch(packets[:], layers[:], errs[:])
	return layers[0], errs[0]
}

// UnwrapBatch opens packets in place and sets layers[i] and errs[i] to what Unwrap would return for packets[i], were it
// called on each in turn; but it asks Replay once for all, and works stage by stage. The three slices must have one
// length, which the call panics on otherwise.
func (u *Unwrapper) UnwrapBatch(packets [][]byte, layers []Layer, errs []error) {
	n := len(packets)
	if len(layers) != n || len(errs) != n {
		panic("sphinx: caller gives UnwrapBatch slices of different lengths")
	}
	clear(layers)
	clear(errs)
	w := u.w.get()
	w.grow(n)
	w.checkSizes(packets, errs)
	w.agree(packets, errs)
	w.derive(packets, errs)
	w.authenticate(packets, errs)
	w.refuseReplays(layers, errs)
	w.peel(packets, layers, errs)
	w.wipe(n)
}

// Wipe forgets the key. Every packet is refused from then on.
func (u *Unwrapper) Wipe() {
	w := u.w.get()
	w.wipe(len(w.hops))
	clear(w.scalar[:])
	w.replay = wiped{} // or the packets that anybody can make for a key of zeros would pass
}

// Format prints nothing of the key or of packets, whatever the verb.
func (u Unwrapper) Format(s fmt.State, _ rune) { io.WriteString(s, "sphinx.Unwrapper(secret)") }

func (w *workspace) grow(n int) {
	if n > len(w.hops) {
		w.hops = make([]hop, n)
		w.tags = make([]Tag, n)
		w.fresh = make([]bool, n)
	}
}

// wipe erases what the last batch, of n packets, left.
func (w *workspace) wipe(n int) {
	clear(w.hops[:n])
	clear(w.tags[:n])
	clear(w.header)
	clear(w.gamma[:])
	w.schedule.Wipe()
	w.cipher.Wipe()
}

// Stage 1: the size.
func (w *workspace) checkSizes(packets [][]byte, errs []error) {
	for i, packet := range packets {
		if len(packet) != w.params.PacketSize() {
			errs[i] = ErrPacketSize
		}
	}
}

// Stage 2: s, refused where it is zero before anything is derived from it.
func (w *workspace) agree(packets [][]byte, errs []error) {
	for i, packet := range packets {
		if errs[i] == nil && !x25519.Shared(&w.hops[i].secret, &w.scalar, (*x25519.Key)(w.params.alpha(packet))) {
			errs[i] = ErrGroup
		}
	}
}

// Stage 3: the keys.
func (w *workspace) derive(packets [][]byte, errs []error) {
	for i, packet := range packets {
		if errs[i] == nil {
			h := &w.hops[i]
			w.schedule.Derive(&h.keys, (*x25519.Key)(w.params.alpha(packet)), &w.public, &h.secret)
		}
	}
}

// Stage 4: γ.
func (w *workspace) authenticate(packets [][]byte, errs []error) {
	for i, packet := range packets {
		if errs[i] != nil {
			continue
		}
		w.schedule.MAC(w.gamma[:0], &w.hops[i].keys, w.params.beta(packet))
		if subtle.ConstantTimeCompare(w.gamma[:], w.params.gamma(packet)) != 1 {
			errs[i] = ErrMAC
		}
	}
}

// Stage 5: replays. A tag is stored only after its MAC was right, so nobody can burn the tag of a packet they merely
// saw; and before any work on the payload, so a replay costs none.
func (w *workspace) refuseReplays(layers []Layer, errs []error) {
	tags := w.tags[:0]
	for i := range errs {
		if errs[i] == nil {
			layers[i].Tag = *w.hops[i].keys.Tag()
			tags = append(tags, layers[i].Tag)
		}
	}
	if len(tags) == 0 {
		return
	}
	fresh := w.fresh[:len(tags)]
	clear(fresh)
	failure := w.replay.Fresh(tags, fresh)
	if failure != nil {
		failure = fmt.Errorf("%w: %w", ErrReplayStore, failure)
	}
	for i := range errs {
		if errs[i] != nil {
			continue
		}
		switch {
		case failure != nil:
			errs[i] = failure
		case !fresh[0]:
			errs[i] = ErrReplay
		}
		fresh = fresh[1:]
	}
}

// Stages 6 and 7: β, then δ, and for a packet that goes on the next α.
func (w *workspace) peel(packets [][]byte, layers []Layer, errs []error) {
	for i, packet := range packets {
		if errs[i] == nil {
			errs[i] = w.peelOne(packet, &layers[i], &w.hops[i].keys)
		}
		if errs[i] != nil {
			layers[i] = Layer{}
		}
	}
}

func (w *workspace) peelOne(packet []byte, layer *Layer, keys *schedule.Keys) error {
	p := w.params
	delta := packet[p.HeaderSize():]
	clear(w.header[copy(w.header, p.beta(packet)):])
	symmetric.XORKeyStream(w.header, w.header, keys.Stream())

	route, value, rest, ok := wire.Decode(w.header)
	if !ok || route == wire.Reply && len(rest) < MessageIDSize+hopSize {
		return ErrRouting // what a sender wrote ends with β; behind it is bare keystream
	}
	w.cipher.SetKey(keys.Payload())
	w.cipher.Decrypt(delta)

	switch layer.Route = Route(route); route {
	case wire.Relay:
		layer.Next = Address(value)
		alpha := (*x25519.Key)(p.alpha(packet))
		if !x25519.Shared(alpha, keys.Blinding(), alpha) {
			return ErrGroup // out of reach: s was not zero
		}
		copy(p.gamma(packet), rest[:gammaSize])
		copy(p.beta(packet), rest[gammaSize:])
	case wire.Exit:
		if layer.Destination, layer.Message, ok = openForward(delta); !ok {
			return ErrPayload
		}
	case wire.Reply:
		layer.Client = slices.Clip(packet[alphaSize : alphaSize+copy(p.beta(packet), value)])
		layer.MessageID = MessageID(rest[:MessageIDSize])
		layer.Payload = delta
	}
	return nil
}

// wiped is the Replay of an Unwrapper without a key.
type wiped struct{}

func (wiped) Fresh([]Tag, []bool) error { return errors.New("sphinx: the key was wiped") }
