package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"sphinxmix.example/client"
	"sphinxmix.example/node"
)

// proxySettings is what a proxy's configuration file sets.
type proxySettings struct {
	listen      string
	shared      bool
	hops        int
	timeout     time.Duration
	connections int
	directory   directorySettings
	cover       client.Cover
	pace        client.Pace
	log         logSettings
}

func newProxySettings() *proxySettings {
	return &proxySettings{
		listen:      "127.0.0.1:1080",
		hops:        client.MinHops,
		timeout:     2 * time.Minute,
		connections: 1024,
		log:         newLogSettings(),
	}
}

const proxyHeader = `A proxy through which programs on this machine use a Sphinx mix network. Check this file, and then run the proxy, with
  mixnet proxy --config FILE --check
  mixnet proxy --config FILE
What stands behind a # is the default. Durations are written "250ms", "10s", "1h30m". Everything here is about this
machine: no mix and no exit is told any of it.`

// list returns all settings, in the order of the file.
func (p *proxySettings) list() []setting {
	return slices.Concat([]setting{
		{
			key: "listen", to: &p.listen, advice: `give a loopback address like "127.0.0.1:1080", or set shared = true for everyone who can reach it`,
			about: "Where programs connect, host:port: by SOCKS5, or by CONNECT of HTTP. Whoever can, may.",
		},
		{
			key: "shared", to: &p.shared, advice: "give true or false",
			about: "Whether listen may be an address that other machines can reach. What they send is then plain on its way to here,\nand everyone who reaches it uses the network as you.",
		},
		{
			key: "hops", to: &p.hops, positive: true, advice: fmt.Sprintf("give a number of mixes, from %d to what the network has room for", client.MinHops),
			about: "Mixes on each path. More take longer; if some may work together, more is safer.",
		},
		{
			key: "timeout", to: &p.timeout, positive: true, advice: "give a duration",
			about: "How long it may take until a connection is made, the network's delays included. Then its program is told.",
		},
		{
			key: "connections", to: &p.connections, positive: true, advice: "give a number of connections",
			about: "Connections of programs at a time. Those above it are closed.",
		},
	}, p.directory.list(), []setting{
		{
			key: "cover.loops", to: &p.cover.Loops, advice: "give packets a second, 0 for none",
			about: "Packets that the proxy sends to itself: mean number a second. They hide whether any program sends, where there are\nmore of them than of its packets.",
		},
		{
			key: "cover.drops", to: &p.cover.Drops, advice: "give packets a second, 0 for none",
			about: "Packets that the proxy sends to random mixes, which throw them away: mean number a second. They hide that, too.",
		},

		{
			key: "pace.rate", to: &p.pace.Rate, advice: "give packets a second, 0 for no pace",
			about: "Packets that leave the proxy per second, 1 or more: those of programs, and cover where there are none. Then nobody\nwho watches sees how much programs send; and they can send no more than that. 0 lets packets leave at once. With a\npace there is no [cover].",
		},
		{
			key: "pace.constant", to: &p.pace.Constant, advice: "give true or false",
			about: "Whether all gaps between them are equal. Random ones, which are the default, show less in the mixes behind.",
		},
		{
			key: "pace.drops", to: &p.pace.Drops, advice: "give a part from 0 to 1",
			about: "The part of the pace's cover that random mixes throw away, 0 to 1. The rest come back to the proxy.",
		},
	}, p.log.list())
}

// loadProxy reads and checks a proxy's configuration file. The error is a *configError.
func loadProxy(file string) (*loadedProxy, error) {
	p := newProxySettings()
	c := readConfiguration(file, p.list())
	if c.usable("listen") {
		if err := checkProxyListen(p.listen, p.shared || c.refused("shared")); err != nil {
			c.refuse("listen", err.Error())
		}
	}
	p.directory.check(c)
	p.log.check(c)
	if p.hops < client.MinHops && c.usable("hops") {
		c.refuse("hops", fmt.Sprintf("is %d, must be at least %d", p.hops, client.MinHops))
	}
	p.checkTraffic(c)
	for key, value := range map[string]int64{"timeout": int64(p.timeout), "connections": int64(p.connections)} {
		if value < 0 && c.usable(key) {
			c.refuse(key, "is negative")
		}
	}
	return &loadedProxy{settings: p, file: c}, c.err()
}

// checkTraffic refuses cover and paces that no client makes.
func (p *proxySettings) checkTraffic(c *configuration) {
	for key, rate := range map[string]float64{"cover.loops": p.cover.Loops, "cover.drops": p.cover.Drops} {
		if (rate < 0 || rate > client.MaxCover) && c.usable(key) {
			c.refuse(key, fmt.Sprintf("is %v, must be 0 to %d", rate, client.MaxCover))
		}
	}
	if (p.pace.Drops < 0 || p.pace.Drops > 1) && c.usable("pace.drops") {
		c.refuse("pace.drops", fmt.Sprintf("is %v, must be 0 to 1", p.pace.Drops))
	}
	switch rate := p.pace.Rate; {
	case !c.usable("pace.rate"):
	case rate < 0 || rate > 0 && rate < 1 || rate > client.MaxCover:
		c.refuse("pace.rate", fmt.Sprintf("is %v, must be 0, or 1 to %d", rate, client.MaxCover))
	case rate == 0 && p.pace.Constant:
		c.refuse("pace.constant", "is set without pace.rate")
	case rate == 0 && p.pace.Drops != 0:
		c.refuse("pace.drops", "is set without pace.rate")
	case rate != 0 && p.cover != (client.Cover{}):
		c.refuseWith("pace.rate", &remedied{"is set beside [cover]", "remove one of the two: a pace has cover of its own"})
	}
}

// checkProxyListen says why a proxy cannot listen at an address.
func checkProxyListen(address string, shared bool) error {
	if err := checkListen(address); err != nil {
		return err
	}
	if err := node.CheckOperator(address); errors.Is(err, node.ErrNotLoopback) && !shared {
		return fmt.Errorf("is %q, which other machines can reach", address)
	}
	return nil
}
