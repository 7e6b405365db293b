package exit_test

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/exit"
)

// targets are texts and what parseTarget makes of them, in the form of [exit.ParseTarget]: "" for a refusal.
var targets = []struct{ text, parsed string }{
	{"example.com:80", "name example.com port 80"},
	{"EXAMPLE.Com:80", "name example.com port 80"},
	{"example.com.:443", "name example.com port 443"},
	{"localhost:80", "name localhost port 80"}, // which is not resolved
	{"a:1", "name a port 1"},
	{"my_bucket.s3-eu.example.com:65535", "name my_bucket.s3-eu.example.com port 65535"},
	{"xn--bcher-kva.example:80", "name xn--bcher-kva.example port 80"},
	{"1.example:80", "name 1.example port 80"},
	{"127.0.0.1.example.com:80", "name 127.0.0.1.example.com port 80"},
	{"3com:80", "name 3com port 80"},
	{"0xample:80", ""}, // no such top-level domain
	{"0x7f.example:80", "name 0x7f.example port 80"},
	{strings.Repeat("a", 63) + ".example:80", "name " + strings.Repeat("a", 63) + ".example port 80"},
	{strings.Repeat("a.", 126) + "a:80", "name " + strings.Repeat("a.", 126) + "a port 80"},

	{"192.0.2.1:80", "address 192.0.2.1 port 80"},
	{"127.0.0.1:80", "address 127.0.0.1 port 80"}, // which the policy judges
	{"[2001:db8::1]:80", "address 2001:db8::1 port 80"},
	{"[2001:DB8:0:0::1]:80", "address 2001:db8::1 port 80"},
	{"[::ffff:127.0.0.1]:80", "address ::ffff:127.0.0.1 port 80"},

	// What inet_aton of C libraries would take for an address.
	{"0x7f.1:80", ""},
	{"0X7F.1:80", ""},
	{"127.1:80", ""},
	{"127.0.1:80", ""},
	{"2130706433:80", ""},
	{"0x7f000001:80", ""},
	{"0X7F000001:80", ""},
	{"017700000001:80", ""},
	{"0177.0.0.1:80", ""},
	{"127.0.0.01:80", ""},
	{"127.0.0.0x1:80", ""},
	{"127.0.0.0X1:80", ""},
	{"0:80", ""},
	{"0x:80", ""},
	{"1.2.3.4.5:80", ""},
	{"256.0.0.1:80", ""},
	{"127.0.0.1.:80", ""},
	{"127.1.:80", ""},

	{"", ""},
	{":", ""},
	{":80", ""},
	{".:80", ""},
	{"..:80", ""},
	{"example.com", ""},
	{"example.com:", ""},
	{"example.com:0", ""},
	{"example.com:65536", ""},
	{"example.com:080", ""},
	{"example.com:+80", ""},
	{"example.com:-1", ""},
	{"example.com: 80", ""},
	{"example.com:80 ", ""},
	{"example.com:http", ""},
	{"example.com:1_0", ""},
	{"example.com:0x50", ""},
	{"example.com:٨٠", ""},
	{"example.com..:80", ""},
	{"example..com:80", ""},
	{".example.com:80", ""},
	{"-example.com:80", ""},
	{"example-.com:80", ""},
	{"example.com:80:80", ""},
	{"exa mple.com:80", ""},
	{"example.com\x00.evil:80", ""},
	{"example.com\r\n:80", ""},
	{"user@example.com:80", ""},
	{"http://example.com:80", ""},
	{"exam%70le.com:80", ""},
	{"*.example.com:80", ""},
	{"bücher.example:80", ""},
	{"localhos\u017f:80", ""},
	{"\u212aernel.org:80", ""}, // the Kelvin sign, which is a k in lower case
	{"１２７.0.0.1:80", ""},
	{"127。0。0。1:80", ""},
	{"\xff\xfe.com:80", ""},
	{strings.Repeat("a", 64) + ".example:80", ""},
	{strings.Repeat("a.", 126) + "aa:80", ""},

	{"::1:80", ""},
	{"2001:db8::1:80", ""},
	{"[::1]80", ""},
	{"[::1:80", ""},
	{"::1]:80", ""},
	{"[[::1]]:80", ""},
	{"[]:80", ""},
	{"[127.0.0.1]:80", ""},
	{"[example.com]:80", ""},
	{"[fe80::1%eth0]:80", ""},
	{"[fe80::1%25eth0]:80", ""},
	{"[::1%]:80", ""},
	{"[::1] :80", ""},
	{"[::12345]:80", ""},
	{"[::ffff:0177.0.0.1]:80", ""},
}

func TestParseTarget(t *testing.T) {
	for _, test := range targets {
		require.Equal(t, test.parsed, exit.ParseTarget(test.text), "%q", test.text)
	}
}

// FuzzTarget: what parses is an address without a zone or a name that no C library would take for one; its one form
// parses to the same.
func FuzzTarget(f *testing.F) {
	if len(targets) == 0 {
		f.Fatal("no seeds")
	}
	for _, test := range targets {
		f.Add(test.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed := exit.ParseTarget(text)
		if parsed == "" {
			return
		}
		var kind, host, port string
		if n := strings.SplitN(parsed, " ", 4); len(n) == 4 && n[2] == "port" {
			kind, host, port = n[0], n[1], n[3]
		}
		again := host + ":" + port
		switch kind {
		case "address":
			address, err := netip.ParseAddr(host)
			require.NoError(t, err)
			require.Empty(t, address.Zone())
			number, err := strconv.ParseUint(port, 10, 16)
			require.NoError(t, err)
			again = netip.AddrPortFrom(address, uint16(number)).String()
		case "name":
			require.False(t, inetAton(host), "%q is a number", host)
			require.Equal(t, strings.ToLower(host), host)
			require.LessOrEqual(t, len(host), 253)
			for _, c := range []byte(host) {
				require.True(t, c == '.' || c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z', "%q", host)
			}
		default:
			t.Fatalf("%q was read as %q", text, parsed)
		}
		require.Equal(t, parsed, exit.ParseTarget(again))
	})
}

// inetAton reports whether inet_aton takes a text for an address: one to four numbers, each decimal, octal or hexadecimal,
// the last of which fills what is left of 32 bits.
func inetAton(text string) bool {
	parts := strings.Split(text, ".")
	if len(parts) > 4 {
		return false
	}
	for i, part := range parts {
		limit := uint64(255)
		if i == len(parts)-1 {
			limit = 1<<(8*(5-len(parts))) - 1
		}
		base := 10
		if hex, ok := strings.CutPrefix(strings.ToLower(part), "0x"); ok {
			part, base = hex, 16
		} else if len(part) > 1 && part[0] == '0' {
			base = 8
		}
		if number, err := strconv.ParseUint(part, base, 64); err != nil || number > limit {
			return false
		}
	}
	return true
}
