package exit

import (
	"fmt"
	"net/netip"
	"slices"
)

// Policy says where the exit connects to. The zero value is the default: public addresses alone, at all ports but 25, which
// is where mail is handed in without a password.
//
// An address is public that anyone on the Internet means the same host by. The IANA registries of special-purpose addresses
// (RFC 6890; iana-ipv4-special-registry and iana-ipv6-special-registry) list those that are not: this host, private and
// shared networks, links, benchmarks, documentation and more. Multicast is none, nor is any IPv6 address outside 2000::/3,
// which is all that is given out (RFC 3513 §4). IPv6 addresses that stand for IPv4 ones are judged as those where routers
// honour them (IPv4-mapped, and NAT64 at 64:ff9b::/96), and else not public (IPv4-compatible, 6to4, Teredo).
//
// Nor does an exit connect to an address of its own machine that Allow does not have, be it public or not.
type Policy struct {
	// Allow are addresses that may be connected to although they are not public: an operator's own network.
	Allow []netip.Prefix
	// Deny are addresses that may not be connected to, whatever else is said of them.
	Deny []netip.Prefix
	// Ports are those that may be connected to, at whatever address; all but 25 if empty.
	Ports []PortRange
}

// PortRange is the ports from First to Last, both included.
type PortRange struct{ First, Last uint16 }

// allButMail are the ports of the zero Policy. Mail servers that take mail from their users have ports of their own.
var allButMail = []PortRange{{1, 24}, {26, 65535}}

// special are the addresses within 0.0.0.0/0 and 2000::/3 that are not public.
var special = prefixes(
	"0.0.0.0/8",       // "this network": RFC 791 §3.2
	"10.0.0.0/8",      // private: RFC 1918
	"100.64.0.0/10",   // shared behind a provider's translation: RFC 6598
	"127.0.0.0/8",     // loopback: RFC 1122 §3.2.1.3
	"169.254.0.0/16",  // link-local, where clouds serve their machines' credentials: RFC 3927
	"172.16.0.0/12",   // private: RFC 1918
	"192.0.0.0/24",    // protocol assignments: RFC 6890 §2.1
	"192.0.2.0/24",    // documentation, TEST-NET-1: RFC 5737
	"192.88.99.0/24",  // 6to4 relays, deprecated: RFC 7526
	"192.168.0.0/16",  // private: RFC 1918
	"198.18.0.0/15",   // benchmarks: RFC 2544
	"198.51.100.0/24", // documentation, TEST-NET-2: RFC 5737
	"203.0.113.0/24",  // documentation, TEST-NET-3: RFC 5737
	"224.0.0.0/4",     // multicast: RFC 1112 §4
	"240.0.0.0/4",     // reserved, and the limited broadcast: RFC 1112 §4, RFC 919 §7

	"2001::/23",     // protocol assignments, with Teredo, benchmarks, ORCHIDs: RFC 2928
	"2001:db8::/32", // documentation: RFC 3849
	"2002::/16",     // 6to4: RFC 3056
	"3ffe::/16",     // 6bone, returned: RFC 3701
	"3fff::/20",     // documentation: RFC 9637
)

var (
	globalUnicast = netip.MustParsePrefix("2000::/3")
	nat64         = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052 §2.1
)

// Allows reports whether the exit may connect to this address and port. It does not depend on anything else.
func (p Policy) Allows(to netip.AddrPort) bool {
	address := to.Addr().Unmap()
	if !address.IsValid() || address.Zone() != "" || to.Port() == 0 {
		return false
	}
	meant := translated(address)
	switch {
	case contains(p.Deny, address), contains(p.Deny, meant):
		return false
	case !contains(p.Allow, address) && !public(meant):
		return false
	}
	ports := p.Ports
	if len(ports) == 0 {
		ports = allButMail
	}
	return slices.ContainsFunc(ports, func(r PortRange) bool { return r.First <= to.Port() && to.Port() <= r.Last })
}

// translated returns the IPv4 address that a translator makes of this one, or else this one.
func translated(address netip.Addr) netip.Addr {
	if !nat64.Contains(address) {
		return address
	}
	bytes := address.As16()
	return netip.AddrFrom4([4]byte(bytes[12:]))
}

// public reports whether an address, which stands for no other, is public.
func public(address netip.Addr) bool {
	return (address.Is4() || globalUnicast.Contains(address)) && !contains(special, address)
}

func (p Policy) validate() error {
	for _, list := range []struct {
		name     string
		prefixes []netip.Prefix
	}{
		{"Allow", p.Allow},
		{"Deny", p.Deny},
	} {
		for _, prefix := range list.prefixes {
			if !prefix.IsValid() {
				return fmt.Errorf("exit: Policy.%s has a prefix that is not valid", list.name)
			}
			if prefix.Addr().Is4In6() { // it would contain nothing
				return fmt.Errorf("exit: Policy.%s has %v: write it as an IPv4 prefix", list.name, prefix)
			}
		}
	}
	for _, r := range p.Ports {
		if r.First == 0 || r.Last < r.First {
			return fmt.Errorf("exit: Policy.Ports has %d to %d, must be a range within 1 to 65535", r.First, r.Last)
		}
	}
	return nil
}

func contains(list []netip.Prefix, address netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(address) })
}

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}
