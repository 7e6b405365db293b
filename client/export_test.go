package client

import (
	"time"

	"sphinxmix.example/client/stream"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/sphinx"
)

// Window is how many cells of one request wait for their answers at once.
const Window = window

// Expected returns how many replies c has keys for.
func (c *Client) Expected() int {
	c.book.mu.Lock()
	defer c.book.mu.Unlock()
	return len(c.book.expected)
}

// Secret returns that of which the client's decoys are made.
func (c *Client) Secret() [32]byte { return c.secret }

// Gateway returns the client's gateway, and false while it has none.
func (c *Client) Gateway() (directory.NodeID, bool) {
	s, _ := c.access.get()
	if s == nil {
		return directory.NodeID{}, false
	}
	return s.gatewayID(), true
}

// WrapTooLate wraps a cell of a request that has ended, and reports whether a packet came of it.
func (c *Client) WrapTooLate(to string) (bool, error) {
	r := &request{Message: Message{To: to}, room: 100, total: 1}
	c.book.forget(r)
	s, _ := c.access.get()
	packet, err := piece{r, &attempt{}}.packet(c, s)
	return packet.bytes != nil, err
}

// WrapStreamTooLate wraps a cell with some SURBs, of streams that have ended, and reports whether a packet came of it.
func (c *Client) WrapStreamTooLate(surbs int) (bool, error) {
	exit, err := c.chooseExit(nil)
	if err != nil {
		return false, err
	}
	t := &tunnel{exit: exit.ID(), Session: stream.New(stream.Config{Client: true, SURBSize: c.params.SURBSize()}, 1, time.Now())}
	c.book.end(t)
	s, _ := c.access.get()
	packet, err := (&tunnelCell{t, stream.Cell{SURBs: surbs}}).packet(c, s)
	return packet.bytes != nil, err
}

// PathsIn chooses a pair of paths as a client would whose network and gateway these are.
func PathsIn(view *directory.View, epoch uint64, gateway *directory.Descriptor, cfg Config, service string) (out, back []*directory.Descriptor, err error) {
	return RoutesIn(view, epoch, gateway, cfg, service)()
}

// RoutesIn returns what does so again and again.
func RoutesIn(view *directory.View, epoch uint64, gateway *directory.Descriptor, cfg Config, service string) func() (out, back []*directory.Descriptor, err error) {
	return routesIn(view, epoch, gateway, cfg, service, nil)
}

// IsolatedRoutesIn does so with the decoys of an isolation.
func IsolatedRoutesIn(view *directory.View, epoch uint64, gateway *directory.Descriptor, cfg Config, service string, secret [32]byte, isolation string) func() (out, back []*directory.Descriptor, err error) {
	return routesIn(view, epoch, gateway, cfg, service, newDecoys(secret, isolation))
}

func routesIn(view *directory.View, epoch uint64, gateway *directory.Descriptor, cfg Config, service string, decoys *decoys) func() (out, back []*directory.Descriptor, err error) {
	ch := newChart(view, epoch, gateway)
	return func() (out, back []*directory.Descriptor, err error) {
		r, err := ch.route(&cfg, service, decoys)
		return r.out, r.back, err
	}
}

// ExitIn chooses the exit of a tunnel after some that were tried.
func ExitIn(view *directory.View, epoch uint64, service string, tried ...directory.NodeID) (*directory.Descriptor, error) {
	return newChart(view, epoch, nil).exit(&Config{Hops: MinHops}, service, tried...)
}

// GatewaysIn returns the gateways in the order in which to try them.
func GatewaysIn(view *directory.View, epoch uint64, via ...directory.NodeID) ([]*directory.Descriptor, error) {
	return newChart(view, epoch, nil).gateways(via)
}

// Preferred returns the view that paths are made from at the time now by a client that has learned one view after the other.
func Preferred(now time.Time, views ...*directory.View) *directory.View {
	c := &Client{&state{known: known{newest: views[0], widest: views[0]}}}
	for _, view := range views[1:] {
		c.known.adopt(view, now)
	}
	charts, err := c.charts(nil, now)
	if err != nil {
		return nil
	}
	return charts[0].view
}

// LoopIn chooses the path of a loop.
func LoopIn(view *directory.View, epoch uint64, gateway *directory.Descriptor, hops int) []*directory.Descriptor {
	return newChart(view, epoch, gateway).loop(hops)
}

// DropIn chooses the path of a packet that is thrown away.
func DropIn(view *directory.View, epoch uint64, gateway *directory.Descriptor, hops int) []*directory.Descriptor {
	return newChart(view, epoch, gateway).anywhere(hops)
}

// HopsOf is what a packet is wrapped for that takes the path in an epoch.
func HopsOf(view *directory.View, epoch uint64, path []*directory.Descriptor) []sphinx.Hop {
	return newChart(view, epoch, nil).hops(path)
}

// Tunnels returns how many sessions of streams c has.
func (c *Client) Tunnels() int {
	c.tunnels.mu.Lock()
	defer c.tunnels.mu.Unlock()
	return c.tunnels.n
}

// SetMostTunnels changes how many those may be.
func (c *Client) SetMostTunnels(most int) { c.tunnels.most = most }
