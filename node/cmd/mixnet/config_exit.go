package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"sphinxmix.example/client/exit"
	"sphinxmix.example/node/cmd/mixnet/internal/welcome"
	"sphinxmix.example/sphinx"
)

// exitSettings is what the section [exit] of a node's configuration sets.
type exitSettings struct {
	enabled                                  bool
	allow, deny, ports                       []string
	resolver                                 string
	sessions, streams, perSession, memoryMiB int
	dialTimeout, idleTimeout                 time.Duration
}

func newExitSettings() exitSettings {
	return exitSettings{
		allow:       []string{},
		deny:        []string{},
		ports:       []string{},
		sessions:    1024,
		streams:     4096,
		perSession:  256,
		memoryMiB:   256,
		dialTimeout: 20 * time.Second,
		idleTimeout: time.Hour,
	}
}

func (e *exitSettings) list() []setting {
	return []setting{
		{
			key: "exit.enabled", to: &e.enabled, advice: "give true or false",
			about: "Whether this mix is an exit: connects to hosts that run nothing of this network, for whoever asks through it. They\nsee this machine's address: read node/examples/README.md on what that brings.",
		},
		{
			key: "exit.allow", to: &e.allow, advice: `give addresses like ["192.168.7.0/24"]`,
			about: "Addresses that the exit connects to although they are not public: of services of your own. Everyone can use them then.",
		},
		{
			key: "exit.deny", to: &e.deny, advice: `give addresses like ["198.51.100.7", "2001:db8::/32"]`,
			about: "Addresses that the exit does not connect to, whatever else is said.",
		},
		{
			key: "exit.ports", to: &e.ports, advice: `give ports like ["80", "443", "8000-8999"]`,
			about: "Ports that the exit connects to, like [\"80\", \"443\", \"8000-8999\"]. None here means all but 25, which is mail's.",
		},
		{
			key: "exit.resolver", to: &e.resolver, advice: `give an IP address and a port, like "192.0.2.53:53", or "" for the system's`,
			about: "The DNS server that names are resolved by, address:port; \"\" for those of the system. It sees what is looked up.",
		},
		{
			key: "exit.sessions", to: &e.sessions, positive: true, advice: "give a number of sessions",
			about: "Sessions of clients at a time.",
		},
		{
			key: "exit.streams", to: &e.streams, positive: true, advice: "give a number of connections",
			about: "Connections at a time, of all sessions.",
		},
		{
			key: "exit.streams_per_session", to: &e.perSession, positive: true, advice: "give a number of connections",
			about: "Connections at a time of one session.",
		},
		{
			key: "exit.memory", to: &e.memoryMiB, positive: true, advice: "give a number of MiB",
			about: "MiB of memory that all sessions and their connections may take.",
		},
		{
			key: "exit.dial_timeout", to: &e.dialTimeout, positive: true, advice: "give a duration",
			about: "How long making a connection may take, with the look-up of its name.",
		},
		{
			key: "exit.idle_timeout", to: &e.idleTimeout, positive: true, advice: "give a duration",
			about: "How long a connection may carry nothing. Then it ends.",
		},
	}
}

// check refuses what no exit can be made of.
func (e *exitSettings) check(c *configuration) {
	for key, texts := range map[string][]string{"exit.allow": e.allow, "exit.deny": e.deny} {
		if _, err := parsePrefixes(texts); err != nil && c.usable(key) {
			c.refuse(key, err.Error())
		}
	}
	if _, err := parsePorts(e.ports); err != nil && c.usable("exit.ports") {
		c.refuse("exit.ports", err.Error())
	}
}

// try makes the exit as it would be run, if there is to be one, and lets go of it.
func (e *exitSettings) try() error {
	if !e.enabled {
		return nil
	}
	made, err := exit.NewTCP(e.config(anyNetwork.Params, new(welcome.Page)))
	if err != nil {
		return err
	}
	made.Close()
	return nil
}

// config returns what the exit that serves that page is made of, less what logs. The settings must have been checked.
func (e *exitSettings) config(params sphinx.Params, page *welcome.Page) exit.Config {
	allow, _ := parsePrefixes(e.allow)
	deny, _ := parsePrefixes(e.deny)
	ports, _ := parsePorts(e.ports)
	return exit.Config{
		Params:      params,
		Policy:      exit.Policy{Allow: allow, Deny: deny, Ports: ports},
		Resolver:    e.resolver,
		Sites:       page.Sites(),
		MaxSessions: e.sessions,
		MaxStreams:  e.streams,
		Memory:      int64(e.memoryMiB) << 20,
		DialTimeout: e.dialTimeout,
		IdleTimeout: e.idleTimeout,

		MaxStreamsPerSession: e.perSession,
	}
}

// parsePrefixes reads addresses and ranges of addresses.
func parsePrefixes(texts []string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if address, only := netip.ParseAddr(text); only == nil {
			prefix, err = address.Prefix(address.BitLen())
		}
		if err != nil || prefix.Addr().Zone() != "" || prefix.Addr().Is4In6() {
			return nil, fmt.Errorf("has %q, which is no address and no range of them", text)
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, nil
}

// parsePorts reads ports and ranges of ports.
func parsePorts(texts []string) ([]exit.PortRange, error) {
	var ranges []exit.PortRange
	for _, text := range texts {
		low, high, found := strings.Cut(text, "-")
		if !found {
			high = low
		}
		first, err := strconv.ParseUint(strings.TrimSpace(low), 10, 16)
		last, err2 := strconv.ParseUint(strings.TrimSpace(high), 10, 16)
		if err != nil || err2 != nil || first == 0 || last < first {
			return nil, fmt.Errorf("has %q, which is no port and no range of them", text)
		}
		ranges = append(ranges, exit.PortRange{First: uint16(first), Last: uint16(last)})
	}
	return ranges, nil
}
