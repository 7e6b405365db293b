package exit_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/exit"
)

// private are addresses that the default policy must not connect to, each with one beside it that is public where the
// registries draw the line, or "" where what is beside it is no more public.
var private = []struct{ address, beside string }{
	{"0.0.0.0", ""},
	{"0.255.255.255", "1.0.0.0"},
	{"10.0.0.0", "9.255.255.255"},
	{"10.255.255.255", "11.0.0.0"},
	{"100.64.0.0", "100.63.255.255"},
	{"100.127.255.255", "100.128.0.0"},
	{"127.0.0.0", "126.255.255.255"},
	{"127.0.0.1", ""},
	{"127.255.255.255", "128.0.0.0"},
	{"169.254.0.0", "169.253.255.255"},
	{"169.254.169.254", ""},
	{"169.254.255.255", "169.255.0.0"},
	{"172.16.0.0", "172.15.255.255"},
	{"172.31.255.255", "172.32.0.0"},
	{"192.0.0.0", "191.255.255.255"},
	{"192.0.0.255", "192.0.1.0"},
	{"192.0.2.0", "192.0.1.255"},
	{"192.0.2.255", "192.0.3.0"},
	{"192.88.99.0", "192.88.98.255"},
	{"192.88.99.255", "192.88.100.0"},
	{"192.168.0.0", "192.167.255.255"},
	{"192.168.255.255", "192.169.0.0"},
	{"198.18.0.0", "198.17.255.255"},
	{"198.19.255.255", "198.20.0.0"},
	{"198.51.100.0", "198.51.99.255"},
	{"198.51.100.255", "198.51.101.0"},
	{"203.0.113.0", "203.0.112.255"},
	{"203.0.113.255", "203.0.114.0"},
	{"224.0.0.0", "223.255.255.255"},
	{"239.255.255.255", ""},
	{"240.0.0.0", ""},
	{"255.255.255.255", ""},

	{"::", ""},
	{"::1", ""},
	{"::7f00:1", ""},          // IPv4-compatible 127.0.0.1
	{"::ffff:127.0.0.1", ""},  // IPv4-mapped
	{"::ffff:7f00:1", ""},     // the same
	{"::ffff:10.1.2.3", ""},   //
	{"::ffff:0:10.1.2.3", ""}, // IPv4-translated, RFC 2765
	{"::ffff:169.254.169.254", "::ffff:8.8.8.8"},
	{"64:ff9b::127.0.0.1", "64:ff9b::8.8.8.8"},
	{"64:ff9b::10.0.0.1", ""},
	{"64:ff9b::a9fe:a9fe", ""},
	{"64:ff9b:0:0:0:1:808:808", ""}, // beside 64:ff9b::/96
	{"64:ff9b:1::808:808", ""},      // NAT64 of a network's own, RFC 8215
	{"100::", ""},                   // discard, RFC 6666
	{"100:0:0:1::", ""},             // RFC 9780
	{"1fff:ffff::", "2000::"},
	{"2001::", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"2001:0:4136:e378:8000:63bf:3fff:fdd2", ""},                 // Teredo
	{"2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::"},     // AMT and ORCHIDs among it
	{"2001:db8::", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff"},     //
	{"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"},     //
	{"2002::", "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},        //
	{"2002:7f00:1::1", ""},                                       // 6to4 of 127.0.0.1
	{"2002:808:808::1", ""},                                      // and of a public one: nobody routes it any more
	{"2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::"},        //
	{"3ffe::", "3ffd:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},        //
	{"3fff::", ""},                                               //
	{"3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"},    //
	{"4000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},        //
	{"5f00::1", ""},                                              // segment routing, RFC 9602
	{"fc00::1", ""},                                              //
	{"fd00:ec2::254", ""},                                        // where a cloud serves its machines' credentials
	{"fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""},              //
	{"fe80::1", ""},                                              //
	{"fe80::1%eth0", ""},                                         //
	{"fec0::1", ""},                                              // site-local, RFC 3879
	{"ff02::1", ""},                                              //
	{"2606:4700::1111%eth0", "2606:4700::1111"},                  // a zone makes it another host's
	{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2a00:1450::64"}, //
}

func TestTheDefaultPolicyIsPublicAddressesAlone(t *testing.T) {
	var policy exit.Policy
	for _, test := range private {
		require.False(t, policy.Allows(netip.AddrPortFrom(netip.MustParseAddr(test.address), 443)), "%s", test.address)
		if test.beside != "" {
			require.True(t, policy.Allows(netip.AddrPortFrom(netip.MustParseAddr(test.beside), 443)), "%s", test.beside)
		}
	}
	require.False(t, policy.Allows(netip.AddrPort{}))
	require.False(t, policy.Allows(netip.AddrPortFrom(netip.Addr{}, 443)))
}

func TestPolicy(t *testing.T) {
	prefixes := func(texts ...string) (list []netip.Prefix) {
		for _, text := range texts {
			list = append(list, netip.MustParsePrefix(text))
		}
		return list
	}
	own := exit.Policy{Allow: prefixes("10.1.0.0/16", "fd00::/8")}
	for _, test := range []struct {
		name    string
		policy  exit.Policy
		to      string
		allowed bool
	}{
		{"no mail", exit.Policy{}, "8.8.8.8:25", false},
		{"no port", exit.Policy{}, "8.8.8.8:0", false},
		{"the lowest port", exit.Policy{}, "8.8.8.8:1", true},
		{"beside mail", exit.Policy{}, "8.8.8.8:24", true},
		{"beside mail", exit.Policy{}, "8.8.8.8:26", true},
		{"the highest port", exit.Policy{}, "8.8.8.8:65535", true},

		{"an exception", own, "10.1.2.3:80", true},
		{"beside an exception", own, "10.2.0.0:80", false},
		{"an exception, IPv6", own, "[fd12::1]:80", true},
		{"an exception, IPv4-mapped", own, "[::ffff:10.1.2.3]:80", true},
		{"an exception and NAT64, which must not carry it (RFC 6052 §3.1)", own, "[64:ff9b::10.1.2.3]:80", false},
		{"exceptions change nothing else", own, "8.8.8.8:80", true},
		{"exceptions change nothing else", own, "127.0.0.1:80", false},
		{"exceptions have no mail either", own, "10.1.2.3:25", false},

		{"denied", exit.Policy{Deny: prefixes("8.8.8.0/24")}, "8.8.8.8:80", false},
		{"denied, IPv4-mapped", exit.Policy{Deny: prefixes("8.8.8.0/24")}, "[::ffff:8.8.8.8]:80", false},
		{"denied, NAT64", exit.Policy{Deny: prefixes("8.8.8.0/24")}, "[64:ff9b::8.8.8.8]:80", false},
		{"all NAT64 denied", exit.Policy{Deny: prefixes("64:ff9b::/96")}, "[64:ff9b::8.8.8.8]:80", false},
		{"beside denied", exit.Policy{Deny: prefixes("8.8.8.0/24")}, "8.8.9.8:80", true},
		{"denied goes before allowed", exit.Policy{Allow: prefixes("10.0.0.0/8"), Deny: prefixes("10.1.0.0/16")}, "10.1.2.3:80", false},
		{"and leaves the rest of it", exit.Policy{Allow: prefixes("10.0.0.0/8"), Deny: prefixes("10.1.0.0/16")}, "10.2.2.3:80", true},
		{"all denied", exit.Policy{Deny: prefixes("0.0.0.0/0", "::/0")}, "8.8.8.8:80", false},

		{"within the ports", exit.Policy{Ports: []exit.PortRange{{80, 80}, {8000, 8080}}}, "8.8.8.8:80", true},
		{"within the ports", exit.Policy{Ports: []exit.PortRange{{80, 80}, {8000, 8080}}}, "8.8.8.8:8080", true},
		{"beside the ports", exit.Policy{Ports: []exit.PortRange{{80, 80}, {8000, 8080}}}, "8.8.8.8:8081", false},
		{"beside the ports", exit.Policy{Ports: []exit.PortRange{{80, 80}, {8000, 8080}}}, "8.8.8.8:443", false},
		{"mail where it is asked for", exit.Policy{Ports: []exit.PortRange{{1, 65535}}}, "8.8.8.8:25", true},
		{"ports make no address public", exit.Policy{Ports: []exit.PortRange{{1, 65535}}}, "127.0.0.1:80", false},
	} {
		require.Equal(t, test.allowed, test.policy.Allows(netip.MustParseAddrPort(test.to)), "%s: %s", test.name, test.to)
	}
}
