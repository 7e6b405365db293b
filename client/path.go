package client

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/sphinx"
)

// paths chooses a path for a message to service and one for its reply: each through Hops mixes, none of them twice, the
// first from the gateway to a last hop that offers the service, the second from anywhere but that last hop to the
// gateway.
func (c *Client) paths(service string) (out, back []*directory.Descriptor, err error) {
	exits := c.view.WithService(service)
	exits = slices.DeleteFunc(exits, func(d *directory.Descriptor) bool { return d.ID() == c.gateway.ID() })
	if len(exits) == 0 {
		return nil, nil, fmt.Errorf("%w: %q; there is: %s", ErrNoService, service, strings.Join(c.services(), ", "))
	}
	exit := exits[below(len(exits))]
	out = append(out, c.gateway)
	out = append(out, c.others(c.cfg.Hops-2, c.gateway, exit)...)
	out = append(out, exit)
	back = append(c.others(c.cfg.Hops-1, c.gateway, exit), c.gateway)
	return out, back, nil
}

// services returns the names of all that mixes other than the gateway offer.
func (c *Client) services() []string {
	var names []string
	for _, node := range c.view.Nodes {
		if node.ID() != c.gateway.ID() {
			names = append(names, node.Services...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// others returns n mixes in random order, none of them among not.
func (c *Client) others(n int, not ...*directory.Descriptor) []*directory.Descriptor {
	chosen := make([]*directory.Descriptor, 0, n+1)
next:
	for _, i := range shuffled(len(c.view.Nodes)) {
		if len(chosen) == n {
			break
		}
		node := c.view.Nodes[i]
		for _, taken := range not {
			if node.ID() == taken.ID() {
				continue next
			}
		}
		chosen = append(chosen, node)
	}
	return chosen
}

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
