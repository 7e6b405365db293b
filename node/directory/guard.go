package directory

import (
	"hash/maphash"
	"net"
	"net/netip"
	"sync"
	"time"
)

// What a server does at once.
const (
	maxServed           = 2048 // requests
	maxServedFromSource = 256  // of those from one source

	bodyDeadline = 10 * time.Second
)

// guard keeps one source of requests from using up the server for all others. Its size is constant: it knows sources by
// a hash under a key of its own, and those with one hash share what each of them may.
type guard struct {
	seed maphash.Seed

	mu         sync.Mutex // guards what follows
	served     int
	fromSource [4096]uint16
	newNodes   [4096]bucket
	bytes      [4096]bucket
	refusals   [4096]bucket
}

func newGuard() *guard { return &guard{seed: maphash.MakeSeed()} }

func (g *guard) slot(source string) uint64 {
	return maphash.String(g.seed, source) % uint64(len(g.fromSource))
}

// enter counts a request from source and reports whether it may be served, in which case leave must follow.
func (g *guard) enter(source string) bool {
	slot := g.slot(source)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.served == maxServed || g.fromSource[slot] == maxServedFromSource {
		return false
	}
	g.served++
	g.fromSource[slot]++
	return true
}

func (g *guard) leave(source string) {
	slot := g.slot(source)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.served--
	g.fromSource[slot]--
}

// admit counts what a source registers: a descriptor of size bytes, of a node that is new to the directory or not. It
// returns ErrTooMany, ErrTooMuch or ErrTooWrong, and counts nothing, where that is more than allowed.
func (g *guard) admit(source string, now time.Time, allowed allowance, size int, isNew bool) error {
	slot := g.slot(source)
	g.mu.Lock()
	defer g.mu.Unlock()
	newNodes, bytes := &g.newNodes[slot], &g.bytes[slot]
	switch {
	case isNew && !newNodes.has(1, now, allowed.newNodes):
		return ErrTooMany
	case !bytes.has(size, now, allowed.bytes):
		return ErrTooMuch
	case isNew && !g.refusals[slot].has(1, now, allowed.refusals):
		return ErrTooWrong
	}
	if isNew {
		newNodes.take(1, now, allowed.newNodes)
	}
	bytes.take(size, now, allowed.bytes)
	return nil
}

// refuse counts a descriptor that admit has let in, and the policy has not, as a refusal instead of a new node and of what
// is to be stored.
func (g *guard) refuse(source string, now time.Time, allowed allowance, size int, isNew bool) {
	slot := g.slot(source)
	g.mu.Lock()
	defer g.mu.Unlock()
	if isNew {
		g.newNodes[slot].give(1, now, allowed.newNodes)
	}
	g.bytes[slot].give(size, now, allowed.bytes)
	g.refusals[slot].take(1, now, allowed.refusals)
}

// sourceOf returns what stands for a sender at a remote address: its IPv4 address, or its /64 of IPv6, which one host
// can have to itself.
func sourceOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if ip = ip.Unmap().WithZone(""); ip.Is6() {
		prefix, _ := ip.Prefix(64)
		return prefix.String()
	}
	return ip.String()
}
