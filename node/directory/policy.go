package directory

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"time"

	"sphinxmix.example/tao"
)

// policy is a network's policy, and the bytes that were signed. The zero value is that of a network that has none. It
// must not be changed.
type policy struct {
	*tao.Policy
	signed []byte
}

// follow returns the policy that follows p: p itself where signed is the same again. It keeps no part of signed. The
// error wraps ErrPolicy; and ErrOlder for an older policy, ErrTwoPolicies for another one of the same version, or
// tao.ErrPolicy.
func (p policy) follow(signed []byte, key ed25519.PublicKey) (policy, error) {
	if p.Policy != nil && bytes.Equal(signed, p.signed) {
		return p, nil
	}
	if len(signed) == 0 {
		return policy{}, fmt.Errorf("%w: the network has none: is this the right directory? Its operator must give it one", ErrPolicy)
	}
	next, err := tao.ParsePolicy(signed, key)
	switch {
	case err != nil:
		return policy{}, fmt.Errorf("%w: %w: is the policy key the right one?", ErrPolicy, err)
	case p.Policy != nil && next.Version < p.Version:
		return policy{}, fmt.Errorf("%w: version %d is %w, which is version %d", ErrPolicy, next.Version, ErrOlder, p.Version)
	case p.Policy != nil && next.Version == p.Version:
		return policy{}, fmt.Errorf("%w: %w %d", ErrPolicy, ErrTwoPolicies, p.Version)
	}
	return policy{next, bytes.Clone(signed)}, nil
}

// goodAt returns an error that wraps ErrPolicy and tao.ErrPolicy for a time at which nobody is to be trusted by p.
func (p policy) goodAt(now time.Time) error {
	if err := p.GoodAt(now); err != nil {
		return fmt.Errorf("%w: %w: whoever has the policy key must sign another one, for the directory to publish", ErrPolicy, err)
	}
	return nil
}
