package node

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"sphinxmix.example/node/mix"
	"sphinxmix.example/tao"
)

// Configuration returns what is measured of a node that is set up so, and what policies allow: all that decides how it
// mixes, in whole milliseconds and millionths. It looks at Mix, Network and KeyDir, and at no other field.
func Configuration(cfg Config) tao.Configuration {
	m := cfg.mixing()
	strategy, _ := tao.ParseStrategy(m.Strategy) // none where New refuses it
	c := tao.Configuration{
		Network:      cfg.Network.Hash(),
		Strategy:     strategy,
		Size:         uint32(m.Size),
		Interval:     m.Interval,
		PoolMin:      uint32(m.PoolMin),
		PoolFraction: uint32(math.Round(m.PoolFraction * millionths)),
		MaxDelay:     m.MaxDelay,
		KeepsKeys:    cfg.KeyDir != "",
	}
	if strategy == tao.Poisson {
		c.MeanDelay = cfg.Network.MeanDelay
	}
	return c
}

const millionths = 1e6

// mixing returns how the node mixes, with nothing left to package mix's defaults: what is measured is what is done. What is
// not for the strategy stays zero.
func (c *Config) mixing() mix.Config {
	m := c.Mix
	if m.Strategy == "poisson" {
		m.MaxDelay = cmp.Or(m.MaxDelay, c.Network.LongestDelay()) // that of the makers of packets: a lower one would show
	}
	return m.WithDefaults()
}

// provable says what keeps a node with these settings, which have their defaults, from proving what it is.
func (c *Config) provable() error {
	m, most := c.Mix, int64(math.MaxUint32)
	switch {
	case len(c.Directory.Policy) == 0:
		return errors.New("node: Config.Prover needs the policy that its evidence is for: Config.Directory.Policy is missing")
	case !c.Prover.Record().Identity.Equal(c.Identity.Public()):
		return fmt.Errorf("node: Config.Prover: %w: %x", tao.ErrIdentity, c.Prover.Record().Identity)
	case m.Interval%time.Millisecond != 0 || m.MaxDelay%time.Millisecond != 0:
		return errors.New("node: Config.Mix: what is measured is in whole milliseconds, and so must be what is done")
	case m.Interval.Milliseconds() > most || m.MaxDelay.Milliseconds() > most || int64(m.Size) > most || int64(m.PoolMin) > most:
		return errors.New("node: Config.Mix: it has a number that is larger than any that can be measured")
	case math.Round(m.PoolFraction*millionths)/millionths != m.PoolFraction:
		return errors.New("node: Config.Mix.PoolFraction: what is measured is in millionths, and so must be what is done")
	}
	return nil
}
