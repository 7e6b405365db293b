package client_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/nodetest"
)

// weighted is a view of mixes of these weights, of which the first so many offer the service "some". All take clients.
func weighted(offering int, weights ...uint8) *directory.View {
	view := viewOf(len(weights), offering)
	for i, d := range view.Nodes {
		d.Weight = weights[i]
		d.Services = append(d.Services, "gateway")
	}
	return view
}

// share is the part of the draws from some mixes that each of them is to have. A view that a test makes can have weights
// that no descriptor has.
type share struct {
	of      *directory.View
	allowed []int
}

func (s share) without(mixes ...int) share {
	return share{s.of, slices.DeleteFunc(slices.Clone(s.allowed), func(i int) bool { return slices.Contains(mixes, i) })}
}

func (s share) probability(mix int) float64 {
	sum := 0
	for _, i := range s.allowed {
		sum += min(max(int(s.of.Nodes[i].Weight), 1), 16)
	}
	return float64(min(max(int(s.of.Nodes[mix].Weight), 1), 16)) / float64(sum)
}

// inTurn adds the probabilities of the sequences that continue one with n mixes, drawn one after the other.
func (s share) inTurn(to map[string]float64, n int, p float64, before ...int) {
	if n == 0 {
		to[fmt.Sprint(before)] += p
		return
	}
	for _, i := range s.allowed {
		s.without(i).inTurn(to, n-1, p*s.probability(i), append(slices.Clone(before), i)...)
	}
}

// requireDistribution asserts that counts are those of draws from a distribution: their relative entropy is as it is for
// all but one of 10¹⁰ right choices, however few draws some cells have (Agrawal, "Finite-sample concentration of the
// multinomial in relative entropy", 2020, theorem 1.2).
func requireDistribution[K comparable](t *testing.T, counts map[K]int, want map[K]float64) {
	t.Helper()
	draws, total, entropy := 0, 0.0, 0.0
	for cell, count := range counts {
		require.Contains(t, want, cell)
		draws += count
	}
	for cell, p := range want {
		if count := float64(counts[cell]); count > 0 {
			entropy += count * math.Log(count/(p*float64(draws)))
		}
		total += p
	}
	require.InDelta(t, 1, total, 1e-9)
	if free := float64(len(want) - 1); entropy > free {
		require.Greater(t, free*(1+math.Log(entropy/free))-entropy, math.Log(1e-10), "%d draws: %v", draws, counts)
	}
}

// indices names mixes by their places in the view.
func indices(view *directory.View, mixes ...*directory.Descriptor) string {
	places := make([]int, len(mixes))
	for i, d := range mixes {
		places[i] = slices.Index(view.Nodes, d)
	}
	return fmt.Sprint(places)
}

const draws = 40_000

// TestPathsFollowWeights: exits are drawn from those that offer the service, and the mixes between from those that are
// left, each way for itself and in order, in proportion to their weights.
func TestPathsFollowWeights(t *testing.T) {
	if testing.Short() {
		t.Skip("long, and nothing here is concurrent")
	}
	view := weighted(4, 16, 16, 4, 2, 1, 3)
	gateway := view.Nodes[0] // which offers the service, but cannot be the exit
	exits, others := share{view, []int{1, 2, 3}}, share{view, []int{1, 2, 3, 4, 5}}
	route := client.RoutesIn(view, epoch, gateway, client.Config{Hops: 3}, "some")

	ways, back := make(map[string]int), make(map[string]int)
	for range draws {
		o, b, err := route()
		require.NoError(t, err)
		ways[indices(view, o[2], o[1], b[0])]++
		back[indices(view, o[2], b[0], b[1])]++
	}

	wantWays, wantBack := make(map[string]float64), make(map[string]float64)
	for _, exit := range exits.allowed {
		left := others.without(exit)
		left.inTurn(wantBack, 2, exits.probability(exit), exit)
		for _, i := range left.allowed {
			left.inTurn(wantWays, 1, exits.probability(exit)*left.probability(i), exit, i)
		}
	}
	requireDistribution(t, ways, wantWays)
	requireDistribution(t, back, wantBack)
}

