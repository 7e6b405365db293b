package client

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/sphinx"
)

// chart is what paths are made of in one epoch: the mixes of a view that have a key for it. Wherever a mix is chosen, it
// is by lot, in proportion to its weight, from those that may stand there and do not yet. So what a mix gains by a weight
// that is not its own has a limit: its chance of any one place on a path, and of a place at all, grows by no more than the
// weight that it claims does, which is up to directory.MaxWeight/directory.DefaultWeight times that of most others.
//
// A chart is never changed, and holds all that can be computed before a path is.
type chart struct {
	view    *directory.View
	epoch   uint64
	gateway *directory.Descriptor     // nil where there is none
	others  directory.Lots            // all mixes but the gateway
	exits   map[string]directory.Lots // those of them that offer a service, by its name
	keyless int                       // how many more mixes the view lists, the gateway aside
}

// errUnfit reports a gateway that packets must not be made for, or cannot.
var errUnfit = errors.New("client: no packets can be made")

var errNoKey = fmt.Errorf("%w: the gateway has no key for this epoch", errUnfit)

// newChart returns the chart of a view for an epoch. gateway is nil, or the gateway as it is known, whether the view lists
// it or not.
func newChart(view *directory.View, epoch uint64, gateway *directory.Descriptor) *chart {
	ch := &chart{view: view, epoch: epoch, gateway: gateway, others: make(directory.Lots, 0, len(view.Nodes)), exits: make(map[string]directory.Lots)}
	var listed *directory.Descriptor
	if gateway != nil {
		listed, _ = view.Node(gateway.ID())
	}
	for _, d := range view.Nodes {
		if d == listed {
			continue
		}
		if _, ok := d.Key(epoch); !ok {
			ch.keyless++
			continue
		}
		ch.others.Add(d)
		for _, name := range d.Services {
			if name != link.GatewayService {
				offering := ch.exits[name]
				offering.Add(d)
				ch.exits[name] = offering
			}
		}
	}
	return ch
}

// check returns nil where paths of n mixes from and to the gateway can be made, and where there is no gateway, where they
// could with any. The error wraps ErrView, ErrNetwork or errUnfit.
func (ch *chart) check(n int) error {
	usable, listed := len(ch.others), len(ch.others)+ch.keyless
	if ch.gateway != nil {
		usable, listed = usable+1, listed+1
	}
	switch {
	case listed <= n:
		return tooSmall(listed, n)
	case usable <= n:
		return fmt.Errorf("%w: only %d of its %d mixes have a key for this epoch", ErrView, usable, listed)
	}
	if ch.gateway != nil {
		if _, ok := ch.gateway.Key(ch.epoch); !ok {
			return errNoKey
		}
	}
	return nil
}

func tooSmall(mixes, hops int) error {
	return fmt.Errorf("%w: paths of %d take %d mixes, and it has %d", ErrNetwork, hops, hops+1, mixes)
}

// route is where one packet goes and its reply, and the chart that these paths are from.
type route struct {
	*chart
	out, back []*directory.Descriptor
	decoys    map[*directory.Descriptor]bool
}

// another returns one more way back from the exit, of n mixes.
func (r *route) another(n int) []*directory.Descriptor {
	return r.from(r.out[len(r.out)-1], n, r.decoys)
}

// route chooses paths for a message to service and for its reply: the one that cfg fixes, or random ones of cfg.Hops
// mixes, none of them twice. The way back does not start where the way there ends. The error wraps ErrView, ErrNetwork,
// ErrNoService or errUnfit.
func (ch *chart) route(cfg *Config, service string, decoys *decoys) (route, error) {
	exit, err := ch.exit(cfg, service)
	if err != nil {
		return route{}, err
	}
	return ch.routeTo(cfg, exit, decoys)
}

// exit chooses a last hop that offers a service, another than those that were tried where there is one. Its errors are those
// of route.
func (ch *chart) exit(cfg *Config, service string, tried ...directory.NodeID) (*directory.Descriptor, error) {
	if err := ch.check(cfg.Hops); err != nil {
		return nil, err
	}
	if len(cfg.Via) > 0 {
		out, err := ch.via(cfg.Via)
		if err != nil {
			return nil, err
		}
		exit := out[len(out)-1]
		if !slices.Contains(exit.Services, service) {
			return nil, fmt.Errorf("%w: %q is not offered by the last mix of Config.Via, %s", ErrNoService, service, exit.ID())
		}
		return exit, nil
	}
	exits := ch.exits[service]
	if len(exits) == 0 {
		return nil, ch.noService(service)
	}
	if len(tried) > 0 {
		var others directory.Lots
		for _, l := range exits {
			if !slices.Contains(tried, l.Mix.ID()) {
				others.Add(l.Mix)
			}
		}
		if len(others) > 0 {
			return others.Draw(), nil
		}
	}
	return exits.Draw(), nil
}

// routeTo is route to one of the chart's mixes.
func (ch *chart) routeTo(cfg *Config, exit *directory.Descriptor, decoys *decoys) (route, error) {
	beside := decoys.in(ch)
	if len(cfg.Via) > 0 {
		out, err := ch.via(cfg.Via)
		if err != nil {
			return route{}, err
		}
		return route{ch, out, ch.from(exit, cfg.Hops, beside), beside}, nil
	}
	return route{ch, ch.to(exit, cfg.Hops, beside), ch.from(exit, cfg.Hops, beside), beside}, nil
}

