package sphinx

import (
	"crypto/subtle"
	"fmt"
	"io"
	"sync"

	"sphinxmix.example/lioness"
	"sphinxmix.example/lioness/symmetric"
	"sphinxmix.example/sphinx/internal/schedule"
	"sphinxmix.example/sphinx/internal/x25519"
)

// groupSize is how many packets are made together. Two points of each fill the lanes of X25519 four times over at every
// hop, so that more would hardly be faster; and the memory stays that of 16 packets however many there are.
const groupSize = 16

// draft is one packet in the making: its header, and the payload where it has one yet.
type draft struct {
	path   []Hop
	header []byte          // what outline left there, then α ‖ β ‖ γ
	delta  []byte          // the payload, to be encrypted; nil in a SURB
	seeds  []schedule.Seed // set to the seeds of the hops' payload keys; nil where nobody wants them

	product         x25519.Product // x·b₀·…·bᵢ₋₁, with i the hop that agree is at
	scalar          x25519.Key     // the product, as a scalar
	blinded, agreed x25519.Key     // αᵢ, sᵢ
	keys            []schedule.Keys
	streams         []byte // streamSize bytes a hop
}

// composer is what an end of the network computes with and in. It makes drafts into packets, all of a group at once, one
// hop after the other; and has payloads of replies take their passes. Between calls it holds nothing.
type composer struct {
	params     Params
	schedule   *schedule.Schedule
	multiplier *x25519.Multiplier
	cipher     *lioness.Batch

	drafts [groupSize]draft
	count  int // of drafts
	jobs   groupJobs
	key    [lioness.KeySize]byte // of a reply's payload
}

// composers are those that nobody uses. Their memory is tens of KB.
var composers sync.Pool

// borrow returns a composer for parameters that were checked, to be put back into composers; but by no defer, as one
// that has panicked may hold something.
func borrow(p Params) *composer {
	if c, ok := composers.Get().(*composer); ok && c.params == p {
		return c
	}
	return newComposer(p)
}

// groupJobs is what the stages hand to the calls that take many.
type groupJobs struct {
	multiplications [2 * groupSize]x25519.Multiplication
	derivations     [groupSize]schedule.Derivation
	authentications [groupSize]schedule.Authentication
	streams         [2 * groupSize]symmetric.Stream
	keys            [groupSize]*[lioness.KeySize]byte
	payloads        [groupSize][]byte
}

func newComposer(p Params) *composer {
	return &composer{params: p, schedule: schedule.New(p.insecure()), multiplier: x25519.NewMultiplier(), cipher: lioness.NewBatch()}
}

// outline draws what is random in a header for a path of some hops (§3.2): x, which it leaves where α will be, and the
// padding behind what the last hop is to read, which is at the start of β. An exit reads what would be a client id of
// no bytes (wire.ExitPrefix); the client id fits.
func (p Params) outline(header []byte, random io.Reader, hops int, client []byte, id MessageID) error {
	if err := draw(random, p.alpha(header)); err != nil {
		return err
	}
	last := p.lastBeta(header, hops)
	last[0] = byte(len(client))
	n := 1 + copy(last[1:], client)
	n += copy(last[n:], id[:])
	return draw(random, last[n:])
}

// lastBeta is the start of β up to where, at the last of some hops, the filler φ follows.
func (p Params) lastBeta(header []byte, hops int) []byte {
	return p.beta(header)[:p.betaSize()-(hops-1)*hopSize]
}

// add adds a draft to the group, which has room for it.
func (c *composer) add(d draft) {
	at := &c.drafts[c.count]
	c.count++
	hops, size := len(d.path), len(d.path)*c.params.streamSize()
	if cap(at.keys) < hops {
		at.keys, at.streams = make([]schedule.Keys, hops), make([]byte, size)
	}
	d.keys, d.streams = at.keys[:hops], at.streams[:size]
	*at = d
}

// compose makes packets of the drafts and forgets these. On an error, which wraps ErrKey, it returns which of them it
// is about, and they are worth nothing.
func (c *composer) compose() (failed int, err error) {
	defer c.forget()
	if failed, err = c.agree(); err != nil {
		return failed, err
	}
	c.expand()
	c.seal()
	c.encrypt()
	return 0, nil
}

// forget erases what the last group, or reply, left.
func (c *composer) forget() {
	for i := range c.group() {
		d := &c.drafts[i]
		clear(d.keys)
		clear(d.streams)
		*d = draft{keys: d.keys, streams: d.streams}
	}
	c.count = 0
	c.jobs = groupJobs{}
	clear(c.key[:])
	c.schedule.Wipe()
}

func (c *composer) group() []draft { return c.drafts[:c.count] }

// hops is the length of the group's longest path.
func (c *composer) hops() (hops int) {
	for i := range c.group() {
		hops = max(hops, len(c.drafts[i].path))
	}
	return hops
}

