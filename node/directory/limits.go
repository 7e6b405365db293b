package directory

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// validate checks everything about d but its identity and the time.
func (d *Descriptor) validate() error {
	if err := checkAddress(d.Address); err != nil {
		return fmt.Errorf("%w: address %q %w", ErrDescriptor, d.Address, err)
	}
	if d.Weight < 1 || d.Weight > MaxWeight {
		return fmt.Errorf("%w: a weight of %d, must be 1 to %d", ErrDescriptor, d.Weight, MaxWeight)
	}
	if err := checkKeys(d.Keys); err != nil {
		return err
	}
	if err := checkServices(d.Services); err != nil {
		return err
	}
	if len(d.Evidence) > MaxEvidenceSize {
		return fmt.Errorf("%w: %d bytes of evidence, at most %d", ErrDescriptor, len(d.Evidence), MaxEvidenceSize)
	}
	if expires := d.Expires.Unix(); expires < 0 || expires > lastSecond {
		return fmt.Errorf("%w: it does not expire between the years 1970 and 9999", ErrDescriptor)
	}
	return nil
}

func checkKeys(keys []EpochKey) error {
	if len(keys) < 1 || len(keys) > MaxEpochKeys {
		return fmt.Errorf("%w: %d keys, must have 1 to %d", ErrDescriptor, len(keys), MaxEpochKeys)
	}
	for i, k := range keys {
		if !usableMixKey(k.Key) {
			return fmt.Errorf("%w: the key of epoch %d is of low order", ErrDescriptor, k.Epoch)
		}
		for _, before := range keys[:i] {
			if before.Epoch >= k.Epoch || k.Epoch-before.Epoch > 255 {
				return fmt.Errorf("%w: the key of epoch %d comes after that of epoch %d, epochs must rise by less than 256",
					ErrDescriptor, k.Epoch, before.Epoch)
			}
			if before.Key == k.Key {
				return fmt.Errorf("%w: the epochs %d and %d have one key", ErrDescriptor, before.Epoch, k.Epoch)
			}
		}
	}
	return nil
}

func checkServices(names []string) error {
	if len(names) > MaxServices {
		return fmt.Errorf("%w: %d services, at most %d", ErrDescriptor, len(names), MaxServices)
	}
	for i, name := range names {
		if len(name) < 1 || len(name) > MaxServiceSize {
			return fmt.Errorf("%w: a service's name of %d bytes, must have 1 to %d", ErrDescriptor, len(name), MaxServiceSize)
		}
		if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return fmt.Errorf("%w: service %q has characters other than visible ASCII", ErrDescriptor, name)
		}
		if i > 0 && names[i-1] >= name {
			return fmt.Errorf("%w: service %q comes after %q, must be sorted and named once", ErrDescriptor, name, names[i-1])
		}
	}
	return nil
}

// checkAddress says what keeps a, "host:port", from being dialled from another machine.
func checkAddress(a string) error {
	if len(a) > MaxAddressSize {
		return fmt.Errorf("is longer than %d bytes", MaxAddressSize)
	}
	host, port, err := net.SplitHostPort(a)
	if err != nil {
		return errors.New("is not host:port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return errors.New("has no port of 1 to 65535")
	}
	if net.JoinHostPort(host, port) != a {
		return errors.New("has brackets around what is not an IPv6 address")
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return checkName(host)
	case ip.IsUnspecified():
		return errors.New("is where to listen, not where to dial: name the host")
	case ip.Zone() != "":
		return errors.New("has a zone, which no other machine knows")
	}
	return nil
}

// checkName accepts host names (RFC 1123 §2.1), and the underscores that some networks put into them.
func checkName(host string) error {
	for label := range strings.SplitSeq(strings.TrimSuffix(host, "."), ".") {
		if len(label) < 1 || len(label) > 63 || strings.ContainsFunc(label, notInName) {
			return errors.New("has no IP address and no host name")
		}
	}
	return nil
}

func notInName(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
}