// TestCoverFollowsWeights as messages do, or its paths would tell it from them. Weights that no descriptor can have count
// as the nearest that one can.
func TestCoverFollowsWeights(t *testing.T) {
	if testing.Short() {
		t.Skip("long, and nothing here is concurrent")
	}
	view := weighted(0, 4, 255, 4, 2, 0, 8)
	others := share{view, []int{1, 2, 3, 4, 5}}
	want := make(map[string]float64)
	others.inTurn(want, 2, 1)
	loops, drops := make(map[string]int), make(map[string]int)
	for range draws {
		path := client.LoopIn(view, epoch, view.Nodes[0], 4)
		loops[indices(view, path[1:3]...)]++
		path = client.DropIn(view, epoch, view.Nodes[0], 3)
		require.Same(t, view.Nodes[0], path[0])
		drops[indices(view, path[2], path[1])]++
	}
	requireDistribution(t, loops, want)
	requireDistribution(t, drops, want)
}

// TestGatewaysFollowWeights: they are tried in the order of draws from all that take clients.
func TestGatewaysFollowWeights(t *testing.T) {
	if testing.Short() {
		t.Skip("long, and nothing here is concurrent")
	}
	view := weighted(5, 4, 16, 3, 2, 5)
	view.Nodes[0].Services = []string{"all", "some"} // which takes no clients
	want := make(map[string]float64)
	share{view, []int{1, 2, 3, 4}}.inTurn(want, 4, 1)
	orders := make(map[string]int)
	for range draws {
		gateways, err := client.GatewaysIn(view, epoch)
		require.NoError(t, err)
		orders[indices(view, gateways...)]++
	}
	requireDistribution(t, orders, want)

	// One that alone offers a service comes last, whatever its weight.
	view.Nodes[1].Services = append(view.Nodes[1].Services, "rare")
	clear(want)
	share{view, []int{2, 3, 4}}.inTurn(want, 3, 1)
	clear(orders)
	for range draws {
		gateways, err := client.GatewaysIn(view, epoch)
		require.NoError(t, err)
		require.Same(t, view.Nodes[1], gateways[3])
		orders[indices(view, gateways[:3]...)]++
	}
	requireDistribution(t, orders, want)
}

// TestLiarGainsNoMoreThanItsClaim: a mix that claims all the weight there is, or more, stands at each place of paths, and
// on paths at all, at most MaxWeight/DefaultWeight = 4 times as often as if it had the weight of the others.
func TestLiarGainsNoMoreThanItsClaim(t *testing.T) {
	if testing.Short() {
		t.Skip("long, and nothing here is concurrent")
	}
	const mixes, hops, paths, liar = 20, 3, 20_000, 7
	for _, claim := range []uint8{directory.MaxWeight, 255} {
		view := viewOf(mixes, mixes)
		for _, d := range view.Nodes {
			d.Weight = directory.DefaultWeight
		}
		view.Nodes[liar].Weight = claim
		route := client.RoutesIn(view, epoch, view.Nodes[0], client.Config{Hops: hops}, "some")
		var places [2 * hops]float64
		onOut := 0.0
		for range paths {
			out, back, err := route()
			require.NoError(t, err)
			for i, d := range slices.Concat(out, back) {
				if d == view.Nodes[liar] {
					places[i]++
				}
			}
			if slices.Contains(out, view.Nodes[liar]) {
				onOut++
			}
		}
		const gain = directory.MaxWeight / directory.DefaultWeight
		const honest = paths / (mixes - 1.0)            // at each place
		for _, i := range []int{1, 2, hops, hops + 1} { // the others are the gateway's
			require.Greater(t, places[i], 2*honest, "place %d: a weight does something", i)
			require.Less(t, places[i], gain*honest, "place %d", i)
		}
		require.Less(t, onOut, gain*2*honest)
	}
}

