package bench

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"

	"filippo.io/edwards25519"
	circl "github.com/cloudflare/circl/dh/x25519"
	"golang.org/x/crypto/curve25519"

	"sphinxmix.example/sphinx/kernels"
)

// own is what Subject.Implementation says of this library's primitives.
const own = "sphinx"

var errWrong = errors.New("wrong result")

// pair is two random scalars: one is to be multiplied with the point of the other.
type pair struct {
	scalar, point, public kernels.Key // public is the scalar's own point
	secret                []byte      // scalar·point, by crypto/ecdh
}

func newPair() (pair, error) {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return pair{}, err
	}
	peer, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return pair{}, err
	}
	secret, err := peer.ECDH(private.PublicKey())
	return pair{
		kernels.Key(private.Bytes()), kernels.Key(peer.PublicKey().Bytes()), kernels.Key(private.PublicKey().Bytes()), secret,
	}, err
}

// multiply is so many X25519 of this library in one call, of any points or all of the base point.
func multiply(point string, size int) maker {
	s := Subject{Kind: "X25519", Point: point, Implementation: own, Items: size}
	return maker{s, func() (*Operation, error) {
		pairs, all := make([]pair, size), make([]kernels.Multiplication, size)
		base := kernels.Base()
		for i := range all {
			var err error
			if pairs[i], err = newPair(); err != nil {
				return nil, err
			}
			all[i] = kernels.Multiplication{Result: new(kernels.Key), Scalar: &pairs[i].scalar, Point: &pairs[i].point}
			if point == "base" {
				all[i].Point, pairs[i].secret = &base, pairs[i].public[:]
			}
		}
		m := kernels.NewMultiplier()
		return &Operation{
			Subject: s,
			bytes:   size * len(base),
			call: func() error {
				m.Multiply(all)
				if !all[size-1].OK {
					return errWrong
				}
				return nil
			},
			verify: func() error {
				for i := range all {
					if !all[i].OK || !bytes.Equal(all[i].Result[:], pairs[i].secret) {
						return fmt.Errorf("multiplication %d: %w", i, errWrong)
					}
				}
				return nil
			},
		}, nil
	}}
}

// multiplyOthers are the other implementations of X25519 within reach. None but circl's takes its result's memory from
// the caller. That of crypto/ecdh is U against itself, where the distance from 1 is the error of the method.
func multiplyOthers() []maker {
	other := func(point, implementation string, multiply func(p pair) (func() []byte, error)) maker {
		s := Subject{Kind: "X25519", Point: point, Implementation: implementation}
		return maker{s, func() (*Operation, error) {
			p, err := newPair()
			if err != nil {
				return nil, err
			}
			want := p.secret
			if point == "base" {
				want = p.public[:]
			}
			op, err := multiply(p)
			return &Operation{Subject: s, bytes: len(want), call: func() error {
				if !bytes.Equal(op(), want) {
					return errWrong
				}
				return nil
			}}, err
		}}
	}
	return []maker{
		other("any", "ecdh", func(p pair) (func() []byte, error) {
			private, err := ecdh.X25519().NewPrivateKey(p.scalar[:])
			if err != nil {
				return nil, err
			}
			public, err := ecdh.X25519().NewPublicKey(p.point[:])
			return func() []byte { secret, _ := private.ECDH(public); return secret }, err
		}),
		other("any", "circl", func(p pair) (func() []byte, error) {
			var out circl.Key
			return func() []byte {
				circl.Shared(&out, (*circl.Key)(&p.scalar), (*circl.Key)(&p.point))
				return out[:]
			}, nil
		}),
		other("any", "xcrypto", func(p pair) (func() []byte, error) { // which computes a public key, too
			return func() []byte { secret, _ := curve25519.X25519(p.scalar[:], p.point[:]); return secret }, nil
		}),
		other("base", "edwards25519", func(p pair) (func() []byte, error) {
			scalar, err := new(edwards25519.Scalar).SetBytesWithClamping(p.scalar[:])
			return func() []byte { return new(edwards25519.Point).ScalarBaseMult(scalar).BytesMontgomery() }, err
		}),
		other("base", "circl", func(p pair) (func() []byte, error) {
			var out circl.Key
			return func() []byte { circl.KeyGen(&out, (*circl.Key)(&p.scalar)); return out[:] }, nil
		}),
	}
}
