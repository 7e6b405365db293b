package directory

import (
	"net"
	"sync"
)

// How many connections a listener of [Limit] keeps.
const (
	maxConns           = 8192
	maxConnsFromSource = 512 // a /64 of IPv6 is one source
)

// Limit returns a listener for the [http.Server] of a directory, which closes what is above 8192 connections, or 512
// from one IPv4 address or /64 of IPv6, as soon as it has come: a [Server] counts requests, and a connection that says
// nothing is none yet. Behind a proxy, which seems to be one address, leave it out.
func Limit(l net.Listener) net.Listener {
	return &limited{Listener: l, fromSource: make(map[string]int)}
}

type limited struct {
	net.Listener

	mu         sync.Mutex // guards what follows
	open       int
	fromSource map[string]int
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source := sourceOf(conn.RemoteAddr().String())
		if l.enter(source) {
			return &counted{Conn: conn, leave: sync.OnceFunc(func() { l.leave(source) })}, nil
		}
		conn.Close()
	}
}

func (l *limited) enter(source string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == maxConns || l.fromSource[source] == maxConnsFromSource {
		return false
	}
	l.open++
	l.fromSource[source]++
	return true
}

func (l *limited) leave(source string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.fromSource[source]--; l.fromSource[source] == 0 {
		delete(l.fromSource, source)
	}
}

// counted is a connection that counts until it is closed.
type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
