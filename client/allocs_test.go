//go:build !race

package client_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
)

// TestPathsAllocateNoMoreInLargeNetworks: thousands of paths are made in a second.
func TestPathsAllocateNoMoreInLargeNetworks(t *testing.T) {
	for _, mixes := range []int{10, 2000} {
		view := viewOf(mixes, mixes/2)
		route := client.RoutesIn(view, epoch, view.Nodes[0], client.Config{Hops: 5}, "some")
		allocs := testing.AllocsPerRun(500, func() {
			if _, _, err := route(); err != nil {
				t.Fatal(err)
			}
		})
		require.LessOrEqual(t, allocs, 2.0, "one for each path, among %d mixes", mixes)
	}
}
