package directory

import (
	"hash/maphash"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// What a server does at once.
const (
	maxServed           = 2048 // requests
	maxServedFromSource = 256  // of those from one source

	maxPinned    = 4           // versions of the view that are being sent, the current one among them
	viewDeadline = time.Minute // to have read a view
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

// admitNew counts a node that nobody knows, and reports whether its source may bring one: perHour at once, and then
// that many in each hour.
func (g *guard) admitNew(source string, now time.Time, perHour int) bool {
	every := time.Hour / time.Duration(perHour)
	g.mu.Lock()
	defer g.mu.Unlock()
	b := &g.newNodes[g.slot(source)]
	if !b.has(now, every, perHour) {
		return false
	}
	b.take(now, every, perHour)
	return true
}

// sourceOf returns what stands for the sender of a request: its IPv4 address, or its /64 of IPv6, which one host can
// have to itself.
func sourceOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
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

// pins are the views that are being sent. Slow readers can keep a few versions in memory and no more: when there is one
// too many, those who read the oldest are cut off.
type pins struct {
	mu   sync.Mutex
	list []*pin // oldest first; guarded by mu
}

type pin struct {
	view    *publication
	readers map[*http.ResponseController]struct{}
}

// add counts a reader of p, whose connection is w's, until the returned function is called.
func (ps *pins) add(p *publication, w *http.ResponseController) (remove func()) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	var at *pin
	for _, held := range ps.list {
		if held.view == p {
			at = held
		}
	}
	if at == nil {
		at = &pin{p, make(map[*http.ResponseController]struct{})}
		ps.list = append(ps.list, at)
		if len(ps.list) > maxPinned {
			for reader := range ps.list[0].readers {
				_ = reader.SetWriteDeadline(time.Unix(1, 0))
			}
			ps.list = ps.list[1:]
		}
	}
	at.readers[w] = struct{}{}
	return func() { ps.remove(at, w) }
}

func (ps *pins) remove(at *pin, w *http.ResponseController) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	delete(at.readers, w)
	if len(at.readers) > 0 {
		return
	}
	for i, held := range ps.list {
		if held == at {
			ps.list = append(ps.list[:i:i], ps.list[i+1:]...)
			return
		}
	}
}
