package exit_test

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/exit"
	"sphinxmix.example/client/stream"
)

// TestTheMachinesOwnAddressesBehindATranslator: a machine that translates for itself would be reached from itself.
func TestTheMachinesOwnAddressesBehindATranslator(t *testing.T) {
	d, err := exit.NewDialer(exit.Policy{}, "")
	require.NoError(t, err)
	d.SetOwn(func(address netip.Addr) (bool, error) { return address == netip.MustParseAddr("198.41.0.4"), nil })
	d.SetConnect(func(context.Context, netip.AddrPort) (net.Conn, error) {
		near, _ := net.Pipe()
		return near, nil
	})
	for _, own := range []string{"198.41.0.4:80", "[::ffff:198.41.0.4]:80", "[64:ff9b::198.41.0.4]:80", "[64:ff9b::c629:4]:80"} {
		_, code := d.Dial(soon(t), own)
		require.Equal(t, stream.NotAllowed, code, own)
	}
	conn, _ := d.Dial(soon(t), "[64:ff9b::198.41.0.5]:80")
	require.NotNil(t, conn)
}
