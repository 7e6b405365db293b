package main

import (
	"crypto/ed25519"
	"time"

	"sphinxmix.example/node/directory"
)

// serverSettings is what a directory's configuration file sets.
type serverSettings struct {
	identity, listen, store string
	drain                   time.Duration
	network                 directory.Network
	lifetime                time.Duration
	maxNodes, maxNewNodes   int
	policyKey, policyFile   string
	log                     logSettings
}

func newServerSettings() *serverSettings {
	s := &serverSettings{
		identity: "directory.key",
		listen:   ":8080",
		store:    "bolt:directory.db",
		drain:    5 * time.Second,
		lifetime: time.Hour,
		maxNodes: 1024,

		maxNewNodes: 256,
		policyFile:  "policy.signed",
		log:         newLogSettings(),
	}
	s.network.MaxHops, s.network.PayloadSize, s.network.Epoch = 5, 2048, time.Hour
	return s
}

const directoryHeader = `The directory of a Sphinx mix network. Check this file, and then run the directory, with
  mixnet directory --config FILE --check
  mixnet directory --config FILE
What stands behind a # is the default. Names of files start at the folder of this file. Durations are written "250ms",
"10s", "1h30m". All servers of one directory have the same key, the same [network] and the same store.`

// list returns all settings, in the order of the file.
func (s *serverSettings) list() []setting {
	return append([]setting{
		{
			key: "identity", to: &s.identity, required: true, advice: "name the file that 'mixnet init directory' made",
			about: "File with the private key that signs the view of the network: Ed25519, PEM (PKCS #8), readable by its owner alone.\nBack it up, and guard it: who has it can make every client believe in mixes of his own.",
		},
		{
			key: "listen", to: &s.listen, advice: `give a host and a port like "203.0.113.5:8080", or ":8080" for every address of this machine`,
			about: "Where nodes and clients ask, host:port, HTTP. Without a host, on every address of this machine. All answers are\nsigned; TLS, from a proxy before this, hides from the network which of them somebody asks for.",
		},
		{
			key: "store", to: &s.store, advice: `give "bolt:FILE", "memory" or "etcd://HOST:PORT,HOST:PORT/PREFIX" (etcds:// with TLS)`,
			about: "Where the list of nodes is kept: \"bolt:FILE\" in a file, for one server; \"memory\" nowhere; \"etcd://…\" in etcd, for\nseveral servers of one directory.",
		},
		{
			key: "drain", to: &s.drain, advice: `give a duration, "0s" not to wait`,
			about: "How long a directory that is told to stop waits for the answers under way at most.",
		},

		{
			key: "network.max_hops", to: &s.network.MaxHops, positive: true, advice: "give the longest path's number of mixes",
			about: "Mixes on the longest path. Packets have room for as many. Changing anything in this section makes another network:\nevery node must then be started anew.",
		},
		{
			key: "network.payload_size", to: &s.network.PayloadSize, positive: true, advice: "give a number of bytes",
			about: "Bytes of a packet's payload.",
		},
		{
			key: "network.epoch", to: &s.network.Epoch, positive: true, advice: `give whole seconds, like "1h"`,
			about: "How long a mix key is the current one. Each lives for three epochs. In a network with a policy, an attested machine\n" +
				"must be started anew after some 300 epochs; and the longer they are, the more packets a mix's max_tags must allow.",
		},
		{
			key: "network.mean_delay", to: &s.network.MeanDelay, advice: `give whole milliseconds, like "500ms", or "0s" for none`,
			about: "Mean of the exponentially distributed delays that packets ask poisson mixes for; none asks\nfor more than 10 times that. 0s where no mix is one.",
		},

		{
			key: "view.lifetime", to: &s.lifetime, positive: true, advice: "give a duration",
			about: "How long a view is good for: the time that the network goes on for when the directory is gone.",
		},
		{
			key: "view.max_nodes", to: &s.maxNodes, positive: true, advice: "give a number of nodes",
			about: "How many nodes are listed at most. Each takes up its place until the registration ends, even when it has left.",
		},
		{
			key: "view.max_new_nodes", to: &s.maxNewNodes, positive: true, advice: "give a number of nodes",
			about: "How many new nodes one address may register at once, and then in each hour. Behind a proxy there is one address.",
		},

		{
			key: "policy.key", to: &s.policyKey, advice: policyKeyAdvice,
			about: "The public key of the network's policy, hexadecimal; \"\" for none. With it, mixes are listed that prove what they\n" +
				"run as the policy wants, and no others; and nodes and clients that know this key check that by themselves.",
		},
		{
			key: "policy.file", to: &s.policyFile, advice: "name the file that 'mixnet policy sign' made",
			about: "File with the policy that is signed by this key. It is read again when it changes.",
		},
	}, s.log.list()...)
}

// loadedServer is a directory's configuration that was found good.
type loadedServer struct {
	settings *serverSettings
	file     *configuration
	identity ed25519.PrivateKey
	policy   *policyFile // nil where the network has none
	signed   []byte      // the policy that is in it
}

// loadDirectory reads and checks a directory's configuration file. The error is a *configError.
func loadDirectory(file string) (*loadedServer, error) {
	s := newServerSettings()
	c := readConfiguration(file, s.list())
	loaded := &loadedServer{settings: s, file: c}
	if c.usable("identity") {
		key, err := readKey(c.path(s.identity))
		if err != nil {
			c.refuseWith("identity", err)
		}
		loaded.identity = key
	}
	c.check("listen", s.listen, checkListen)
	s.log.check(c)
	if s.drain < 0 {
		c.refuse("drain", "is negative")
	}
	loaded.checkStore()
	loaded.checkPolicy()
	c.validate(loaded.try)
	return loaded, c.err()
}

// try makes the directory as it would be run, apart from what has effects, and lets go of it.
func (l *loadedServer) try() error {
	cfg := l.config()
	if cfg.Key == nil {
		_, cfg.Key, _ = ed25519.GenerateKey(nil) // what is wrong with the real one is said already
	}
	_, err := directory.NewServer(cfg)
	return err
}

// config returns what the directory is made of, less what stores and logs.
func (l *loadedServer) config() directory.ServerConfig {
	cfg := directory.ServerConfig{
		Key:      l.identity,
		Network:  l.settings.network,
		Lifetime: l.settings.lifetime,
		MaxNodes: l.settings.maxNodes,

		MaxNewNodes: l.settings.maxNewNodes,
	}
	if l.policy != nil {
		cfg.Policy, cfg.PolicyKey = l.signed, l.policy.key
	}
	return cfg
}
