package client_test

import (
	"crypto/ed25519"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/sphinx"
)

// viewOf is a network of mixes, of which the first so many offer the service "some".
func viewOf(mixes, offering int) *directory.View {
	view := &directory.View{Params: sphinx.Params{MaxHops: 5, PayloadSize: 1024}}
	for i := range mixes {
		seed := make([]byte, ed25519.SeedSize)
		binary.BigEndian.PutUint64(seed, uint64(i))
		d := &directory.Descriptor{Identity: ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey), Services: []string{"all"}}
		if i < offering {
			d.Services = append(d.Services, "some")
		}
		view.Nodes = append(view.Nodes, d)
	}
	return view
}

func TestPathsKeepTheRules(t *testing.T) {
	for _, hops := range []int{3, 4, 5} {
		for _, mixes := range []int{hops + 1, hops + 2, 12} {
			view := viewOf(mixes, 2)
			for _, gateway := range []*directory.Descriptor{view.Nodes[0], view.Nodes[mixes-1]} {
				for range 300 {
					out, back, err := client.PathsIn(view, gateway, hops, "some")
					require.NoError(t, err)
					require.Len(t, out, hops)
					require.Len(t, back, hops)
					exit := out[hops-1]
					require.Same(t, gateway, out[0], "the way there starts at the gateway")
					require.Contains(t, exit.Services, "some")
					require.NotSame(t, gateway, exit)
					require.Same(t, gateway, back[hops-1], "the way back ends at the gateway")
					require.NotContains(t, back, exit, "who answers learns no more of the way back than its first hop")
					requireDistinct(t, out)
					requireDistinct(t, back)
				}
			}
		}
	}
}

// TestNetworkMayShrink below what a path takes while a client is there.
func TestNetworkMayShrink(t *testing.T) {
	for mixes := 1; mixes <= 4; mixes++ {
		view := viewOf(mixes, mixes)
		_, _, err := client.PathsIn(view, view.Nodes[0], 4, "some")
		require.ErrorIs(t, err, client.ErrNetwork)
	}
	view := viewOf(5, 5)
	_, _, err := client.PathsIn(view, view.Nodes[0], 4, "some")
	require.NoError(t, err)
}

func requireDistinct(t *testing.T, path []*directory.Descriptor) {
	t.Helper()
	seen := make(map[*directory.Descriptor]bool)
	for _, d := range path {
		require.False(t, seen[d], "a mix stands on the path twice")
		seen[d] = true
	}
}

func TestNoExitButTheGateway(t *testing.T) {
	view := viewOf(6, 1)
	_, _, err := client.PathsIn(view, view.Nodes[0], 3, "some")
	require.ErrorIs(t, err, client.ErrNoService)
	_, _, err = client.PathsIn(view, view.Nodes[1], 3, "none")
	require.ErrorIs(t, err, client.ErrNoService)
	_, _, err = client.PathsIn(view, view.Nodes[1], 3, "some")
	require.NoError(t, err)
}

// TestPathsAreUniform: at each place of a path, every mix that may stand there is as likely as every other. A fair choice
// exceeds each of the bounds, quantiles of χ², once in a million runs.
func TestPathsAreUniform(t *testing.T) {
	const mixes, hops, draws = 10, 4, 20_000
	view := viewOf(mixes, 6)
	gateway := view.Nodes[0] // which offers the service, but cannot be the exit
	places := make([]map[*directory.Descriptor]int, 2*hops)
	for i := range places {
		places[i] = make(map[*directory.Descriptor]int)
	}
	pairs := make(map[[2]*directory.Descriptor]int)
	for range draws {
		out, back, err := client.PathsIn(view, gateway, hops, "some")
		require.NoError(t, err)
		for i, d := range append(out, back...) {
			places[i][d]++
		}
		pairs[[2]*directory.Descriptor{out[hops-1], back[0]}]++
	}

	requireUniform(t, places[hops-1], 5, 33.4) // exits: 4 degrees of freedom
	require.Len(t, places[0], 1)
	require.Len(t, places[2*hops-1], 1)
	// Exits are chosen from five mixes; the others that offer nothing are the likelier for the places between. By
	// symmetry those of each kind are equally likely.
	for _, place := range []int{1, 2, hops, hops + 1, hops + 2} {
		offering, others := make(map[*directory.Descriptor]int), make(map[*directory.Descriptor]int)
		for d, count := range places[place] {
			if len(d.Services) == 2 {
				offering[d] = count
			} else {
				others[d] = count
			}
		}
		requireUniform(t, offering, 5, 33.4)
		requireUniform(t, others, 4, 30.7)
		require.NotContains(t, places[place], gateway)
	}
	// Where the way back starts tells no more of the exit than that it is another mix.
	require.Len(t, pairs, 5*8)
}

// requireUniform asserts that there are so many mixes, counted about equally often: χ² = Σ (count − mean)²/mean.
func requireUniform(t *testing.T, counts map[*directory.Descriptor]int, mixes int, bound float64) {
	t.Helper()
	require.Len(t, counts, mixes)
	sum := 0
	for _, count := range counts {
		sum += count
	}
	mean, chi := float64(sum)/float64(mixes), 0.0
	for _, count := range counts {
		chi += (float64(count) - mean) * (float64(count) - mean) / mean
	}
	require.Less(t, chi, bound, "%d draws", sum)
}
