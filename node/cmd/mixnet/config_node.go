package main

import (
	"crypto/ed25519"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"time"

	"sphinxmix.example/client/exit"
	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/mix"
	"sphinxmix.example/sphinx"
	"sphinxmix.example/tao"
)

// nodeSettings is what a node's configuration file sets.
type nodeSettings struct {
	identity, listen, address string
	refresh, lifetime, drain  time.Duration
	weight                    int
	clients                   bool
	directory                 directorySettings
	attestation               attestationSettings
	mix                       mix.Config
	cover                     node.Cover
	keep                      bool
	folder                    string
	maxTags                   int
	links, linksPerAddress    int
	echo                      bool
	exit                      exitSettings
	operator                  string
	log                       logSettings
}

func newNodeSettings() *nodeSettings {
	pool := mix.Config{Strategy: "pool"}.WithDefaults()
	return &nodeSettings{
		identity: "node.key",
		listen:   ":7000",
		refresh:  10 * time.Second,
		lifetime: time.Hour,
		drain:    30 * time.Second,
		weight:   directory.DefaultWeight,
		clients:  true,
		mix: mix.Config{
			Strategy: "threshold", Size: pool.Size, Interval: pool.Interval, PoolMin: pool.PoolMin, PoolFraction: pool.PoolFraction,
		},
		folder:          "keys",
		maxTags:         1 << 22,
		links:           1024,
		linksPerAddress: 64,
		echo:            true,
		exit:            newExitSettings(),
		attestation:     newAttestationSettings(),
		operator:        "127.0.0.1:9090",
		log:             newLogSettings(),
	}
}

const nodeHeader = `A mix of a Sphinx mix network. Check this file, and then run the mix, with
  mixnet node --config FILE --check
  mixnet node --config FILE
What stands behind a # is the default. Names of files and folders start at the folder of this file. Durations are
written "250ms", "10s", "1h30m". Settings that are the whole network's, such as the size of packets, are the
directory's, from which a mix takes them.`