// Stage 1: α, and the keys of every hop i from αᵢ, yᵢ and sᵢ = (x·b₀·…·bᵢ₋₁)·yᵢ: two points a hop, one of them a
// multiple of the base.
func (c *composer) agree() (failed int, err error) {
	for i := range c.group() {
		d := &c.drafts[i]
		d.scalar = x25519.Key(c.params.alpha(d.header))
		x25519.Clamp(&d.scalar)
		d.product.Set(&d.scalar)
	}
	for hop := range c.hops() {
		multiplications := c.jobs.multiplications[:0]
		for i := range c.group() {
			if d := &c.drafts[i]; hop < len(d.path) {
				y := (*x25519.Key)(&d.path[hop].Key)
				multiplications = append(multiplications,
					x25519.Multiplication{Result: &d.blinded, Scalar: &d.scalar, Point: &x25519.Base},
					x25519.Multiplication{Result: &d.agreed, Scalar: &d.scalar, Point: y})
			}
		}
		c.multiplier.Multiply(multiplications)

		derivations := c.jobs.derivations[:0]
		for i := range c.group() {
			d := &c.drafts[i]
			if hop >= len(d.path) {
				continue
			}
			s := &multiplications[2*len(derivations)+1]
			if !s.OK {
				return i, fmt.Errorf("%w: the public key of hop %d is of low order", ErrKey, hop)
			}
			derivation := schedule.Derivation{Keys: &d.keys[hop], Alpha: &d.blinded, Y: s.Point, S: &d.agreed}
			if d.seeds != nil {
				derivation.Seed = &d.seeds[hop]
			}
			derivations = append(derivations, derivation)
		}
		c.schedule.DeriveAll(derivations)

		for i := range c.group() {
			d := &c.drafts[i]
			if hop == 0 {
				copy(c.params.alpha(d.header), d.blinded[:])
			}
			if hop+1 < len(d.path) {
				d.product.Multiply(d.keys[hop].Blinding())
				d.product.Scalar(&d.scalar)
			}
		}
	}
	return 0, nil
}

// Stage 2: the header streams. Every hop XORs the same number of bytes, so all of them are made once and used twice:
// their ends for the filler φ, their starts for β.
func (c *composer) expand() {
	streams := c.jobs.streams[:0]
	for i := range c.group() {
		d := &c.drafts[i]
		clear(d.streams)
		for hop := range d.path {
			if len(streams) == cap(streams) {
				symmetric.XORKeyStreams(streams)
				streams = streams[:0]
			}
			stream := c.stream(d, hop)
			streams = append(streams, symmetric.Stream{Dst: stream, Src: stream, Key: d.keys[hop].Stream()})
		}
	}
	symmetric.XORKeyStreams(streams)
}

// stream is a hop's header stream.
func (c *composer) stream(d *draft, hop int) []byte {
	size := c.params.streamSize()
	return d.streams[hop*size : (hop+1)*size]
}

// Stage 3: β and γ, from the last hop to the first.
func (c *composer) seal() {
	for hop := c.hops() - 1; hop >= 0; hop-- {
		authentications := c.jobs.authentications[:0]
		for i := range c.group() {
			d := &c.drafts[i]
			if hop >= len(d.path) {
				continue
			}
			beta, gamma := c.params.beta(d.header), c.params.gamma(d.header)
			if hop == len(d.path)-1 {
				c.fill(d)
			} else {
				copy(beta[hopSize:], beta)
				copy(beta, d.path[hop+1].Address[:])
				copy(beta[kappa:], gamma)
				subtle.XORBytes(beta, beta, c.stream(d, hop))
			}
			authentications = append(authentications, schedule.Authentication{Gamma: gamma, Keys: &d.keys[hop], Beta: beta})
		}
		c.schedule.MACAll(authentications)
	}
}

// fill encrypts what the last hop is to read and sets the rest of its β to the filler φ: what the zeros that the hops
// before it append have become by then.
func (c *composer) fill(d *draft) {
	last, size := len(d.path)-1, c.params.streamSize()
	read := c.params.lastBeta(d.header, len(d.path))
	subtle.XORBytes(read, read, c.stream(d, last))
	filler := c.params.beta(d.header)[len(read):]
	clear(filler)
	for hop := range last {
		grown := filler[:(hop+1)*hopSize]
		subtle.XORBytes(grown, grown, c.stream(d, hop)[size-len(grown):])
	}
}

// Stage 4: δ, from the last hop to the first.
func (c *composer) encrypt() {
	for hop := c.hops() - 1; hop >= 0; hop-- {
		keys, payloads := c.jobs.keys[:0], c.jobs.payloads[:0]
		for i := range c.group() {
			if d := &c.drafts[i]; d.delta != nil && hop < len(d.path) {
				keys, payloads = append(keys, d.keys[hop].Payload()), append(payloads, d.delta)
			}
		}
		c.pass((*lioness.Batch).Encrypt, keys, payloads)
	}
}

// closeReply encrypts the payload of a reply.
func (c *composer) closeReply(payload []byte, ktilde *[ktildeSize]byte) {
	defer c.forget()
	c.schedule.ReplyKey(&c.key, ktilde)
	c.turn((*lioness.Batch).Encrypt, payload)
}

// openReply undoes what every hop has done to the payload of a reply, and then closeReply.
func (c *composer) openReply(payload []byte, with *replyKey) {
	defer c.forget()
	for i := len(with.seeds) - 1; i >= 0; i-- {
		c.schedule.PayloadKey(&c.key, &with.seeds[i])
		c.turn((*lioness.Batch).Encrypt, payload)
	}
	c.schedule.ReplyKey(&c.key, &with.ktilde)
	c.turn((*lioness.Batch).Decrypt, payload)
}

// turn has a payload take one pass under the key that is in c.key.
func (c *composer) turn(to direction, payload []byte) {
	c.pass(to, append(c.jobs.keys[:0], &c.key), append(c.jobs.payloads[:0], payload))
}

// direction is one of the two of LIONESS.
type direction func(b *lioness.Batch, keys []*[lioness.KeySize]byte, payloads [][]byte) error

func (c *composer) pass(to direction, keys []*[lioness.KeySize]byte, payloads [][]byte) {
	if err := to(c.cipher, keys, payloads); err != nil {
		panic("sphinx: unreachable: a payload is longer than the smallest block: " + err.Error())
	}
}
