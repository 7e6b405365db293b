package exit

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// maxName is the length in characters of the longest domain name, without the dot at its end (RFC 1035 §2.3.4).
const maxName = 253

// target is where a stream is to lead.
type target struct {
	name    string     // in lower case, without a dot at its end; empty where address is valid
	address netip.Addr // has no zone
	port    uint16     // not 0
}

var errTarget = errors.New("exit: no host and port")

// parseTarget reads "host:port", where the host is an IPv4 address of four decimal numbers, an IPv6 address in brackets
// and without a zone, or a domain name. A name is one or more labels of 1 to 63 letters, digits, hyphens and underscores, no
// hyphen first or last, 253 characters in all and a dot at the end if need be. What C programs would take for an IPv4
// address in another notation ("127.1", "0x7f000001", "2130706433", "0177.0.0.1") is neither address nor name: no top-level
// domain looks like a number (RFC 3696 §2). The only error is errTarget.
func parseTarget(text string) (target, error) {
	host, port, ok := splitPort(text)
	if !ok {
		return target{}, errTarget
	}
	if inner, bracketed := strings.CutPrefix(host, "["); bracketed {
		inner, bracketed = strings.CutSuffix(inner, "]")
		address, err := netip.ParseAddr(inner)
		if !bracketed || err != nil || !address.Is6() || address.Zone() != "" {
			return target{}, errTarget
		}
		return target{address: address, port: port}, nil
	}
	if address, err := netip.ParseAddr(host); err == nil && address.Is4() {
		return target{address: address, port: port}, nil
	}
	name, ok := canonicalName(host)
	if !ok {
		return target{}, errTarget
	}
	return target{name: name, port: port}, nil
}

// splitPort cuts text at its last colon. The port is a decimal number from 1 to 65535 without a sign or zeros before it.
func splitPort(text string) (host string, port uint16, ok bool) {
	colon := strings.LastIndexByte(text, ':')
	if colon < 0 {
		return "", 0, false
	}
	digits := text[colon+1:]
	number, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || strconv.FormatUint(number, 10) != digits {
		return "", 0, false
	}
	return text[:colon], uint16(number), number != 0
}

// canonicalName returns the one form of a domain name, by which it is looked up among sites and resolved.
func canonicalName(host string) (name string, ok bool) {
	host = strings.TrimSuffix(host, ".")
	if len(host) > maxName {
		return "", false
	}
	var last string
	for label := range strings.SplitSeq(host, ".") {
		if len(label) < 1 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return "", false
		}
		for _, c := range []byte(label) {
			if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return "", false
			}
		}
		last = label
	}
	return strings.ToLower(host), !looksLikeNumber(last)
}

// looksLikeNumber reports whether a label is a number in any notation that inet_aton knows, or starts like one in
// hexadecimal and fails later.
func looksLikeNumber(label string) bool {
	return strings.Trim(label, "0123456789") == "" || strings.HasPrefix(label, "0x") || strings.HasPrefix(label, "0X")
}

// unresolved reports whether a name is one that is never to be asked for: localhost, which is the exit itself (RFC 6761
// §6.3), and onion, which no DNS server is to see (RFC 7686 §2).
func unresolved(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	return last == "localhost" || last == "onion"
}