// list returns all settings, in the order of the file.
func (n *nodeSettings) list() []setting {
	return slices.Concat([]setting{
		{
			key: "identity", to: &n.identity, required: true, advice: "name the file that 'mixnet init node' made",
			about: "File with the private key that the mix is known by: Ed25519, PEM (PKCS #8), readable by its owner alone; or one that\n" +
				"'mixnet node seal' made of it, which only this machine's TPM opens. Back it up: who has it can pose as this mix. Its\n" +
				"folder is this mix's alone and holds nothing else that runs.",
		},
		{
			key: "listen", to: &n.listen, advice: `give a host and a port like "203.0.113.5:7000", or ":7000" for every address of this machine`,
			about: "Where mixes and clients connect, host:port. Without a host, on every address of this machine.",
		},
		{
			key: "address", to: &n.address, required: true, advice: `give the host and port that others reach this machine by, like "mix.example.org:7000"`,
			about: "Where others reach that, as they dial it: host:port, a name or an IP address.",
		},
		{
			key: "refresh", to: &n.refresh, positive: true, advice: "give a duration, or leave it out",
			about: "How often the mix asks its directory for news; a quarter of an epoch where that is less than the default.",
		},
		{
			key: "lifetime", to: &n.lifetime, positive: true, advice: "give a duration from 1s to 168h",
			about: "How long the mix stays listed where it does not renew that, which it does after half of the time.",
		},
		{
			key: "drain", to: &n.drain, advice: `give a duration, "0s" not to wait`,
			about: "How long a mix that is told to stop goes on at most, out of the directory, to send what it holds.",
		},
		{
			key: "weight", to: &n.weight, positive: true, advice: "give a whole number from 1 to 16",
			about: "How much traffic the mix can take, as others see it: 1 to 16. Of two mixes, clients choose the one with twice the\nweight twice as often.",
		},
		{
			key: "clients", to: &n.clients, advice: "give true or false",
			about: "Whether clients may connect to this mix, and enter the network here. Otherwise it hears other mixes alone.",
		},
	}, n.directory.list(), []setting{
		{
			key: "mix.strategy", to: &n.mix.Strategy, advice: `give threshold, timed or pool, or poisson in a network whose directory sets network.mean_delay`,
			about: "When packets leave. All but poisson let them go in a batch, in random order:\n" +
				"threshold  when they come from enough senders, or the oldest has waited long enough\n" +
				"timed      every interval\n" +
				"pool       every interval a random part of them, where they come from enough senders\n" +
				"poisson    each by itself, after the delay that its sender drew for it: for networks with a mean delay",
		},
		{
			key: "mix.size", to: &n.mix.Size, positive: true, advice: "give the number of senders, 1 or more, for a threshold or a pool",
			about: "threshold, pool: how many distinct senders the packets must come from. Anonymity sets have this size where there\nis enough traffic.",
		},
		{
			key: "mix.interval", to: &n.mix.Interval, positive: true, advice: "give a duration, for a threshold, timed or a pool",
			about: "threshold: how long a packet waits for other senders at most. timed, pool: how often packets leave.",
		},
		{
			key: "mix.pool_min", to: &n.mix.PoolMin, positive: true, advice: "give a number of packets, for a pool",
			about: "pool: how many packets stay.",
		},
		{
			key: "mix.pool_fraction", to: &n.mix.PoolFraction, positive: true, advice: "give a fraction, for a pool",
			about: "pool: the largest part of the packets that leaves at once, up to 1.",
		},
		{
			key: "mix.max_delay", to: &n.mix.MaxDelay, advice: "give a duration, for a pool or poisson",
			about: "pool, poisson: how long a packet is held at most. 0s means 10 intervals for a pool, and with poisson the\nlongest that a packet asks for, 10 times the network's mean delay, which is best: who sees a packet leave early can\ntell that it asked for more.",
		},

		{
			key: "cover.loops", to: &n.cover.Loops, advice: "give packets a second, 0 for none",
			about: "Packets of its own that the mix sends along a random path to itself: mean number a second. What does not come\nback shows that packets are lost, or held back by an attacker.",
		},
		{
			key: "cover.drops", to: &n.cover.Drops, advice: "give packets a second, 0 for none",
			about: "Packets of its own that the mix sends to other mixes, which throw them away: mean number a second.",
		},

		{
			key: "keys.keep", to: &n.keep, advice: "give true or false",
			about: "Whether epoch keys are on disk too, with the list of packets that were opened. Then a mix that is started again\ngoes on with its keys, and no packet under way is lost. Otherwise what who seizes the machine finds is less.",
		},
		{
			key: "keys.folder", to: &n.folder, advice: "name a folder that is used for nothing else",
			about: "The folder of the epoch keys, where they are kept. It is made when it is missing. Never back it up.",
		},
		{
			key: "keys.max_tags", to: &n.maxTags, positive: true, advice: "give a number of packets",
			about: "How many packets one epoch's key opens at most. Each takes up to 80 bytes of memory, for three epochs.",
		},

		{
			key: "limits.links", to: &n.links, positive: true, advice: "give a number of connections",
			about: "Connections at a time: as many from mixes, and as many from others.",
		},
		{
			key: "limits.links_per_address", to: &n.linksPerAddress, positive: true, advice: "give a number of connections",
			about: "Connections at a time from one address that is no mix's.",
		},

		{
			key: "services.echo", to: &n.echo, advice: "give true or false",
			about: "Whether this mix sends messages to \"echo\" back, by which clients measure the network.",
		},
	}, n.exit.list(), n.attestation.list(), []setting{
		{
			key: "operator.listen", to: &n.operator, advice: `give a loopback address like "127.0.0.1:9090" and reach it through ssh or a proxy, or "" for none`,
			about: "Where the operator of this machine finds a page that shows how the mix is, /metrics (Prometheus), /healthz and\n/stats: host:port on loopback, or \"\" for none. 'mixnet status' reads it. It is served without a password.",
		},
	}, n.log.list())
}

// role is what the node does in its network, as others see it.
func (n *nodeSettings) role() tao.Role {
	if n.exit.enabled {
		return tao.Exit
	}
	return tao.Mix
}

// loadNode reads and checks a node's configuration file, and the node's enrolment if there is to be one. The error is a
// *configError.
func loadNode(file string) (*loadedNode, error) {
	loaded := readNode(file)
	loaded.checkEnrolment()
	return loaded, loaded.file.err()
}

// loadUnenrolled is loadNode for a node that is still to be enrolled, or is to be once more.
func loadUnenrolled(file string) (*loadedNode, error) {
	loaded := readNode(file)
	return loaded, loaded.file.err()
}

