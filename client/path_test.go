package client_test

import (
	"crypto/ed25519"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/sphinx"
)

// epoch is one for which the mixes of viewOf have keys, as they have for the one before and the one after.
const epoch = 1000

// viewOf is a network of mixes, of which the first so many offer the service "some".
func viewOf(mixes, offering int) *directory.View {
	view := &directory.View{Network: directory.Network{Params: sphinx.Params{MaxHops: 5, PayloadSize: 1024}, Epoch: time.Hour}}
	for i := range mixes {
		seed := make([]byte, ed25519.SeedSize)
		binary.BigEndian.PutUint64(seed, uint64(i))
		d := &directory.Descriptor{Identity: ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey), Services: []string{"all"}, Expires: time.Unix((epoch+100)*3600, 0)}
		for e := byte(0); e < 3; e++ {
			d.Keys = append(d.Keys, directory.EpochKey{Epoch: epoch - 1 + uint64(e), Key: sphinx.PublicKey{0: 9, 1: byte(i), 2: e}})
		}
		view.Nodes = append(view.Nodes, d)
	}
	slices.SortFunc(view.Nodes, func(a, b *directory.Descriptor) int { return strings.Compare(a.ID().String(), b.ID().String()) })
	for _, d := range view.Nodes[:offering] {
		d.Services = append(d.Services, "some")
	}
	return view
}

// pathsIn chooses paths of so many hops.
func pathsIn(view *directory.View, gateway *directory.Descriptor, hops int, service string) (out, back []*directory.Descriptor, err error) {
	return client.PathsIn(view, epoch, gateway, client.Config{Hops: hops}, service)
}

