package client

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/sphinx"
)

// chart is what paths are made of in one epoch: the mixes of a view that have a key for it.
type chart struct {
	view    *directory.View
	epoch   uint64
	gateway *directory.Descriptor   // nil where there is none
	others  []*directory.Descriptor // all mixes but the gateway
	keyless int                     // how many more mixes the view lists, the gateway aside
}

// errNoKey reports a gateway that packets cannot be made for.
var errNoKey = errors.New("client: the gateway has no key for this epoch")

// newChart returns the chart of a view for an epoch. gateway is nil, or the gateway as it is known, whether the view lists
// it or not.
func newChart(view *directory.View, epoch uint64, gateway *directory.Descriptor) *chart {
	ch := &chart{view: view, epoch: epoch, gateway: gateway, others: make([]*directory.Descriptor, 0, len(view.Nodes))}
	var listed *directory.Descriptor
	if gateway != nil {
		listed, _ = view.Node(gateway.ID())
	}
	for _, d := range view.Nodes {
		if d == listed {
			continue
		}
		if _, ok := d.Key(epoch); ok {
			ch.others = append(ch.others, d)
		} else {
			ch.keyless++
		}
	}
	return ch
}

// check returns nil where paths of n mixes from and to the gateway can be made, and where there is no gateway, where they
// could with any. The error wraps ErrView, ErrNetwork or errNoKey.
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
}

// route chooses paths for a message to service and for its reply: the one that cfg fixes, or random ones of cfg.Hops
// mixes, none of them twice. The way back does not start where the way there ends. The error wraps ErrView, ErrNetwork,
// ErrNoService or errNoKey.
func (ch *chart) route(cfg *Config, service string) (route, error) {
	if err := ch.check(cfg.Hops); err != nil {
		return route{}, err
	}
	var out []*directory.Descriptor
	if len(cfg.Via) > 0 {
		var err error
		if out, err = ch.via(cfg.Via); err != nil {
			return route{}, err
		}
		if exit := out[len(out)-1]; !slices.Contains(exit.Services, service) {
			return route{}, fmt.Errorf("%w: %q is not offered by the last mix of Config.Via, %s", ErrNoService, service, exit.ID())
		}
	} else {
		exits := slices.DeleteFunc(slices.Clone(ch.others), func(d *directory.Descriptor) bool { return !slices.Contains(d.Services, service) })
		if len(exits) == 0 {
			return route{}, ch.noService(service)
		}
		out = ch.to(exits[below(len(exits))], cfg.Hops)
	}
	back := append(ch.some(cfg.Hops-1, out[len(out)-1]), ch.gateway)
	return route{ch, out, back}, nil
}

// to returns a random path of n mixes from the gateway to that last hop.
func (ch *chart) to(exit *directory.Descriptor, n int) []*directory.Descriptor {
	return slices.Concat([]*directory.Descriptor{ch.gateway}, ch.some(n-2, exit), []*directory.Descriptor{exit})
}

// loop returns a random path of n mixes that starts and ends at the gateway, and has no other mix twice.
func (ch *chart) loop(n int) []*directory.Descriptor {
	return slices.Concat([]*directory.Descriptor{ch.gateway}, ch.some(n-2, nil), []*directory.Descriptor{ch.gateway})
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
	if ch.gateway != nil && slices.Contains(ch.gateway.Services, name) {
		return fmt.Errorf("%w: %q is offered by this client's gateway alone, which must not see both ends; make a new client", ErrNoService, name)
	}
	var services []string
	for _, d := range ch.others {
		services = append(services, d.Services...)
	}
	slices.Sort(services)
	return fmt.Errorf("%w: %q; there is: %s", ErrNoService, name, strings.Join(slices.Compact(services), ", "))
}

// some returns n different ones of the others, without one of them, each choice and order of them equally likely.
func (ch *chart) some(n int, without *directory.Descriptor) []*directory.Descriptor {
	chosen := make([]*directory.Descriptor, 0, n+1)
	for len(chosen) < n {
		if d := ch.others[below(len(ch.others))]; d != without && !slices.Contains(chosen, d) {
			chosen = append(chosen, d)
		}
	}
	return chosen
}

// hops turns a path into what package sphinx wants. What comes before a hop is asked to hold the packet for a while.
func (ch *chart) hops(path []*directory.Descriptor) []sphinx.Hop {
	hops := make([]sphinx.Hop, len(path))
	for i, mix := range path {
		key, _ := mix.Key(ch.epoch)
		r := directory.Route{Node: mix.ID(), Epoch: ch.epochByte()}
		if ch.view.MeanDelay > 0 {
			r.Delay = exponential(ch.view.MeanDelay, ch.view.LongestDelay())
		}
		hops[i] = sphinx.Hop{Address: r.Address(), Key: key}
	}
	return hops
}

// epochByte is the epoch as packets and frames name it.
func (ch *chart) epochByte() byte { return byte(ch.epoch) }

// exponential draws from the exponential distribution with that mean, under the condition that it is at most limit.
func exponential(mean, limit time.Duration) time.Duration {
	within := -math.Expm1(-float64(limit) / float64(mean)) // the probability of at most limit
	return time.Duration(min(-float64(mean)*math.Log1p(-fraction()*within), float64(limit)))
}

// fraction draws uniformly from [0, 1), of which an observer of earlier ones learns nothing.
func fraction() float64 {
	var b [8]byte
	rand.Read(b[:])
	return float64(binary.BigEndian.Uint64(b[:])>>11) / (1 << 53)
}

// below returns a uniformly random number in [0, n), of which an observer of earlier ones learns nothing.
func below(n int) int {
	i, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic("client: unreachable: crypto/rand does not fail")
	}
	return int(i.Int64())
}

// shuffled returns the numbers 0 to n−1 in uniformly random order.
func shuffled(n int) []int {
	order := make([]int, n)
	for i := range order {
		j := below(i + 1)
		order[i], order[j] = order[j], i
	}
	return order
}