// readNode reads a node's configuration file. What is wrong with it, but for the enrolment, is kept for the file's err.
func readNode(file string) *loadedNode {
	n := newNodeSettings()
	c := readConfiguration(file, n.list())
	loaded := &loadedNode{settings: n, file: c}
	if c.usable("identity") {
		key, err := loaded.readIdentity()
		if err != nil {
			c.refuseWith("identity", err)
		}
		loaded.identity = key
	}
	c.check("listen", n.listen, checkListen)
	c.check("operator.listen", n.operator, checkOperator)
	n.directory.check(c)
	n.exit.check(c)
	loaded.checkAttestation()
	n.log.check(c)
	if n.drain < 0 {
		c.refuse("drain", "is negative")
	}
	if n.keep {
		loaded.checkFolder()
	}
	if !c.broken {
		c.validate(func() error { return loaded.try(anyNetwork) })
		c.validate(n.exit.try)
	}
	return loaded
}

// loadedNode is a node's configuration that was found good, but for what only the network can tell.
type loadedNode struct {
	settings *nodeSettings
	file     *configuration
	identity ed25519.PrivateKey
	attests  bool // something vouches for it, as far as its settings can be used
}

// anyNetwork stands for the one that the directory will tell about. It has nothing against any mix.
var anyNetwork = directory.Network{Params: sphinx.Params{MaxHops: 5, PayloadSize: 1024}, Epoch: time.Hour, MeanDelay: time.Second}

// suits checks the configuration once more, now for the network that the mix is to be in.
func (l *loadedNode) suits(network directory.Network) error {
	l.file.validate(func() error { return l.try(network) })
	return l.file.err()
}

// try makes a node as it would be run, apart from what has effects, and lets go of it.
func (l *loadedNode) try(network directory.Network) error {
	cfg := l.config(network)
	cfg.Listener, cfg.KeyDir = notListening{}, ""
	if cfg.Identity == nil {
		_, cfg.Identity, _ = ed25519.GenerateKey(nil) // what is wrong with the real one is said already
	}
	if l.attests {
		var err error
		cfg.Directory.Policy = anyKey
		if cfg.Prover, err = anyProver(cfg.Identity); err != nil {
			return err
		}
	}
	_, err := node.New(cfg)
	return err
}

// config returns what the node is made of, less what listens and logs.
func (l *loadedNode) config(network directory.Network) node.Config {
	n, standard := l.settings, newNodeSettings()
	cfg := node.Config{
		Identity:  l.identity,
		Network:   network,
		Directory: n.directory.client(),
		Address:   n.address,
		Handlers:  make(map[string]node.Handler),
		Mix: mix.Config{
			Strategy: n.mix.Strategy,
			// A default is left out, as a mix refuses what is not for its strategy.
			Size:         unless(n.mix.Size, standard.mix.Size),
			Interval:     unless(n.mix.Interval, standard.mix.Interval),
			PoolMin:      unless(n.mix.PoolMin, standard.mix.PoolMin),
			PoolFraction: unless(n.mix.PoolFraction, standard.mix.PoolFraction),
			MaxDelay:     n.mix.MaxDelay,
		},
		Weight:             n.weight,
		NoClients:          !n.clients,
		Cover:              n.cover,
		MaxTags:            n.maxTags,
		MaxLinks:           n.links,
		MaxLinksPerAddress: n.linksPerAddress,
		Refresh:            unless(n.refresh, standard.refresh), // which is less for short epochs
		Lifetime:           n.lifetime,
		Version:            version(),
	}
	if n.echo {
		cfg.Handlers["echo"] = exit.NewEcho(network.Params)
	}
	if n.keep {
		cfg.KeyDir = l.file.path(n.folder)
	}
	return cfg
}

// unless returns value, or zero where it is the default.
func unless[T comparable](value, standard T) T {
	var zero T
	if value == standard {
		return zero
	}
	return value
}

// checkFolder looks at the folder of the epoch keys without a change to it.
func (l *loadedNode) checkFolder() {
	folder := l.file.path(l.settings.folder)
	if filepath.Clean(folder) == filepath.Clean(filepath.Dir(l.file.path(l.settings.identity))) {
		l.file.refuse("keys.folder", "is the folder of the identity, which is backed up, and keys must not be")
		return
	}
	if err := checkPrivateFolder(folder); err != nil {
		l.file.refuseWith("keys.folder", err)
	}
}

// notListening is a listener that nobody can reach.
type notListening struct{}

func (notListening) Accept() (net.Conn, error) { return nil, errors.New("this is not listened to") }
func (notListening) Close() error              { return nil }
func (notListening) Addr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7000} }
