package node

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/mix"
	"sphinxmix.example/sphinx"
	"sphinxmix.example/tao"
)

var measuredNetwork = directory.Network{Params: sphinx.Params{MaxHops: 5, PayloadSize: 1024}, Epoch: time.Hour, MeanDelay: time.Second}

var strategies = []string{"threshold", "timed", "pool", "poisson"}

// TestWhatMixesDifferentlyIsMeasuredDifferently, whichever field of mix.Config it is, those that are still to come among
// them.
func TestWhatMixesDifferentlyIsMeasuredDifferently(t *testing.T) {
	fields := reflect.TypeFor[mix.Config]()
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		if name == "Rand" {
			continue // a source of randomness has no digest: the program says which there is
		}
		counts := 0
		for _, strategy := range strategies {
			before := Config{Network: measuredNetwork, Mix: mix.Config{Strategy: strategy}}
			before.Mix = before.mixing()
			after := before
			change(t, reflect.ValueOf(&after.Mix).Elem().Field(i))
			if _, err := mix.New[int](after.Mix); err != nil {
				continue // it is not for this strategy
			}
			counts++
			requireMeasured(t, before, after, name)
		}
		require.Positive(t, counts, "%s is for no strategy", name)
	}
}

// change makes a value another one that may stand in its place.
func change(t *testing.T, v reflect.Value) {
	t.Helper()
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		v.SetInt(v.Int() + int64(time.Millisecond))
	case v.Kind() == reflect.String: // a strategy: with the least of other fields set
		v.SetString(map[string]string{"threshold": "pool", "timed": "threshold", "pool": "threshold", "poisson": "pool"}[v.String()])
	case v.Kind() == reflect.Int:
		v.SetInt(v.Int() + 1)
	case v.Kind() == reflect.Float64:
		v.SetFloat(v.Float() - 1e-6)
	default:
		t.Fatalf("no other value of a %v", v.Type())
	}
}

func requireMeasured(t *testing.T, before, after Config, what string) {
	t.Helper()
	one, other := Configuration(before), Configuration(after)
	require.NotEqual(t, one.Digest(), other.Digest(), "%s changes how the node mixes, and not what is measured: %v", what, &other)
}

// TestMeasuredBesideMix: the network, and whether keys outlive the process.
func TestMeasuredBesideMix(t *testing.T) {
	for _, strategy := range strategies {
		before := Config{Network: measuredNetwork, Mix: mix.Config{Strategy: strategy}}
		for what, change := range map[string]func(*Config){
			"KeyDir":      func(c *Config) { c.KeyDir = "keys" },
			"Epoch":       func(c *Config) { c.Network.Epoch *= 2 },
			"MeanDelay":   func(c *Config) { c.Network.MeanDelay /= 2 },
			"PayloadSize": func(c *Config) { c.Network.PayloadSize += 32 },
		} {
			after := before
			change(&after)
			requireMeasured(t, before, after, what)
		}
	}
}

// TestMeasuredIsWhatIsDone: what a node leaves out is measured as what package mix does then, and as if it had been
// written down.
func TestMeasuredIsWhatIsDone(t *testing.T) {
	for _, strategy := range append(strategies, "") {
		left := Config{Network: measuredNetwork, Mix: mix.Config{Strategy: strategy}}
		if strategy == "poisson" {
			left.Mix.MaxDelay = 10 * time.Second // which package mix cannot know of the network
		}
		written := left
		written.Mix = left.mixing()
		require.Equal(t, Configuration(left), Configuration(written))
		does, err := mix.New[int](left.Mix)
		require.NoError(t, err)
		measured, err := mix.New[int](written.Mix)
		require.NoError(t, err)
		require.Equal(t, does, measured, strategy)
	}
}

// TestDefaultsAreMeasuredAsEver: policies allow mixes by what was measured of them, so that another default shuts out those
// that have it.
func TestDefaultsAreMeasuredAsEver(t *testing.T) {
	for strategy, want := range map[string]tao.Configuration{
		"":          {Strategy: tao.Threshold, Size: 8, Interval: time.Second},
		"threshold": {Strategy: tao.Threshold, Size: 8, Interval: time.Second},
		"timed":     {Strategy: tao.Timed, Interval: time.Second},
		"pool":      {Strategy: tao.Pool, Size: 8, Interval: time.Second, PoolMin: 8, PoolFraction: 600_000, MaxDelay: 10 * time.Second},
		"poisson":   {Strategy: tao.Poisson, MaxDelay: 10 * time.Second, MeanDelay: time.Second},
	} {
		want.Network = measuredNetwork.Hash()
		require.Equal(t, want, Configuration(Config{Network: measuredNetwork, Mix: mix.Config{Strategy: strategy}}), strategy)
	}
	slow := measuredNetwork
	slow.MeanDelay = 3 * time.Second
	require.Equal(t, tao.Configuration{
		Network: slow.Hash(), Strategy: tao.Poisson, MaxDelay: 30 * time.Second, MeanDelay: 3 * time.Second,
	}, Configuration(Config{Network: slow, Mix: mix.Config{Strategy: "poisson"}}), "the longest delay of its network")
	require.Equal(t, tao.Configuration{
		Network: measuredNetwork.Hash(), Strategy: tao.Pool, Size: 8, Interval: 30 * time.Second, PoolMin: 40, PoolFraction: 600_000,
		MaxDelay: 5 * time.Minute, KeepsKeys: true,
	}, Configuration(Config{
		Network: measuredNetwork, KeyDir: "keys", Mix: mix.Config{Strategy: "pool", Interval: 30 * time.Second, PoolMin: 40},
	}))
}