func TestPathsKeepTheRules(t *testing.T) {
	for _, hops := range []int{3, 4, 5} {
		for _, mixes := range []int{hops + 1, hops + 2, 12} {
			view := viewOf(mixes, 2)
			for _, gateway := range []*directory.Descriptor{view.Nodes[0], view.Nodes[mixes-1]} {
				for range 300 {
					out, back, err := pathsIn(view, gateway, hops, "some")
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
		_, _, err := pathsIn(view, view.Nodes[0], 4, "some")
		require.ErrorIs(t, err, client.ErrNetwork)
	}
	view := viewOf(5, 5)
	_, _, err := pathsIn(view, view.Nodes[0], 4, "some")
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
	_, _, err := pathsIn(view, view.Nodes[0], 3, "some")
	require.ErrorIs(t, err, client.ErrNoService)
	_, _, err = pathsIn(view, view.Nodes[1], 3, "none")
	require.ErrorIs(t, err, client.ErrNoService)
	_, _, err = pathsIn(view, view.Nodes[1], 3, "some")
	require.NoError(t, err)
}

// TestMixesWithoutAKeyAreNotUsed, neither on the way there nor on the way back.
func TestMixesWithoutAKeyAreNotUsed(t *testing.T) {
	view := viewOf(7, 7)
	view.Nodes[2].Keys = view.Nodes[2].Keys[:1] // its directory has not heard from it since the last epoch
	view.Nodes[3].Keys = view.Nodes[3].Keys[2:] // it has just started, before its time
	view.Nodes[4].Keys = view.Nodes[4].Keys[:2]
	for e, without := range map[uint64][]int{epoch - 1: {3}, epoch: {2, 3}, epoch + 1: {2, 4}} {
		for range 200 {
			out, back, err := client.PathsIn(view, e, view.Nodes[0], client.Config{Hops: 4}, "some")
			require.NoError(t, err)
			for _, i := range without {
				require.NotContains(t, append(out, back...), view.Nodes[i], "epoch %d", e)
			}
		}
	}

	_, _, err := client.PathsIn(view, epoch, view.Nodes[2], client.Config{Hops: 4}, "some")
	require.ErrorContains(t, err, "the gateway has no key")
	_, _, err = client.PathsIn(view, epoch, view.Nodes[0], client.Config{Hops: 5}, "some")
	require.ErrorIs(t, err, client.ErrView)
	require.ErrorContains(t, err, "5 of its 7 mixes")
	_, _, err = client.PathsIn(view, epoch+2, view.Nodes[0], client.Config{Hops: 3}, "some")
	require.ErrorIs(t, err, client.ErrView)
}

// TestHopsAreThoseOfTheEpoch: each packet is wrapped for the keys of one epoch and says so at each hop.
func TestHopsAreThoseOfTheEpoch(t *testing.T) {
	view := viewOf(5, 5)
	for e := uint64(epoch - 1); e <= epoch+1; e++ {
		hops := client.HopsOf(view, e, view.Nodes)
		for i, hop := range hops {
			route, ok := directory.ParseRoute(hop.Address)
			require.True(t, ok)
			want, ok := view.Nodes[i].Key(e)
			require.True(t, ok)
			require.Equal(t, want, hop.Key)
			require.Equal(t, directory.Route{Node: view.Nodes[i].ID(), Epoch: byte(e)}, route)
		}
	}
}

// TestDelaysAreExponential: the mean and the median of what packets ask mixes for are those of the distribution, and
// each hop's delay is drawn anew. The bounds are eight times the deviation of what they bound.
func TestDelaysAreExponential(t *testing.T) {
	view := viewOf(5, 5)
	view.MeanDelay = 2 * time.Second
	const packets, hops = 4000, 5
	sum, below := 0.0, 0
	seen := make(map[time.Duration]int)
	for range packets {
		for _, hop := range client.HopsOf(view, epoch, view.Nodes) {
			route, _ := directory.ParseRoute(hop.Address)
			sum += route.Delay.Seconds()
			seen[route.Delay]++
			require.LessOrEqual(t, route.Delay, view.LongestDelay())
			if route.Delay.Seconds() < 2*math.Ln2 {
				below++
			}
		}
	}
	const draws = packets * hops
	require.InDelta(t, 2, sum/draws, 8*2/math.Sqrt(draws))
	require.InDelta(t, draws/2, below, 8*math.Sqrt(draws)/2)
	require.Greater(t, len(seen), draws/10)
}

// TestDelaysHaveALimit, and are not heaped up at it.
func TestDelaysHaveALimit(t *testing.T) {
	at := 0
	for range 10_000 {
		delay := directory.Exponential(time.Second, time.Second/2)
		require.GreaterOrEqual(t, delay, time.Duration(0))
		require.LessOrEqual(t, delay, time.Second/2)
		if delay > time.Second*499/1000 {
			at++
		}
	}
	require.Less(t, at, 100) // one in 650 is to be expected
}

// TestPoorViewsAreDistrusted: one that lists fewer than half of the mixes that were listed shortly before is that of a
// directory which has lost its memory, and they may be an attacker's. But what is too old is of no use.
func TestPoorViewsAreDistrusted(t *testing.T) {
	now := time.Unix(epoch*3600+1800, 0)
	made := uint64(0)
	view := func(mixes int, lasts time.Duration) *directory.View {
		v := viewOf(mixes, 0)
		made++
		v.Version, v.Expires = made, now.Add(lasts)
		return v
	}
	rich, half, poor, poorer := view(10, time.Hour), view(5, time.Hour), view(4, time.Hour), view(1, time.Hour)
	later := view(10, time.Hour)
	expired, gone := view(10, 0), view(4, 0)
	for i, test := range []struct {
		views []*directory.View
		want  *directory.View
	}{
		{[]*directory.View{rich}, rich},
		{[]*directory.View{rich, later}, later},
		{[]*directory.View{rich, half}, half},
		{[]*directory.View{rich, poor}, rich},
		{[]*directory.View{rich, poor, poorer}, rich},
		{[]*directory.View{rich, half, poor}, rich},
		{[]*directory.View{rich, poorer, poor, half}, half},
		{[]*directory.View{poorer, poor, rich}, rich},
		{[]*directory.View{expired, poor}, poor},
		{[]*directory.View{rich, gone}, rich},
		{[]*directory.View{expired, gone}, nil},
	} {
		got := client.Preferred(now, test.views...)
		if test.want == nil {
			require.Nil(t, got, "case %d", i)
			continue
		}
		require.Equal(t, test.want.Version, got.Version, "case %d", i)
	}
	late := now.Add(2 * time.Hour) // when nobody in the rich view has a key any more
	old, fresh := view(10, 10*time.Hour), view(4, 10*time.Hour)
	for _, d := range fresh.Nodes {
		d.Keys = append(d.Keys[1:], directory.EpochKey{Epoch: epoch + 2, Key: sphinx.PublicKey{9, 9}})
	}
	require.Equal(t, fresh.Version, client.Preferred(late, old, fresh).Version)
}

func TestLoopsStartAndEndAtTheGateway(t *testing.T) {
	for _, mixes := range []int{4, 10} {
		view := viewOf(mixes, mixes)
		for hops := 4; hops <= 5 && hops <= mixes; hops++ {
			for range 200 {
				path := client.LoopIn(view, epoch, view.Nodes[1], hops)
				require.Len(t, path, hops)
				require.Same(t, view.Nodes[1], path[0])
				require.Same(t, view.Nodes[1], path[hops-1])
				requireDistinct(t, path[1:])
			}
		}
	}
}

// TestGatewayThatTheViewDoesNotList is used as it was known before.
func TestGatewayThatTheViewDoesNotList(t *testing.T) {
	gateway := viewOf(6, 6).Nodes[5]
	view := viewOf(6, 6)
	view.Nodes = view.Nodes[:3]
	for range 100 {
		out, back, err := pathsIn(view, gateway, 3, "some")
		require.NoError(t, err)
		require.Same(t, gateway, out[0])
		require.Same(t, gateway, back[2])
		requireDistinct(t, out)
		requireDistinct(t, back)
	}
	_, _, err := pathsIn(view, gateway, 4, "some")
	require.ErrorIs(t, err, client.ErrNetwork)
	require.ErrorContains(t, err, "it has 4")
}

func TestViaIsThePath(t *testing.T) {
	view := viewOf(7, 4)
	via := []directory.NodeID{view.Nodes[5].ID(), view.Nodes[6].ID(), view.Nodes[2].ID(), view.Nodes[1].ID()}
	cfg := client.Config{Hops: 3, Via: via}
	backs := make(map[*directory.Descriptor]bool)
	for range 200 {
		out, back, err := client.PathsIn(view, epoch, view.Nodes[5], cfg, "some")
		require.NoError(t, err)
		require.Equal(t, []*directory.Descriptor{view.Nodes[5], view.Nodes[6], view.Nodes[2], view.Nodes[1]}, out)
		require.Len(t, back, 3)
		require.Same(t, view.Nodes[5], back[2])
		require.NotContains(t, back, view.Nodes[1])
		requireDistinct(t, back)
		backs[back[0]] = true
	}
	require.Len(t, backs, 5, "the way back is random")

	cfg.Via = []directory.NodeID{view.Nodes[5].ID(), view.Nodes[1].ID(), view.Nodes[6].ID()}
	_, _, err := client.PathsIn(view, epoch, view.Nodes[5], cfg, "some")
	require.ErrorIs(t, err, client.ErrNoService)
	cfg.Via[1] = directory.NodeID{}
	_, _, err = client.PathsIn(view, epoch, view.Nodes[5], cfg, "all")
	require.ErrorIs(t, err, client.ErrNetwork)
	cfg.Via[1], view.Nodes[1].Keys = view.Nodes[1].ID(), view.Nodes[1].Keys[:1]
	_, _, err = client.PathsIn(view, epoch, view.Nodes[5], cfg, "all")
	require.ErrorIs(t, err, client.ErrNetwork)
}

// TestPathsAreUniform: at each place of a path, every mix that may stand there is as likely as every other.
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
		out, back, err := pathsIn(view, gateway, hops, "some")
		require.NoError(t, err)
		for i, d := range append(out, back...) {
			places[i][d]++
		}
		pairs[[2]*directory.Descriptor{out[hops-1], back[0]}]++
	}

	requireUniform(t, places[hops-1], 5) // exits
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
		requireUniform(t, offering, 5)
		requireUniform(t, others, 4)
		require.NotContains(t, places[place], gateway)
	}
	// Where the way back starts tells no more of the exit than that it is another mix.
	require.Len(t, pairs, 5*8)
}

