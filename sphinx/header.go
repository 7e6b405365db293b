package sphinx

import (
	"crypto/subtle"
	"fmt"
	"io"

	"sphinxmix.example/lioness/symmetric"
	"sphinxmix.example/sphinx/internal/schedule"
	"sphinxmix.example/sphinx/internal/wire"
	"sphinxmix.example/sphinx/internal/x25519"
)

// builder is a sender's working memory: the keys of every hop of one path. Wipe it after use.
type builder struct {
	params   Params
	schedule *schedule.Schedule
	keys     []schedule.Keys
	seeds    []schedule.Seed
}

// newBuilder checks what every packet depends on.
func (p Params) newBuilder(path []Hop) (*builder, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if len(path) < 1 || len(path) > p.MaxHops {
		return nil, fmt.Errorf("%w: it has %d hops, must have 1 to %d", ErrPath, len(path), p.MaxHops)
	}
	for i := range path {
		if path[i].Address[0] != wire.RelayPrefix {
			return nil, fmt.Errorf("%w: the address of hop %d starts with %#02x, must start with 0xff", ErrPath, i, path[i].Address[0])
		}
	}
	return &builder{
		params:   p,
		schedule: schedule.New(p.insecure()),
		keys:     make([]schedule.Keys, len(path)),
		seeds:    make([]schedule.Seed, len(path)),
	}, nil
}

func (b *builder) wipe() {
	b.schedule.Wipe()
	clear(b.keys)
	clear(b.seeds)
}

// header sets header to α ‖ β ‖ γ for path (§3.2) and leaves every hop's keys in b. final is what the last hop reads
// first, without its message id; it fits. Drawn from random, in this order: x, then the padding of the last β.
func (b *builder) header(header []byte, random io.Reader, path []Hop, final []byte, id *MessageID) error {
	p, n := b.params, len(path)
	var x x25519.Key
	defer clear(x[:])
	if err := draw(random, x[:]); err != nil {
		return err
	}
	x25519.Clamp(&x)

	beta := p.beta(header)
	last := beta[:p.betaSize()-(n-1)*hopSize] // the rest is the filler
	used := copy(last, final)
	used += copy(last[used:], id[:])
	if err := draw(random, last[used:]); err != nil {
		return err
	}
	if err := b.agree((*x25519.Key)(p.alpha(header)), &x, path); err != nil {
		return err
	}

	// Every hop XORs the same number of keystream bytes, so all of them are made once and used twice: their ends
	// for the filler φ, their starts for β.
	size := p.streamSize()
	streams := make([]byte, n*size)
	defer clear(streams)
	stream := func(i int) []byte { return streams[i*size : (i+1)*size] }
	for i := range n {
		symmetric.XORKeyStream(stream(i), stream(i), b.keys[i].Stream())
	}

	subtle.XORBytes(last, last, stream(n-1))
	filler := beta[len(last):]
	clear(filler)
	for i := range n - 1 {
		grown := filler[:(i+1)*hopSize]
		subtle.XORBytes(grown, grown, stream(i)[size-len(grown):])
	}
	gamma := p.gamma(header)
	b.schedule.MAC(gamma[:0], &b.keys[n-1], beta)
	for i := n - 2; i >= 0; i-- {
		copy(beta[hopSize:], beta)
		copy(beta, path[i+1].Address[:])
		copy(beta[kappa:], gamma)
		subtle.XORBytes(beta, beta, stream(i))
		b.schedule.MAC(gamma[:0], &b.keys[i], beta)
	}
	return nil
}

// agree sets alpha to the first hop's α = x·G and derives the keys of every hop i from αᵢ, yᵢ and
// sᵢ = (x·b₀·…·bᵢ₋₁)·yᵢ: two multiplications of a point a hop, one of them of the fixed base.
func (b *builder) agree(alpha, x *x25519.Key, path []Hop) error {
	var blinded, s x25519.Key // αᵢ, sᵢ
	scalar := *x
	var product x25519.Product
	defer func() {
		product.Wipe()
		clear(scalar[:])
		clear(s[:])
	}()
	product.Set(x)
	product.Public(&blinded)
	*alpha = blinded
	for i := range path {
		y := x25519.Key(path[i].Key)
		if !x25519.Shared(&s, &scalar, &y) {
			return fmt.Errorf("%w: the public key of hop %d is of low order", ErrKey, i)
		}
		b.seeds[i] = b.schedule.Derive(&b.keys[i], &blinded, &y, &s)
		if i == len(path)-1 {
			break
		}
		product.Multiply(b.keys[i].Blinding())
		product.Scalar(&scalar)
		product.Public(&blinded)
	}
	return nil
}
