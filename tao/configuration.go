package tao

import (
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// Configuration is what is measured of how a node is set up: whatever decides how well it mixes.
type Configuration struct {
	Network  [32]byte // hash of the network's parameters
	Strategy Strategy // when packets leave; none for a directory

	Size         uint32        // threshold, pool: distinct senders that packets must come from
	Interval     time.Duration // threshold: how long a packet waits for others at most; timed, pool: how often packets leave
	PoolMin      uint32        // pool: packets that stay
	PoolFraction uint32        // pool: the largest part that leaves at once, in millionths
	MaxDelay     time.Duration // pool, poisson: how long a packet is held at most
	MeanDelay    time.Duration // poisson: the mean of the delays that senders draw
	KeepsKeys    bool          // epoch keys are on disk
}

// A Strategy is when a mix lets packets leave; package node/mix describes them.
type Strategy uint8

// The strategies of mixes.
const (
	NoStrategy Strategy = iota
	Threshold
	Timed
	Pool
	Poisson
)

var strategyNames = []string{"none", "threshold", "timed", "pool", "poisson"}

// String returns the strategy's name in configuration files.
func (s Strategy) String() string {
	if int(s) < len(strategyNames) {
		return strategyNames[s]
	}
	return fmt.Sprintf("strategy %d", uint8(s))
}

// ParseStrategy is the reverse of [Strategy.String].
func ParseStrategy(name string) (Strategy, error) {
	for i, known := range strategyNames {
		if name == known {
			return Strategy(i), nil
		}
	}
	return 0, fmt.Errorf("tao: there is no strategy %q", name)
}

const (
	configurationContext = "sphinxmix configuration v1\x00"
	configurationSize    = 32 + 1 + 6*4 + 1
)

// Digest stands for the configuration in claims, logs and policies. Durations count in whole milliseconds.
func (c *Configuration) Digest() [32]byte {
	b := cryptobyte.NewFixedBuilder(make([]byte, 0, configurationSize))
	c.add(b)
	return hash(configurationContext, b.BytesOrPanic())
}

func (c *Configuration) add(b *cryptobyte.Builder) {
	b.AddBytes(c.Network[:])
	b.AddUint8(uint8(c.Strategy))
	b.AddUint32(c.Size)
	b.AddUint32(milliseconds(c.Interval))
	b.AddUint32(c.PoolMin)
	b.AddUint32(c.PoolFraction)
	b.AddUint32(milliseconds(c.MaxDelay))
	b.AddUint32(milliseconds(c.MeanDelay))
	addBool(b, c.KeepsKeys)
}

func (c *Configuration) read(s *cryptobyte.String) bool {
	var (
		strategy                     uint8
		interval, maxDelay, meanTime uint32
	)
	ok := s.CopyBytes(c.Network[:]) && s.ReadUint8(&strategy) && s.ReadUint32(&c.Size) && s.ReadUint32(&interval) &&
		s.ReadUint32(&c.PoolMin) && s.ReadUint32(&c.PoolFraction) && s.ReadUint32(&maxDelay) && s.ReadUint32(&meanTime) &&
		readBool(s, &c.KeepsKeys) && int(strategy) < len(strategyNames)
	c.Strategy = Strategy(strategy)
	c.Interval = time.Duration(interval) * time.Millisecond
	c.MaxDelay = time.Duration(maxDelay) * time.Millisecond
	c.MeanDelay = time.Duration(meanTime) * time.Millisecond
	return ok
}

// Minimum is what a mix must do at least, whatever else a policy allows: nobody can allow a batch of one by mistake.
type Minimum struct {
	Size      uint32        // threshold, pool: distinct senders; 2 or more
	Interval  time.Duration // threshold, timed, pool: a shorter one lets packets go alone
	MeanDelay time.Duration // poisson
}

// Check says what of a configuration is less than the minimum; nothing where it keeps it.
func (m *Minimum) Check(c *Configuration) string {
	switch c.Strategy {
	case Threshold, Pool:
		if c.Size < m.Size {
			return fmt.Sprintf("packets leave that come from %d senders, must be %d or more", c.Size, m.Size)
		}
		if c.Strategy == Pool && c.MaxDelay < 2*c.Interval {
			return fmt.Sprintf("nothing stays in a pool every %v that holds packets for %v at most", c.Interval, c.MaxDelay)
		}
	case Poisson:
		if c.MeanDelay < m.MeanDelay {
			return fmt.Sprintf("the mean delay is %v, must be %v or more", c.MeanDelay, m.MeanDelay)
		}
		if c.MaxDelay < m.MeanDelay { // whatever delays senders draw, packets are held no longer than this
			return fmt.Sprintf("packets are held for %v at most, must be %v or more", c.MaxDelay, m.MeanDelay)
		}
		return ""
	case Timed:
	case NoStrategy:
		return "packets leave at once"
	}
	if c.Interval < m.Interval {
		return fmt.Sprintf("packets wait for others for %v, must be %v or more", c.Interval, m.Interval)
	}
	return ""
}

// String describes the configuration in one line.
func (c *Configuration) String() string {
	text := c.Strategy.String()
	switch c.Strategy {
	case Threshold:
		text += fmt.Sprintf(": %d senders, or %v", c.Size, c.Interval)
	case Timed:
		text += fmt.Sprintf(": every %v", c.Interval)
	case Pool:
		text += fmt.Sprintf(": every %v, %d senders, %d packets stay, and more than %.4g of all, none for longer than %v",
			c.Interval, c.Size, c.PoolMin, 1-float64(c.PoolFraction)/1e6, c.MaxDelay)
	case Poisson:
		text += fmt.Sprintf(": mean delay %v, none longer than %v", c.MeanDelay, c.MaxDelay)
	}
	if c.KeepsKeys {
		text += "; keys on disk"
	}
	return text
}

// milliseconds cuts d to what an encoding has room for.
func milliseconds(d time.Duration) uint32 {
	return uint32(min(max(d/time.Millisecond, 0), 1<<32-1))
}

func addBool(b *cryptobyte.Builder, v bool) {
	if v {
		b.AddUint8(1)
	} else {
		b.AddUint8(0)
	}
}

// readBool reads 0 or 1, and refuses all else.
func readBool(s *cryptobyte.String, v *bool) bool {
	var b uint8
	ok := s.ReadUint8(&b) && b <= 1
	*v = b == 1
	return ok
}
