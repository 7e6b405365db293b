package exit_test

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/client/exit"
	"sphinxmix.example/sphinx"
)

// FuzzCellsOfClients: whatever cells clients send, in whatever order, nothing panics, no more sessions and streams begin
// than may, nothing is connected to that the policy forbids, and Close ends all.
func FuzzCellsOfClients(f *testing.F) {
	open := []byte{1, 0, 0, 0, 0, 12, '8', '.', '8', '.', '8', '.', '8', ':', '4', '4', '3', ' '}
	hello := []byte{4, 0, 0, 0, 0, 0, 0, 0, 9}
	seeds := [][][]byte{
		{append([]byte{0, 0, 1}, hello...)},
		{append(append([]byte{0, 0, 1}, hello...), open...)},
		{append(append([]byte{0, 0, 1}, hello...), open[:len(open)-1]...), {0, 1, 1, 1, 0, 0, 0, 0}, {0, 2, 0, 8, 0, 0, 0, 0}},
		{append([]byte{0, 0, 1}, hello...), append([]byte{1, 0, 1}, hello...), append([]byte{2, 0, 1}, hello...)},
		{append(append([]byte{0, 1, 0}, hello...), 4, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'x')},
		{append(append([]byte{0, 1, 0}, hello...), 3, 0, 0, 0, 7, 1)},
	}
	for _, cells := range seeds {
		var input []byte
		for _, c := range cells {
			input = append(append(input, byte(len(c))), c...)
		}
		f.Add(input)
	}
	key, err := sphinx.GenerateKey(nil)
	require.NoError(f, err)
	hop := sphinx.Hop{Address: sphinx.Address{0xff, 1}, Key: key.Public()}
	made, _, err := streaming.NewSURB(nil, []sphinx.Hop{hop}, []byte("client"), sphinx.MessageID{1})
	require.NoError(f, err)
	surb, err := made.AppendBinary(nil)
	require.NoError(f, err)

	f.Fuzz(func(t *testing.T, input []byte) {
		tcp, err := exit.NewTCP(exit.Config{Params: streaming, MaxSessions: 2, MaxStreams: 8, MaxStreamsPerSession: 4})
		require.NoError(t, err)
		d := exit.DialerOf(tcp)
		d.SetOwn(func(netip.Addr) (bool, error) { return false, nil })
		d.SetLookup(func(context.Context, string) ([]netip.Addr, error) { return addresses("127.0.0.1", "8.8.4.4"), nil })
		d.SetConnect(func(_ context.Context, to netip.AddrPort) (net.Conn, error) {
			if !(exit.Policy{}).Allows(to) {
				t.Errorf("it connects to %v", to)
			}
			return nil, syscall.ECONNREFUSED
		})
		for len(input) > 0 {
			size := min(int(input[0]), len(input)-1)
			part := input[1 : 1+size]
			input = input[1+size:]
			if size < 3 {
				continue
			}
			// Three clients, so that sessions push each other out; all numbers that matter are small.
			c := cell.Cell{Stream: uint64(part[0] % 3), Sequence: uint32(part[1]), Data: part[3:]}
			if part[2]&1 != 0 {
				c.SURBs = [][]byte{surb}
			}
			_ = tcp.Handle(t.Context(), c.Append(nil), func(_ sphinx.Address, packet []byte) {
				if len(packet) != streaming.PacketSize() {
					t.Errorf("it sends %d bytes", len(packet))
				}
			})
			stats := tcp.Stats()
			require.LessOrEqual(t, stats.Sessions, 2)
			require.LessOrEqual(t, stats.Streams, 8)
		}
		tcp.Close()
		stats := tcp.Stats()
		require.Zero(t, stats.Sessions)
		require.Zero(t, stats.Streams)
		require.Zero(t, stats.Memory)
	})
}
