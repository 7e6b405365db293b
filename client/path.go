package client

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/sphinx"
)

// paths chooses a path for a message to service and one for its reply, in the network as the client knows it now.
func (c *Client) paths(service string) (out, back []*directory.Descriptor, err error) {
	view := c.view.Load()
	if !time.Now().Before(view.Expires) {
		return nil, nil, fmt.Errorf("%w: the directory has had no newer one since %s", ErrView, view.Expires.UTC().Format(time.RFC3339))
	}
	gateway, listed := view.Node(c.gateway)
	if !listed {
		return nil, nil, fmt.Errorf("%w: the directory lists it no more", ErrGateway)
	}
	return choose(view, gateway, c.cfg.Hops, service)
}

// choose returns two random paths of n mixes, none of them twice on one: out from the gateway, which is one of the view's
// own descriptors, to a last hop that offers the service, back from anywhere but that last hop to the gateway.
func choose(view *directory.View, gateway *directory.Descriptor, n int, service string) (out, back []*directory.Descriptor, err error) {
	if len(view.Nodes) <= n {
		return nil, nil, tooSmall(view, n)
	}
	without := func(nodes []*directory.Descriptor, not *directory.Descriptor) []*directory.Descriptor {
		return slices.DeleteFunc(nodes, func(d *directory.Descriptor) bool { return d == not })
	}
	others := without(slices.Clone(view.Nodes), gateway)
	exits := without(view.WithService(service), gateway)
	if len(exits) == 0 {
		var services []string
		for _, d := range others {
			services = append(services, d.Services...)
		}
		slices.Sort(services)
		return nil, nil, fmt.Errorf("%w: %q; there is: %s", ErrNoService, service, strings.Join(slices.Compact(services), ", "))
	}
	exit := exits[below(len(exits))]
	others = without(others, exit)
	out = slices.Concat([]*directory.Descriptor{gateway}, some(others, n-2), []*directory.Descriptor{exit})
	back = append(some(others, n-1), gateway)
	return out, back, nil
}

func tooSmall(view *directory.View, hops int) error {
	return fmt.Errorf("%w: paths of %d take %d mixes, and it has %d", ErrNetwork, hops, hops+1, len(view.Nodes))
}

// some returns n of from in random order.
func some(from []*directory.Descriptor, n int) []*directory.Descriptor {
	chosen := make([]*directory.Descriptor, 0, n+1)
	for _, i := range shuffled(len(from))[:n] {
		chosen = append(chosen, from[i])
	}
	return chosen
}

// firstEpoch is the key epoch of every mix: keys do not change yet.
const firstEpoch = 0

// hops turns a path into what package sphinx wants.
func hops(path []*directory.Descriptor) []sphinx.Hop {
	hops := make([]sphinx.Hop, len(path))
	for i, node := range path {
		key := node.Keys[0]
		hops[i] = sphinx.Hop{Address: directory.Route{Node: node.ID(), Epoch: uint8(key.Epoch)}.Address(), Key: key.Key}
	}
	return hops
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