// to returns a random path of n mixes from the gateway to that last hop, with no decoy right before it.
func (ch *chart) to(exit *directory.Descriptor, n int, decoys map[*directory.Descriptor]bool) []*directory.Descriptor {
	path := append(make([]*directory.Descriptor, 0, n), ch.gateway)
	for {
		if path = ch.extend(path[:1], n-2, exit); !decoys[path[n-2]] {
			return append(path, exit)
		}
	}
}

// from returns a random path of n mixes to the gateway for what that last hop sends, which is not on it, with no decoy at
// its start.
func (ch *chart) from(exit *directory.Descriptor, n int, decoys map[*directory.Descriptor]bool) []*directory.Descriptor {
	path := make([]*directory.Descriptor, 0, n)
	for {
		if path = ch.extend(path[:0], n-1, exit); !decoys[path[0]] {
			return append(path, ch.gateway)
		}
	}
}

// anywhere returns a random path of n mixes from the gateway, for what any mix may be the last hop of.
func (ch *chart) anywhere(n int) []*directory.Descriptor { return ch.to(ch.others.Draw(), n, nil) }

// loop returns a random path of n mixes that starts and ends at the gateway, and has no other mix twice.
func (ch *chart) loop(n int) []*directory.Descriptor {
	path := append(make([]*directory.Descriptor, 0, n), ch.gateway)
	return append(ch.extend(path, n-2, nil), ch.gateway)
}

// extend appends n of the others to a path, drawn one after the other from those that are not on it, but for one of them.
// There must be as many.
func (ch *chart) extend(path []*directory.Descriptor, n int, without *directory.Descriptor) []*directory.Descriptor {
	for range n {
		d := ch.others.Draw()
		for d == without || slices.Contains(path, d) { // not often: even the lightest mix has a sixteenth of the lots of any
			d = ch.others.Draw()
		}
		path = append(path, d)
	}
	return path
}

// via returns the path through these mixes, of which the first is the gateway. The error wraps ErrNetwork.
func (ch *chart) via(ids []directory.NodeID) ([]*directory.Descriptor, error) {
	path := []*directory.Descriptor{ch.gateway}
	for _, id := range ids[1:] {
		d, listed := ch.view.Node(id)
		if !listed {
			return nil, noMix(id)
		}
		if _, ok := d.Key(ch.epoch); !ok {
			return nil, noMix(id)
		}
		path = append(path, d)
	}
	return path, nil
}

func noMix(id directory.NodeID) error {
	return fmt.Errorf("%w: the mix %s of Config.Via is not there, or has no key for this epoch", ErrNetwork, id)
}

// noService says which services there are instead.
func (ch *chart) noService(name string) error {
	if ch.gateway != nil && name != link.GatewayService && slices.Contains(ch.gateway.Services, name) {
		return fmt.Errorf("%w: %q is offered by this client's gateway alone, which must not see both ends; make a new client", ErrNoService, name)
	}
	return fmt.Errorf("%w: %q; there is: %s", ErrNoService, name, strings.Join(slices.Sorted(maps.Keys(ch.exits)), ", "))
}

// gateways returns the mixes that may be gateways, in the order in which to try them: at random, but those last which
// alone offer a service, since a gateway cannot be the last hop of its clients; the first of via alone where that is not
// empty. The chart must have no gateway yet. The error wraps ErrNetwork or ErrGateway.
func (ch *chart) gateways(via []directory.NodeID) ([]*directory.Descriptor, error) {
	if len(via) > 0 {
		i := slices.IndexFunc(ch.others, func(l directory.Lot) bool { return l.Mix.ID() == via[0] })
		switch {
		case i < 0:
			return nil, noMix(via[0])
		case !takesClients(ch.others[i].Mix):
			return nil, fmt.Errorf("%w: the first mix of Config.Via, %s, takes no clients", ErrGateway, via[0])
		}
		return []*directory.Descriptor{ch.others[i].Mix}, nil
	}
	var willing directory.Lots
	for _, l := range ch.others {
		if takesClients(l.Mix) {
			willing.Add(l.Mix)
		}
	}
	if len(willing) == 0 {
		return nil, fmt.Errorf("%w: none of %d mixes takes clients", ErrGateway, len(ch.others))
	}
	var gateways, needed []*directory.Descriptor
	for _, d := range willing.DrawAll() {
		if slices.ContainsFunc(d.Services, func(name string) bool { return len(ch.exits[name]) == 1 }) {
			needed = append(needed, d)
		} else {
			gateways = append(gateways, d)
		}
	}
	return append(gateways, needed...), nil
}

func takesClients(d *directory.Descriptor) bool {
	return slices.Contains(d.Services, link.GatewayService)
}

// hops turns a path into what package sphinx wants. What comes before a hop is asked to hold the packet for a while.
func (ch *chart) hops(path []*directory.Descriptor) []sphinx.Hop {
	hops := make([]sphinx.Hop, len(path))
	for i, mix := range path {
		key, _ := mix.Key(ch.epoch)
		r := directory.Route{Node: mix.ID(), Epoch: ch.epochByte(), Delay: ch.view.DrawDelay()}
		hops[i] = sphinx.Hop{Address: r.Address(), Key: key}
	}
	return hops
}

// epochByte is the epoch as packets and frames name it.
func (ch *chart) epochByte() byte { return byte(ch.epoch) }
