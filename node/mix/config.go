package mix

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Config says how a mix holds packets. A zero field means its default. A field that is not for the strategy must be zero:
// whoever sets it expects something that would not happen.
type Config struct {
	// Strategy is "threshold", "timed", "pool" or "poisson"; "threshold" if empty. The package comment says what they do.
	Strategy string

	// Size is how many distinct senders the held packets must come from before a threshold or a pool lets go of any, at
	// least 1; 8 if zero. With 1 a threshold mixes nothing but what came before Due was called.
	Size int

	// Interval is how long a threshold waits for Size senders at most, and how often a timed mix or a pool lets go of
	// packets; 1 s if zero. The packets that leave hide among those that came in such a time: on a quiet network one alone.
	Interval time.Duration

	// PoolMin is how many packets stay in a pool, at least 1; 8 if zero. With n packets held, max(1, min(n - PoolMin,
	// ⌊n·PoolFraction⌋)) of them are chosen to leave, at random, where n > PoolMin and the held packets come from Size
	// distinct senders. Otherwise none are.
	PoolMin int

	// PoolFraction is the largest part of a pool that is chosen to leave at once, more than 0 and at most 1; 0.6 if zero.
	PoolFraction float64

	// MaxDelay is how long a pool or a Poisson mix holds a packet at most.
	//
	// A packet that is not chosen from a pool leaves at the end of the last interval that is over by then; thus a packet
	// does leave a pool that nobody else enters. At least Interval; 10 times Interval if zero.
	//
	// A packet that asks a Poisson mix for more delay is held for MaxDelay. Who sees it leave can tell that it was such a
	// packet; so all makers of packets draw no delay beyond the MaxDelay of the network, which is one that hardly any would
	// exceed. At most a year; 10 s if zero, which 1 in 22,000 delays with a mean of 1 s would exceed.
	MaxDelay time.Duration

	// Rand is where the order of the packets comes from, and the choice from a pool: 8 bytes for each packet, or twice that
	// for a pool, and some to spare, read 512 at a time. crypto/rand if nil.
	Rand io.Reader
}

const year = 365 * 24 * time.Hour

// New returns a Strategy that holds nothing, or an error that names the field of cfg that is out of bounds.
func New[T any](cfg Config) (Strategy[T], error) {
	cfg = cfg.WithDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	random := source{from: cfg.Rand}
	switch cfg.Strategy {
	case "threshold":
		return &threshold[T]{
			size:     cfg.Size,
			deadline: cfg.Interval,
			random:   random,
			senders:  make(map[string]struct{}),
		}, nil
	case "timed":
		return &timed[T]{grid: grid{interval: cfg.Interval}, random: random}, nil
	case "pool":
		return &pool[T]{
			grid:     grid{interval: cfg.Interval},
			random:   random,
			size:     cfg.Size,
			min:      cfg.PoolMin,
			fraction: cfg.PoolFraction,
			rounds:   int64(cfg.MaxDelay / cfg.Interval),
			senders:  make(map[string]struct{}),
		}, nil
	default:
		return &poisson[T]{maxDelay: cfg.MaxDelay, random: random}, nil
	}
}

// WithDefaults returns c with the default in each zero field that is for its strategy. The others stay as they are.
func (c Config) WithDefaults() Config {
	switch c.Strategy = cmp.Or(c.Strategy, "threshold"); c.Strategy {
	case "threshold":
		c.Size, c.Interval = cmp.Or(c.Size, 8), cmp.Or(c.Interval, time.Second)
	case "timed":
		c.Interval = cmp.Or(c.Interval, time.Second)
	case "pool":
		c.Size, c.Interval = cmp.Or(c.Size, 8), cmp.Or(c.Interval, time.Second)
		c.PoolMin, c.PoolFraction = cmp.Or(c.PoolMin, 8), cmp.Or(c.PoolFraction, 0.6)
		c.MaxDelay = cmp.Or(c.MaxDelay, 10*min(c.Interval, year))
	case "poisson":
		c.MaxDelay = cmp.Or(c.MaxDelay, 10*time.Second)
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	return c
}

// validate returns what is wrong with c, which has its defaults.
func (c Config) validate() error {
	if names := []string{"threshold", "timed", "pool", "poisson"}; !slices.Contains(names, c.Strategy) {
		return fmt.Errorf("mix: Config.Strategy is %q, must be one of %s", c.Strategy, strings.Join(names, ", "))
	}
	for _, field := range []struct {
		name string
		set  bool
		used []string
	}{
		{"Size", c.Size != 0, []string{"threshold", "pool"}},
		{"Interval", c.Interval != 0, []string{"threshold", "timed", "pool"}},
		{"PoolMin", c.PoolMin != 0, []string{"pool"}},
		{"PoolFraction", c.PoolFraction != 0, []string{"pool"}},
		{"MaxDelay", c.MaxDelay != 0, []string{"pool", "poisson"}},
	} {
		if field.set && !slices.Contains(field.used, c.Strategy) {
			return fmt.Errorf("mix: Config.%s is not for the strategy %q, only for %s: leave it zero", field.name, c.Strategy, strings.Join(field.used, ", "))
		}
	}
	pool := c.Strategy == "pool"
	switch {
	case c.Size < 0:
		return fmt.Errorf("mix: Config.Size is %d, must be at least 1 distinct sender", c.Size)
	case c.Interval < 0:
		return fmt.Errorf("mix: Config.Interval is %v, must be positive", c.Interval)
	case c.PoolMin < 0:
		return fmt.Errorf("mix: Config.PoolMin is %d, must be at least 1 packet", c.PoolMin)
	case pool && !(c.PoolFraction > 0 && c.PoolFraction <= 1): // not a number is neither
		return fmt.Errorf("mix: Config.PoolFraction is %v, must be more than 0 and at most 1", c.PoolFraction)
	case pool && c.MaxDelay < c.Interval:
		return fmt.Errorf("mix: Config.MaxDelay is %v, must be at least Config.Interval, which is %v", c.MaxDelay, c.Interval)
	case !pool && (c.MaxDelay < 0 || c.MaxDelay > year):
		return fmt.Errorf("mix: Config.MaxDelay is %v, must be positive and at most a year, %v", c.MaxDelay, year)
	}
	return nil
}
