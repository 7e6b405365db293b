//go:build !race

package exit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/exit"
	"sphinxmix.example/sphinx"
)

// TestStrangersCostLittle: anybody may send cells of sessions that there are not, and as many of them as they like.
func TestStrangersCostLittle(t *testing.T) {
	n := newBareNetwork(t, weather{}, exit.Config{})
	message := stray(n.newClient(1))
	sent := 0
	send := func(sphinx.Address, []byte) { sent++ }
	allocs := testing.AllocsPerRun(100, func() {
		require.NoError(t, n.tcp.Handle(t.Context(), message, send))
	})
	require.Equal(t, 101, sent)
	require.LessOrEqual(t, allocs, 12., "most are those of reading a SURB")
}