// requireUniform asserts that there are so many mixes, counted about equally often.
func requireUniform[K comparable](t *testing.T, counts map[K]int, mixes int) {
	t.Helper()
	require.Len(t, counts, mixes)
	want := make(map[K]float64)
	for mix := range counts {
		want[mix] = 1 / float64(mixes)
	}
	requireDistribution(t, counts, want)
}

// TestGatewayHidesAmongDecoys: an exit that sees the mixes beside it on any number of paths of one isolation, there and
// back, cannot tell the gateway from a quarter of the others; another isolation has another quarter.
func TestGatewayHidesAmongDecoys(t *testing.T) {
	view := viewOf(41, 41)
	for _, d := range view.Nodes {
		d.Services = append(d.Services, link.GatewayService)
	}
	gateway := view.Nodes[0]
	missing := func(isolation string) (never []directory.NodeID) {
		seen := make(map[directory.NodeID]bool)
		route := client.IsolatedRoutesIn(view, epoch, gateway, client.Config{Hops: 3}, "some", [32]byte{1}, isolation)
		for range 10_000 {
			out, back, err := route()
			require.NoError(t, err)
			seen[out[1].ID()], seen[back[0].ID()] = true, true
		}
		for _, d := range view.Nodes {
			if !seen[d.ID()] {
				never = append(never, d.ID())
			}
		}
		return never
	}
	one := missing("one")
	require.Len(t, one, 1+40/4)
	require.Contains(t, one, gateway.ID())
	require.Equal(t, one, missing("one"), "or the sets of many sessions would leave the gateway alone")
	two := missing("two")
	require.Len(t, two, 1+40/4)
	require.NotEqual(t, one, two, "or they would show that the isolations are of one client")
}
