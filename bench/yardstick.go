package bench

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"sphinxmix.example/bench/thread"
)

// yardstick is U, the unit of this package: one X25519 by crypto/ecdh where both keys are ready, as in a handshake with
// a known peer. Everybody who has Go has U, and any change to what is measured leaves it alone.
type yardstick struct {
	private *ecdh.PrivateKey
	public  *ecdh.PublicKey
	secret  []byte // X25519(private, public)

	last float64 // ns of one U in the slice that ended last; 0: there was none
}

func newYardstick() (*yardstick, error) {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	peer, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	secret, err := peer.ECDH(private.PublicKey())
	if err != nil {
		return nil, err
	}
	return &yardstick{private: private, public: peer.PublicKey(), secret: secret}, nil
}

// slice returns the nanoseconds of one U, the mean over count of them.
func (u *yardstick) slice(count int) (float64, error) {
	start := thread.Time()
	for range count {
		if secret, err := u.private.ECDH(u.public); err != nil || !bytes.Equal(secret, u.secret) {
			return 0, errors.New("bench: the yardstick computes a wrong secret")
		}
	}
	return float64(thread.Time()-start) / float64(count), nil
}

// comparison is what slices of an operation and of U, in turn, come to. Both are timed in processor time, so that a
// scheduler that gives the processor to another process in the middle of a slice changes nothing.
type comparison struct {
	op    *Operation
	unit  *yardstick
	calls int           // of the operation in a slice: at least one
	count int           // of U in a slice, which then takes as long as one of the operation
	both  time.Duration // about how long the two take

	start  time.Duration // when the operation's slice began
	took   time.Duration // how long it was
	rounds []Round       // one a slice
}

// compare returns a comparison of op that has no slice yet. It makes a few calls of op, which warm it up, to find how
// many make a slice of the given length, and verifies what the last one did. The goroutine must be locked to its
// thread.
func compare(unit *yardstick, op *Operation, length time.Duration) (*comparison, error) {
	c := &comparison{op: op, unit: unit}
	fastest := func(f func() error) (time.Duration, error) {
		var took [5]time.Duration
		for i := range took {
			start := thread.Time()
			if err := f(); err != nil {
				return 0, err
			}
			took[i] = thread.Time() - start
		}
		return max(1, slices.Min(took[:])), nil
	}
	op.restore(5)
	each, err := fastest(op.call)
	if err == nil && op.verify != nil {
		err = op.verify()
	}
	if err != nil {
		return nil, fmt.Errorf("bench: %s: %w", op.Name(), err)
	}
	one, err := fastest(func() error { _, err := unit.slice(1); return err })
	if err != nil {
		return nil, err
	}
	c.calls = max(1, int(length/each))
	c.count = max(1, int(time.Duration(c.calls)*each/one))
	c.both = time.Duration(c.calls)*each + time.Duration(c.count)*one
	return c, nil
}

// slice runs one slice of the operation and one of U.
func (c *comparison) slice() error {
	c.begin()
	for range c.calls {
		if err := c.op.call(); err != nil {
			return fmt.Errorf("bench: %s: %w", c.op.Name(), err)
		}
	}
	c.end()
	return c.measureUnit(c.calls)
}

// begin prepares a slice of the operation and marks its start.
func (c *comparison) begin() {
	c.op.restore(c.calls)
	c.start = thread.Time()
}

// end marks its end.
func (c *comparison) end() { c.took = thread.Time() - c.start }

// measureUnit runs a slice of U. It compares the operation's slice that ended last, of the given number of calls, with
// the mean of that slice of U and the one before, which the operation's stood between.
func (c *comparison) measureUnit(calls int) error {
	after, err := c.unit.slice(c.count)
	if err != nil {
		return err
	}
	unit := after
	if c.unit.last > 0 {
		unit = (c.unit.last + after) / 2
	}
	c.unit.last = after
	c.rounds = append(c.rounds, Round{Calls: calls, Nanoseconds: float64(c.took) / float64(calls), Unit: unit})
	return nil
}

// units returns U in each round.
func (c *comparison) units() (units []float64) {
	for _, r := range c.rounds {
		units = append(units, r.Unit)
	}
	return units
}

// measurement returns what the rounds came to that count where U is limited so.
func (c *comparison) measurement(limit float64) Measurement {
	m := Measurement{Name: c.op.Name(), Subject: c.op.Subject, Rounds: slices.Clone(c.rounds)}
	var nanoseconds, ratios []float64
	items := float64(c.op.items())
	for i, counts := range counting(c.units(), limit) {
		r := &m.Rounds[i]
		if r.Counts = counts; counts {
			nanoseconds = append(nanoseconds, r.Nanoseconds/items)
			ratios = append(ratios, r.Nanoseconds/items/r.Unit)
		}
	}
	m.Nanoseconds, m.Units = summarize(nanoseconds), summarize(ratios)
	return m
}