func TestNoGatewayTakesClients(t *testing.T) {
	view := viewOf(5, 5)
	_, err := client.GatewaysIn(view, epoch)
	require.ErrorIs(t, err, client.ErrGateway)
	require.ErrorContains(t, err, "none of 5 mixes takes clients")

	view.Nodes[3].Services = append(view.Nodes[3].Services, "gateway")
	gateways, err := client.GatewaysIn(view, epoch)
	require.NoError(t, err)
	require.Equal(t, []*directory.Descriptor{view.Nodes[3]}, gateways)

	gateways, err = client.GatewaysIn(view, epoch, view.Nodes[3].ID(), view.Nodes[1].ID(), view.Nodes[2].ID())
	require.NoError(t, err)
	require.Equal(t, []*directory.Descriptor{view.Nodes[3]}, gateways)
	_, err = client.GatewaysIn(view, epoch, view.Nodes[2].ID(), view.Nodes[3].ID(), view.Nodes[1].ID())
	require.ErrorIs(t, err, client.ErrGateway)
	require.ErrorContains(t, err, "Config.Via")
	_, err = client.GatewaysIn(view, epoch, directory.NodeID{}, view.Nodes[3].ID(), view.Nodes[1].ID())
	require.ErrorIs(t, err, client.ErrNetwork)
}

// TestNoPacketGoesToTheServiceOfGateways, which is none, and nobody is told that there is such a one.
func TestNoPacketGoesToTheServiceOfGateways(t *testing.T) {
	view := weighted(2, 4, 4, 4, 4)
	_, _, err := pathsIn(view, view.Nodes[0], 3, "gateway")
	require.ErrorIs(t, err, client.ErrNoService)
	require.ErrorContains(t, err, "there is: all, some")
	require.NotContains(t, err.Error(), "some, gateway")
}

// TestClientsEnterWhereTheyAreTaken: mixes without clients are gateways of none, and are on paths as all others.
func TestClientsEnterWhereTheyAreTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Mixes: 5, Node: func(i int, cfg *node.Config) { cfg.NoClients = i < 3 }})
		passed := make(map[directory.NodeID]bool)
		for i := range 12 {
			c := n.Client(fmt.Sprintf("alice%d", i))
			gateway, _ := c.Gateway()
			require.Contains(t, []directory.NodeID{n.Mixes[3].ID(), n.Mixes[4].ID()}, gateway)
			for range 3 {
				reply, err := c.Request(soon(t), client.Message{To: "echo", Body: []byte("hello"), Routed: func(out, back []directory.NodeID) {
					for _, id := range slices.Concat(out, back) {
						passed[id] = true
					}
				}})
				require.NoError(t, err)
				require.Equal(t, "hello", string(reply))
			}
			c.Close()
		}
		require.Len(t, passed, 5)
	})
}

func BenchmarkPaths(b *testing.B) {
	for _, mixes := range []int{10, 4096} {
		b.Run(fmt.Sprintf("mixes=%d", mixes), func(b *testing.B) {
			view := viewOf(mixes, mixes/2)
			route := client.RoutesIn(view, epoch, view.Nodes[0], client.Config{Hops: 3}, "some")
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := route(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkChart is what a new view costs.
func BenchmarkChart(b *testing.B) {
	view := viewOf(4096, 2048)
	b.ReportAllocs()
	for b.Loop() {
		client.RoutesIn(view, epoch, view.Nodes[0], client.Config{Hops: 3}, "some")
	}
}

// TestExitsThatWereTriedAreNotTriedAgain while there is another, however light that one is.
func TestExitsThatWereTriedAreNotTriedAgain(t *testing.T) {
	view := weighted(3, 16, 1, 16, 16)
	first, light, third := view.Nodes[0].ID(), view.Nodes[1].ID(), view.Nodes[2].ID()
	for range 200 {
		exit, err := client.ExitIn(view, epoch, "some", first, third)
		require.NoError(t, err)
		require.Equal(t, light, exit.ID())
	}
	exit, err := client.ExitIn(view, epoch, "some", first, light, third)
	require.NoError(t, err, "where all were tried")
	require.Contains(t, exit.Services, "some")
}
