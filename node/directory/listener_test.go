package directory

import (
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// arriving returns what connects to a limited listener from an address, and returns the listener's end, or nil where that
// is closed at once.
func arriving(t *testing.T) func(from string) net.Conn {
	l := newPipeListener()
	limited := Limit(l)
	t.Cleanup(func() { limited.Close() })
	accepted := make(chan net.Conn)
	go func() {
		for {
			conn, err := limited.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	return func(from string) net.Conn {
		here, there := net.Pipe()
		l.conns <- remote{there, from}
		closed := make(chan struct{})
		go func() {
			if _, err := here.Read(make([]byte, 1)); err != nil {
				close(closed)
			}
		}()
		select {
		case conn := <-accepted:
			return conn
		case <-closed:
			return nil
		}
	}
}

func TestOneAddressKeepsOnlySoManyConnections(t *testing.T) {
	come := arriving(t)
	var first net.Conn
	for i := range maxConnsFromSource {
		conn := come(fmt.Sprintf("[2001:db8::%x]:80", i))
		require.NotNil(t, conn)
		if first == nil {
			first = conn
		}
	}
	for i := range 10 {
		require.Nil(t, come(fmt.Sprintf("[2001:db8::ffff:%x]:80", i)), "a /64 is one address")
	}
	require.NotNil(t, come("192.0.2.1:1"), "another address")
	for range 3 { // which counts once
		first.Close()
	}
	require.NotNil(t, come("[2001:db8::1]:80"))
	require.Nil(t, come("[2001:db8::1]:80"))
}

func TestAllTogetherKeepOnlySoManyConnections(t *testing.T) {
	come := arriving(t)
	var first net.Conn
	for i := range maxConns {
		conn := come(fmt.Sprintf("192.0.%d.%d:1", i/256, i%256))
		require.NotNil(t, conn)
		if first == nil {
			first = conn
		}
	}
	require.Nil(t, come("203.0.113.1:1"))
	first.Close()
	require.NotNil(t, come("203.0.113.1:1"))
}
