package exit

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"sphinxmix.example/client/stream"
)

// ParseTarget returns what parseTarget makes of text, as "name example.com port 80" or "address ::1 port 80", or "" where
// it refuses it.
func ParseTarget(text string) string {
	to, err := parseTarget(text)
	switch {
	case err != nil:
		return ""
	case to.address.IsValid():
		return fmt.Sprintf("address %v port %d", to.address, to.port)
	}
	return fmt.Sprintf("name %s port %d", to.name, to.port)
}

// Dialer is a dialer with its parts in the open.
type Dialer struct{ *dialer }

// NewDialer returns what NewTCP makes of a policy and a resolver.
func NewDialer(policy Policy, resolver string) (Dialer, error) {
	d, err := newDialer(policy, resolver)
	return Dialer{d}, err
}

// Dial connects to a target.
func (d Dialer) Dial(ctx context.Context, text string) (net.Conn, stream.Code) {
	to, err := parseTarget(text)
	if err != nil {
		return nil, stream.NotAllowed
	}
	return d.dial(ctx, to)
}

// SetOwn says which addresses the machine is to have.
func (d Dialer) SetOwn(own func(netip.Addr) (bool, error)) {
	d.own = func(_ context.Context, address netip.Addr) (bool, error) { return own(address) }
}

// SetLookup replaces DNS.
func (d Dialer) SetLookup(lookup func(ctx context.Context, name string) ([]netip.Addr, error)) {
	d.lookup = lookup
}

// SetConnect replaces TCP.
func (d Dialer) SetConnect(connect func(ctx context.Context, address netip.AddrPort) (net.Conn, error)) {
	d.connect = connect
}

// Connect is what a socket of the dialer does, without all that dial checks before.
func (d Dialer) Connect(ctx context.Context, address netip.AddrPort) (net.Conn, error) {
	return d.connect(ctx, address)
}

// The functions that tests look at.
var (
	Bindable = bindable
	CodeOf   = codeOf
)

// DialerOf returns the dialer of a TCP service, to be changed before that has a session.
func DialerOf(t *TCP) Dialer { return Dialer{t.dialer} }

// Rate is how fast the streams of a session carry bytes, as far as its exit knows.
type Rate struct{ session }

// NewRate returns that of a session that begins now.
func NewRate(now time.Time) *Rate { return &Rate{session{marked: now}} }

// At returns it, in bytes a second, when that many more have been carried.
func (r *Rate) At(now time.Time, carried int64) float64 {
	r.moved.Add(carried)
	return r.carries(now)
}
