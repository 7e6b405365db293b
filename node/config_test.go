package node_test

import (
	"crypto/ed25519"
	"math"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/exit"
	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/sphinx"
)

var network = directory.Network{Params: sphinx.Params{MaxHops: 5, PayloadSize: 1024}, Epoch: time.Hour}

// nowhere is a listener that says where it is and nothing else.
type nowhere struct {
	net.Listener
	address string
}

func (l nowhere) Addr() net.Addr {
	addr, err := net.ResolveTCPAddr("tcp", l.address)
	if err != nil {
		panic(err)
	}
	return addr
}

func config(t *testing.T) node.Config {
	t.Helper()
	public, identity, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	return node.Config{
		Identity:  identity,
		Network:   network,
		Directory: &directory.Client{URLs: []string{"http://192.0.2.1:80"}, Key: public},
		Listener:  nowhere{address: "192.0.2.2:4000"},
	}
}

// TestConfigErrorsSayWhatIsWrong, when the node is made and not once it runs: what the directory would never take, an
// operator must not have to find in a log.
func TestConfigErrorsSayWhatIsWrong(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*node.Config)
		says   string
	}{
		{"no identity", func(c *node.Config) { c.Identity = nil }, "Identity"},
		{"half an identity", func(c *node.Config) { c.Identity = c.Identity[:32] }, "Identity"},
		{"no listener", func(c *node.Config) { c.Listener = nil }, "Listener"},
		{"no directory", func(c *node.Config) { c.Directory = nil }, "Directory"},
		{"no parameters", func(c *node.Config) { c.Network = directory.Network{} }, "MaxHops"},
		{"too many hops", func(c *node.Config) { c.Network.MaxHops = 51 }, "MaxHops"},
		{"no payload", func(c *node.Config) { c.Network.PayloadSize = 63 }, "PayloadSize"},
		{"batch size", func(c *node.Config) { c.Mix.Size = -1 }, "Mix"},
		{"batch deadline", func(c *node.Config) { c.Mix.Interval = -1 }, "Mix"},
		{"tags", func(c *node.Config) { c.MaxTags = -1 }, "MaxTags"},
		{"an epoch of half a second", func(c *node.Config) { c.Network.Epoch = time.Second / 2 }, "epoch"},
		{"a strategy that is none", func(c *node.Config) { c.Mix.Strategy = "hope" }, "Strategy"},
		{"a mix that heeds delays where there are none", func(c *node.Config) { c.Mix.Strategy = "poisson" }, "Poisson"},
		{"cover at a rate below nothing", func(c *node.Config) { c.Cover.Loops = -1 }, "Cover"},
		{"cover at no rate", func(c *node.Config) { c.Cover.Drops = math.NaN() }, "Cover"},
		{"cover in a network of short paths", func(c *node.Config) { c.Network.MaxHops, c.Cover.Loops = 2, 1 }, "Cover"},
		{"a service with the name of cover", func(c *node.Config) {
			c.Handlers = map[string]node.Handler{"drop": exit.NewEcho(network.Params)}
		}, "drop"},
		{"a service with the name of what gateways do", func(c *node.Config) {
			c.Handlers = map[string]node.Handler{"gateway": exit.NewEcho(network.Params)}
		}, "gateway"},
		{"a weight below nothing", func(c *node.Config) { c.Weight = -1 }, "Weight"},
		{"more weight than there is", func(c *node.Config) { c.Weight = directory.MaxWeight + 1 }, "Weight"},
		{"more weight than there is, mod 256", func(c *node.Config) { c.Weight = 256 + 4 }, "Weight"},
		{"links", func(c *node.Config) { c.MaxLinks = -1 }, "MaxLinks"},
		{"refresh", func(c *node.Config) { c.Refresh = -1 }, "Refresh"},
		{"lifetime", func(c *node.Config) { c.Lifetime = -1 }, "Lifetime"},
		{"links per address", func(c *node.Config) { c.MaxLinksPerAddress = -1 }, "MaxLinksPerAddress"},
		{"a lifetime longer than the directory takes", func(c *node.Config) { c.Lifetime = directory.MaxDescriptorLifetime + time.Second }, "Lifetime"},
		{"a lifetime of less than the second that a descriptor counts in", func(c *node.Config) { c.Lifetime = time.Second - 1 }, "Lifetime"},
		{"an address without a port", func(c *node.Config) { c.Address = "mix.example" }, "Address"},
		{"an address that nobody can dial", func(c *node.Config) { c.Address = "0.0.0.0:4000" }, "Address"},
		{"a listener everywhere, and no address", func(c *node.Config) { c.Listener = nowhere{address: "[::]:4000"} }, "Address"},
		{"a service whose name cannot be listed", func(c *node.Config) {
			c.Handlers = map[string]node.Handler{"two words": exit.NewEcho(network.Params)}
		}, "two words"},
		{"a service without a handler", func(c *node.Config) { c.Handlers = map[string]node.Handler{"echo": nil} }, "echo"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := config(t)
			test.change(&cfg)
			n, err := node.New(cfg)
			require.ErrorContains(t, err, test.says)
			require.Nil(t, n)
		})
	}
}

func TestInsecureScheduleIsRefused(t *testing.T) {
	cfg := config(t)
	cfg.Network.Schedule = sphinx.InsecureReferenceSchedule //lint:ignore SA1019 it is refused
	n, err := node.New(cfg)
	require.ErrorIs(t, err, directory.ErrInsecureSchedule)
	require.Nil(t, n)
}

func TestSmallestConfigIsEnough(t *testing.T) {
	cfg := config(t)
	n, err := node.New(cfg)
	require.NoError(t, err)
	require.Equal(t, directory.NodeIDOf(cfg.Identity.Public().(ed25519.PublicKey)), n.ID())
	require.Nil(t, n.View())
	require.Equal(t, node.Counts{Dropped: map[node.Drop]uint64{}}, n.Counts())
}

// TestDropNames: metrics have a name for each reason, and no two have one.
func TestDropNames(t *testing.T) {
	names := make(map[string]bool)
	for reason := node.DropFrame; reason <= node.DropClientQueue; reason++ {
		name := reason.String()
		require.Regexp(t, "^[a-z_]+$", name)
		require.False(t, names[name], name)
		names[name] = true
	}
}
