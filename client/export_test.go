package client

import "sphinxmix.example/node/directory"

// Window is how many cells of one request wait for their answers at once.
const Window = window

// Expected returns how many replies c has keys for.
func (c *Client) Expected() int {
	c.book.mu.Lock()
	defer c.book.mu.Unlock()
	return len(c.book.expected)
}

// PathsIn chooses a pair of paths as a client would whose network and gateway these are.
func PathsIn(view *directory.View, gateway *directory.Descriptor, hops int, service string) (out, back []*directory.Descriptor, err error) {
	return choose(view, gateway, hops, service)
}
