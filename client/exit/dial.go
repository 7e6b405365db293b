package exit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"sphinxmix.example/client/stream"
)

// dialer connects to targets. Its fields are never changed after newDialer, but by tests.
type dialer struct {
	policy  Policy
	lookup  func(ctx context.Context, name string) ([]netip.Addr, error)        // all addresses of a name, the best first
	own     func(ctx context.Context, address netip.Addr) (bool, error)         // whether this machine has the address
	connect func(ctx context.Context, address netip.AddrPort) (net.Conn, error) // to this very address
}

// newDialer returns a dialer that asks the DNS server at resolver, an IP address and a port, or the system's servers if
// that is empty.
func newDialer(policy Policy, resolver string) (*dialer, error) {
	if err := policy.validate(); err != nil {
		return nil, err
	}
	// The system's own resolver might know names that DNS does not, and addresses in notations of its own.
	resolve := &net.Resolver{PreferGo: true}
	if resolver != "" {
		server, err := netip.ParseAddrPort(resolver)
		if err != nil {
			return nil, fmt.Errorf("exit: Config.Resolver is %q, must be an IP address and a port", resolver)
		}
		resolve.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server.String())
		}
	}
	d := &dialer{policy: policy, own: bindable}
	d.lookup = func(ctx context.Context, name string) ([]netip.Addr, error) {
		return resolve.LookupNetIP(ctx, "ip", name+".") // the dot keeps the domain of the exit's operator out of it
	}
	tcp := &net.Dialer{Control: d.control}
	d.connect = func(ctx context.Context, address netip.AddrPort) (net.Conn, error) {
		return tcp.DialContext(ctx, "tcp", address.String())
	}
	// Where any address can be bound, no machine knows its own.
	if any, err := bindable(context.Background(), netip.AddrFrom4([4]byte{240, 0, 0, 1})); any && err == nil {
		return nil, errors.New("exit: this machine lets programs bind addresses that it does not have (ip_nonlocal_bind): " +
			"its own could not be kept from clients")
	}
	return d, nil
}

const (
	maxAddresses = 8               // of one name that are tried
	minPatience  = 2 * time.Second // for one of them, or what is left
)

// dial connects to a target before ctx ends, which must have a deadline. A name is resolved once; its addresses are judged
// and those that are allowed are tried in their order, each for its share of the time.
func (d *dialer) dial(ctx context.Context, to target) (net.Conn, stream.Code) {
	addresses := []netip.Addr{to.address}
	if to.name != "" {
		if unresolved(to.name) {
			return nil, stream.NotAllowed
		}
		var err error
		if addresses, err = d.lookup(ctx, to.name); err != nil {
			return nil, codeOf(err)
		}
		if len(addresses) == 0 {
			return nil, stream.NotFound
		}
	}
	addresses, why := d.allowed(ctx, addresses, to.port)
	for i, address := range addresses {
		conn, err := d.try(ctx, netip.AddrPortFrom(address, to.port), len(addresses)-i)
		if err == nil {
			return conn, 0
		}
		why = clearer(why, codeOf(err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, why
}

// allowed returns those of the addresses that may be connected to, without the excess, and why the others may not.
func (d *dialer) allowed(ctx context.Context, addresses []netip.Addr, port uint16) (allowed []netip.Addr, why stream.Code) {
	for _, address := range addresses {
		address = address.Unmap()
		if !d.policy.Allows(netip.AddrPortFrom(address, port)) || slices.Contains(allowed, address) {
			why = clearer(why, stream.NotAllowed)
			continue
		}
		// What listens on all of a machine's addresses often trusts those who call from the machine itself.
		own, err := d.own(ctx, translated(address))
		switch {
		case err != nil:
			why = clearer(why, codeOf(err))
		case own && !contains(d.policy.Allow, address):
			why = clearer(why, stream.NotAllowed)
		default:
			allowed = append(allowed, address)
		}
		if len(allowed) == maxAddresses {
			break
		}
	}
	return allowed, why
}

// try connects to one address, of so many that are left.
func (d *dialer) try(ctx context.Context, address netip.AddrPort, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(minPatience, time.Until(deadline)/time.Duration(left)))
		defer cancel()
	}
	return d.connect(ctx, address)
}

var errNotAllowed = errors.New("exit: not allowed")

// control judges once more what a socket is about to connect to: nothing before it matters if this holds.
func (d *dialer) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !d.policy.Allows(to) {
		return errNotAllowed
	}
	return nil
}

// bindable reports whether this machine has the address, which it lets nobody bind otherwise. It works where programs may
// not list the machine's addresses.
func bindable(ctx context.Context, address netip.Addr) (bool, error) {
	conn, err := new(net.ListenConfig).ListenPacket(ctx, "udp", netip.AddrPortFrom(address, 0).String())
	if err != nil {
		if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
			err = nil
		}
		return false, err
	}
	return true, conn.Close()
}

// codeOf says what an error of the network means to a client.
func codeOf(err error) stream.Code {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		switch {
		case dns.IsNotFound:
			return stream.NotFound
		case dns.IsTimeout:
			return stream.TimedOut
		}
	}
	for _, known := range []struct {
		err  error
		code stream.Code
	}{
		{errNotAllowed, stream.NotAllowed},
		{syscall.ECONNREFUSED, stream.Refused},
		{syscall.ECONNRESET, stream.Refused},
		{syscall.ETIMEDOUT, stream.TimedOut},
		{context.DeadlineExceeded, stream.TimedOut},
		{syscall.EHOSTUNREACH, stream.Unreachable},
		{syscall.ENETUNREACH, stream.NoNetwork},
		{syscall.ENETDOWN, stream.NoNetwork},
		{syscall.EADDRNOTAVAIL, stream.NoNetwork}, // no address to call from
		{syscall.EAFNOSUPPORT, stream.NoNetwork},
		{syscall.EACCES, stream.NotAllowed}, // by the machine's firewall
		{syscall.EPERM, stream.NotAllowed},
		{syscall.EMFILE, stream.Overloaded},
		{syscall.ENFILE, stream.Overloaded},
		{syscall.ENOBUFS, stream.Overloaded},
		{syscall.ENOMEM, stream.Overloaded},
	} {
		if errors.Is(err, known.err) {
			return known.code
		}
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return stream.TimedOut
	}
	return stream.Failed
}

// clearest has the reasons that an address can fail for, first what tells a client most of its target.
var clearest = []stream.Code{stream.Refused, stream.TimedOut, stream.Unreachable, stream.Overloaded, stream.Failed, stream.NotAllowed, stream.NoNetwork}

// clearer returns the one of two reasons that says more where several addresses of a name failed. The network of IPv6 is
// often just not there.
func clearer(a, b stream.Code) stream.Code {
	if a == 0 || b == 0 {
		return cmp.Or(a, b)
	}
	if slices.Index(clearest, a) <= slices.Index(clearest, b) {
		return a
	}
	return b
}
