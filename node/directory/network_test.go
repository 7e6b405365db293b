package directory

import (
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/sphinx"
)

func TestNetworkHashTellsNetworksApart(t *testing.T) {
	seen := map[[32]byte]string{}
	for name, change := range map[string]func(*Network){
		"itself":            func(*Network) {},
		"more hops":         func(n *Network) { n.MaxHops = 6 },
		"a byte more":       func(n *Network) { n.PayloadSize = 1025 },
		"the most bytes":    func(n *Network) { n.PayloadSize = 65536 },
		"the other keys":    func(n *Network) { n.Schedule++ },
		"a longer epoch":    func(n *Network) { n.Epoch += time.Second },
		"no delay":          func(n *Network) { n.MeanDelay = 0 },
		"the longest delay": func(n *Network) { n.MeanDelay = MaxMeanDelay.Truncate(time.Millisecond) },
	} {
		n := network
		change(&n)
		hash := n.Hash()
		require.NotContains(t, seen, hash, "%s is the same as %s", name, seen[hash])
		seen[hash] = name
		require.Equal(t, hash, n.Hash())
	}
}

func TestEpochsAreCountedFrom1970(t *testing.T) {
	n := network
	for _, c := range []struct {
		length time.Duration
		at     int64 // seconds since 1970
		want   uint64
	}{
		{time.Hour, -1, 0},
		{time.Hour, 0, 0},
		{time.Hour, 3599, 0},
		{time.Hour, 3600, 1},
		{time.Second, 1767268800, 1767268800},
		{MaxEpoch, 1767268800, 2922},
	} {
		n.Epoch = c.length
		require.Equal(t, c.want, n.EpochAt(time.Unix(c.at, 0)), "%d s in epochs of %v", c.at, c.length)
	}
	n.Epoch = time.Hour
	begins := time.Unix(490908*3600, 0)
	require.Equal(t, begins.UTC(), n.EpochStart(490908))
	require.Equal(t, uint64(490907), n.EpochAt(begins.Add(-1)))
	require.Equal(t, uint64(490908), n.EpochAt(begins.In(time.FixedZone("", 1800))), "epochs do not depend on a time zone")
}

func TestImpossibleNetworksAreRefused(t *testing.T) {
	require.NoError(t, network.Validate())
	for name, c := range map[string]struct {
		spoil func(*Network)
		want  error
	}{
		"no hops":              {func(n *Network) { n.MaxHops = 0 }, sphinx.ErrParams},
		"insecure schedule":    {func(n *Network) { n.Schedule++ }, ErrInsecureSchedule},
		"no epoch":             {func(n *Network) { n.Epoch = 0 }, ErrNetwork},
		"negative epoch":       {func(n *Network) { n.Epoch = -time.Hour }, ErrNetwork},
		"epoch too short":      {func(n *Network) { n.Epoch = time.Second / 2 }, ErrNetwork},
		"epoch in halves":      {func(n *Network) { n.Epoch = 3 * time.Second / 2 }, ErrNetwork},
		"epoch too long":       {func(n *Network) { n.Epoch = MaxEpoch + time.Second }, ErrNetwork},
		"negative delay":       {func(n *Network) { n.MeanDelay = -time.Millisecond }, ErrNetwork},
		"delay in nanoseconds": {func(n *Network) { n.MeanDelay = time.Millisecond + 1 }, ErrNetwork},
		"delay too long":       {func(n *Network) { n.MeanDelay = MaxMeanDelay.Truncate(time.Millisecond) + time.Millisecond }, ErrNetwork},
	} {
		t.Run(name, func(t *testing.T) {
			n := network
			c.spoil(&n)
			require.ErrorIs(t, n.Validate(), c.want)
		})
	}
	for _, n := range []Network{
		{Params: network.Params, Epoch: time.Second},
		{Params: network.Params, Epoch: MaxEpoch, MeanDelay: MaxMeanDelay.Truncate(time.Millisecond)},
	} {
		require.NoError(t, n.Validate())
	}
}

// A routing block can carry every delay that a maker of packets may draw, however long the network's delays are.
func TestTheLongestDelayOfEachNetworkCanBeAskedFor(t *testing.T) {
	for mean, want := range map[time.Duration]time.Duration{
		0:                                       0,
		time.Millisecond:                        10 * time.Millisecond,
		50 * time.Millisecond:                   500 * time.Millisecond,
		MaxMeanDelay.Truncate(time.Millisecond): 65530 * time.Millisecond,
	} {
		n := network
		n.MeanDelay = mean
		require.NoError(t, n.Validate())
		require.Equal(t, want, n.LongestDelay())
		asked, ok := ParseRoute(Route{Delay: n.LongestDelay()}.Address())
		require.True(t, ok)
		require.Equal(t, want, asked.Delay)
	}
}

// A network comes back from a view as the directory was told it.
func TestViewCarriesTheWholeNetwork(t *testing.T) {
	header := headerOf(1)
	header.Network = Network{
		Params: sphinx.Params{MaxHops: 50, PayloadSize: 65536}, Epoch: MaxEpoch, MeanDelay: MaxMeanDelay.Truncate(time.Millisecond),
	}
	v, err := parse(header.sign(directoryKey, encodeRest(nil, nil)))
	require.NoError(t, err)
	require.Equal(t, header.Network, v.Network)
}

func TestViewWithAnImpossibleEpochIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(view []byte){
		"no epoch":             func(view []byte) { clear(view[epochAt:][:4]) },
		"an epoch of 2³² s":    func(view []byte) { copy(view[epochAt:], "\xff\xff\xff\xff") },
		"a mean delay of days": func(view []byte) { copy(view[epochAt+4:], "\xff\xff\xff\xff") },
	} {
		view := viewOf(1)
		spoil(view)
		_, err := parse(resealed(view))
		require.ErrorIs(t, err, ErrNetwork, name)
	}
}

// epochAt is where the epoch stands in a view.
const epochAt = ed25519.SignatureSize + 8 + timeSize + timeSize + 1 + 4 + 1

func TestDescriptorKnowsItsKeysByEpoch(t *testing.T) {
	d := describe(1)
	d.Keys = []EpochKey{{6, mixKey(1)}, {7, mixKey(2)}, {8, mixKey(3)}}
	for epoch, want := range map[uint64]byte{6: 1, 7: 2, 8: 3} {
		key, ok := d.Key(epoch)
		require.True(t, ok)
		require.Equal(t, mixKey(want), key)
	}
	_, ok := d.Key(9)
	require.False(t, ok)
	_, ok = d.Key(7 + 256)
	require.False(t, ok, "epochs are alike mod 256 only in routing blocks")
}
