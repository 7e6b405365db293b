package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"sphinxmix.example/node"
)

// flow counts the connections that were made through a network, and their bytes.
type flow struct {
	open     atomic.Int64  // connections
	made     atomic.Uint64 // connections
	up, down atomic.Uint64 // bytes
}

// dialer makes connections by dial, and counts them.
func (f *flow) dialer(dial dialFunc) dialFunc {
	return func(ctx context.Context, isolation, address string) (net.Conn, error) {
		conn, err := dial(ctx, isolation, address)
		if err != nil {
			return nil, err
		}
		f.made.Add(1)
		f.open.Add(1)
		return &countedConn{Conn: conn, flow: f}, nil
	}
}

// countedConn is a connection that is counted.
type countedConn struct {
	net.Conn
	flow *flow
	once sync.Once
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.flow.down.Add(uint64(n))
	return n, err
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.flow.up.Add(uint64(n))
	return n, err
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.flow.open.Add(-1) })
	return c.Conn.Close()
}

// CloseWrite ends the connection's way there, and not the way back.
func (c *countedConn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return c.Close()
	}
	return half.CloseWrite()
}

// SetLinger with 0 has Close end the connection as one that did not end well, where it can be.
func (c *countedConn) SetLinger(seconds int) error {
	if lingers, ok := c.Conn.(interface{ SetLinger(int) error }); ok {
		return lingers.SetLinger(seconds)
	}
	return nil
}

// flowing is what has flowed through a network until some moment.
type flowing struct {
	made, open, up, down uint64 // as in flow
	packets, dropped     uint64 // at all mixes
}

// now returns what has flowed so far. counts are those of all mixes.
func (f *flow) now(counts *node.Counts) flowing {
	now := flowing{
		made: f.made.Load(), open: uint64(f.open.Load()), up: f.up.Load(), down: f.down.Load(), packets: counts.Received,
	}
	for _, count := range counts.Dropped {
		now.dropped += count
	}
	return now
}

// since writes, in a line for people, what has flowed, and how much a second since before, which was a second ago.
func (f flowing) since(before flowing) string {
	text := fmt.Sprintf("%d streams, %d open · %s up, %s down, %s/s · %d packets/s",
		f.made, f.open, size(f.up), size(f.down), size(f.up+f.down-before.up-before.down), f.packets-before.packets)
	if f.dropped > 0 {
		text += fmt.Sprintf(", %d dropped", f.dropped)
	}
	return text
}

// size writes a number of bytes for people.
func size(bytes uint64) string {
	switch {
	case bytes >= 1e9:
		return fmt.Sprintf("%.2f GB", float64(bytes)/1e9)
	case bytes >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
	default:
		return fmt.Sprintf("%.0f kB", float64(bytes)/1e3)
	}
}
