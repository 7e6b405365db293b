package sphinx

import (
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

// String returns the route's name; "refused" for the zero Route.
func (r Route) String() string {
	switch r {
	case 0:
		return "refused"
	case Relay:
		return "relay"
	case Exit:
		return "exit"
	case Reply:
		return "reply"
	}
	return fmt.Sprintf("Route(%d)", uint8(r))
}

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
		params:     p,
		replay:     replay,
		scalar:     *key.scalar.get(),
		public:     x25519.Key(key.public),
		multiplier: x25519.NewMultiplier(),
		schedule:   schedule.New(p.insecure()),
		cipher:     lioness.NewBatch(),
	}
	w.grow(1)
	return &Unwrapper{hide(w)}, nil
}

// Unwrap opens one packet in place. Where it returns an error, which is one of the first group of this package's, the
// packet is to be dropped, in silence; its header is as it was, and its payload too unless the error is ErrPayload.
func (u *Unwrapper) Unwrap(packet []byte) (Layer, error) {
	packets, layers, errs := [1][]byte{packet}, [1]Layer{}, [1]error{}
	u.UnwrapBatch(packets[:], layers[:], errs[:])
	return layers[0], errs[0]
}

// UnwrapBatch opens packets in place and sets layers[i] and errs[i] to what Unwrap would return for packets[i], were it
// called on each in turn; but it asks Replay once for all, and takes all of them through one stage after the other, where
// many together take less time than alone. The packets must not overlap. The three slices must have one length, which the
// call panics on otherwise.
//
// Each stage sees the packets that those before it let through:
//
//  1. the size
//  2. the shared secrets s
//  3. the keys of the hop
//  4. the MACs γ
//  5. replays
//  6. the routing in β
//  7. the payloads δ
//  8. the packets that go on: their next α, β and γ
//  9. the packets that end here: what they hold
func (u *Unwrapper) UnwrapBatch(packets [][]byte, layers []Layer, errs []error) {
	n := len(packets)
	if len(layers) != n || len(errs) != n {
		panic("sphinx: caller gives UnwrapBatch slices of different lengths")
	}
	clear(layers)
	clear(errs)
	w := u.w.get()
	w.grow(n)
	defer w.wipe(n) // whatever Replay does
	w.checkSizes(packets, errs)
	w.agree(packets, errs)
	w.derive(packets)
	w.authenticate(packets, errs)
	w.refuseReplays(layers, errs)
	w.route(packets, layers, errs)
	w.decrypt(packets)
	w.relay(packets, layers, errs)
	w.deliver(packets, layers, errs)
}

// Wipe forgets the key. Every packet is refused from then on.
func (u *Unwrapper) Wipe() {
	w := u.w.get()
	w.wipe(len(w.hops))
	clear(w.scalar[:])
	w.replay = wiped{} // or the packets that anybody can make for a key of zeros would pass
}

// wiped is the Replay of an Unwrapper without a key.
type wiped struct{}

func (wiped) Fresh([]Tag, []bool) error { return errors.New("sphinx: the key was wiped") }

// Format prints nothing of the key or of packets, whatever the verb.
func (u Unwrapper) Format(s fmt.State, _ rune) { io.WriteString(s, "sphinx.Unwrapper(secret)") }

// workspace is what an Unwrapper computes with and in.
type workspace struct {
	params Params
	replay Replay
	scalar x25519.Key // x
	public x25519.Key // y

	multiplier *x25519.Multiplier
	schedule   *schedule.Schedule
	cipher     *lioness.Batch

	hops []hop // one a packet of the batch
	live []int // the packets that were not refused so far, by their places in the batch
	jobs batchJobs
}

// hop is what is known of one packet between the stages.
type hop struct {
	secret x25519.Key // s
	keys   schedule.Keys
	gamma  [gammaSize]byte // as it ought to be
	value  []byte          // of the routing block
	rest   []byte          // of β, behind the value
}

// batchJobs is what the stages hand to the calls that take many: one element for each live packet. Between the stages it
// holds no pointer, for the packets are the caller's again after the batch.
type batchJobs struct {
	multiplications []x25519.Multiplication
	derivations     []schedule.Derivation
	authentications []schedule.Authentication
	tags            []Tag
	fresh           []bool
	headers         []byte // β ‖ zeros of each, decrypted
	streams         []symmetric.Stream
	keys            []*[lioness.KeySize]byte
	payloads        [][]byte
}

// grow makes room for n packets.
func (w *workspace) grow(n int) {
	if n <= len(w.hops) {
		return
	}
	w.hops = make([]hop, n)
	w.live = make([]int, 0, n)
	w.jobs = batchJobs{
		multiplications: make([]x25519.Multiplication, n),
		derivations:     make([]schedule.Derivation, n),
		authentications: make([]schedule.Authentication, n),
		tags:            make([]Tag, n),
		fresh:           make([]bool, n),
		headers:         make([]byte, n*w.params.streamSize()),
		streams:         make([]symmetric.Stream, n),
		keys:            make([]*[lioness.KeySize]byte, n),
		payloads:        make([][]byte, n),
	}
}

// wipe erases what the last batch, of n packets, left.
func (w *workspace) wipe(n int) {
	clear(w.hops[:n])
	clear(w.live[:cap(w.live)])
	clear(w.jobs.tags[:n])
	clear(w.jobs.headers[:n*w.params.streamSize()])
	w.schedule.Wipe()
}

// sift leaves the packets live that have no error.
func (w *workspace) sift(errs []error) {
	w.live = slices.DeleteFunc(w.live, func(i int) bool { return errs[i] != nil })
}
