package client_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/sphinx"
)

// paced makes clients that keep a pace.
func paced(p client.Pace) func(*client.Config) {
	return func(cfg *client.Config) { cfg.Pace = p }
}

// gaps returns the times between a client's packets, from the first on.
func (f *frames) gaps(host string) (gaps []time.Duration) {
	_, at := f.packets(host, "")
	for i := range at[1:] {
		gaps = append(gaps, at[i+1].Sub(at[i]))
	}
	return gaps
}

// uses are what clients do while they are watched, for a minute. They return how many cells were served.
var uses = []struct {
	name string
	use  func(t *testing.T, n *nodetest.Network, c *client.Client) int
}{
	{"idle", func(*testing.T, *nodetest.Network, *client.Client) int {
		time.Sleep(time.Minute)
		return 0
	}},
	{"used now and then", func(t *testing.T, _ *nodetest.Network, c *client.Client) int {
		for i := range 6 {
			start := time.Now()
			requireEcho(t, c, text(i, 3*room))
			time.Sleep(time.Until(start.Add(10 * time.Second)))
		}
		return 6 * 3
	}},
	{"busy, beyond the pace", func(t *testing.T, _ *nodetest.Network, c *client.Client) int {
		start := time.Now()
		for i := range 2 {
			body := text(i, 100*room)
			one, other := request(soon(t), c, client.Message{To: "echo", Body: body}), request(soon(t), c, client.Message{To: "echo", Body: body})
			for _, done := range []<-chan result{one, other} {
				got := <-done
				require.NoError(t, got.err)
				require.True(t, string(body) == string(got.reply), "the reply is another than the message")
			}
		}
		time.Sleep(time.Until(start.Add(time.Minute)))
		return 2 * 2 * 100
	}},
}

// TestPaceHidesUse: the moments at which a client's packets leave are those of an idle one, exactly so with equal gaps. All
// messages arrive, and no cell is sent twice for having waited.
func TestPaceHidesUse(t *testing.T) {
	long(t)
	const rate = 20
	for _, constant := range []bool{true, false} {
		for _, test := range uses {
			t.Run(fmt.Sprintf("%s, constant=%v", test.name, constant), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var wire frames
					n := nodetest.Start(t, nodetest.Config{Tap: wire.Tap, Client: paced(client.Pace{Rate: rate, Constant: constant})})
					c := n.Client("alice")
					start := time.Now()
					served := test.use(t, n, c)
					watched := time.Since(start)
					c.Close()
					synctest.Wait()
					gaps := wire.gaps("alice")
					if constant {
						require.Equal(t, slices.Repeat([]time.Duration{time.Second / rate}, len(gaps)), gaps)
						require.InDelta(t, rate*watched.Seconds(), len(gaps), 2)
					} else {
						mean := rate * watched.Seconds()
						require.InDelta(t, mean, len(gaps), 8*math.Sqrt(mean))
						requireExponential(t, time.Second/rate, gaps)
					}
					require.EqualValues(t, served, n.Counts().Served)
					require.InDelta(t, len(gaps)+1, served+int(c.Cover().LoopsSent), 1, "all else are loops")
					require.Zero(t, c.Cover().DropsSent)
				})
			})
		}
	}
}

// requireExponential asserts that gaps have the exponential distribution with that mean, by the test of Kolmogorov and
// Smirnov, which is wrong once in 10¹⁰ times here.
func requireExponential(t *testing.T, mean time.Duration, gaps []time.Duration) {
	t.Helper()
	sorted := slices.Sorted(slices.Values(gaps))
	count, most := float64(len(sorted)), 0.0
	for i, gap := range sorted {
		expected := -math.Expm1(-float64(gap) / float64(mean))
		most = max(most, math.Abs(float64(i)/count-expected), math.Abs(float64(i+1)/count-expected))
	}
	require.Less(t, most, math.Sqrt(math.Log(2/1e-10)/2/count))
}

// TestPaceMakesSendersWait, and loses nothing for that: a message of so many cells takes its time.
func TestPaceMakesSendersWait(t *testing.T) {
	long(t)
	for _, rate := range []float64{1, 10, 300} {
		synctest.Test(t, func(t *testing.T) {
			n := nodetest.Start(t, nodetest.Config{Client: paced(client.Pace{Rate: rate})})
			c := n.Client("alice")
			cells := int(20 + rate)
			start := time.Now()
			requireEcho(t, c, text(1, cells*room))
			took := time.Since(start).Seconds()
			// The sum of so many gaps has the gamma distribution, here in the approximation of Wilson and Hilferty.
			sum := func(deviations float64) float64 {
				k := float64(cells)
				return k * math.Pow(1-1/(9*k)+deviations/(3*math.Sqrt(k)), 3)
			}
			require.Greater(t, took, sum(-7)/rate)
			require.Less(t, took, sum(7)/rate+2)
			time.Sleep(2 * time.Second)
			require.EqualValues(t, cells, n.Counts().Served, "none was sent twice")
			require.Empty(t, n.Counts().Dropped)
		})
	}
}

// TestPaceDoesNotDelayWhatFits: a message of one cell waits for the next moment and no longer.
func TestPaceDoesNotDelayWhatFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Client: paced(client.Pace{Rate: 10, Constant: true})})
		c := n.Client("alice")
		for i := range 20 {
			time.Sleep(1234 * time.Millisecond)
			start := time.Now()
			requireEcho(t, c, text(i, room))
			require.LessOrEqual(t, time.Since(start), 100*time.Millisecond+7*nodetest.BatchDeadline)
		}
	})
}

// TestPaceSurvivesItsLink, with what waited for it.
func TestPaceSurvivesItsLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 20
		n := nodetest.Start(t, nodetest.Config{Client: paced(client.Pace{Rate: rate})})
		c := n.Client("alice")
		body := text(1, 200*room)
		done := request(soon(t), c, client.Message{To: "echo", Body: body})
		for range 3 {
			time.Sleep(2 * time.Second)
			n.Cut("alice", n.Mixes[at(n, c)].Address)
		}
		got := <-done
		require.NoError(t, got.err)
		require.True(t, string(body) == string(got.reply), "the reply is another than the message")
		underWay := 3 * rate * (7 * nodetest.BatchDeadline).Seconds() // at the three cuts, on average at most
		require.LessOrEqual(t, n.Counts().Served, uint64(200+underWay+6*math.Sqrt(underWay)), "a cut costs what was on its way there and then")
	})
}

// TestPaceGoesOnWithoutANetwork: when no packets can be made, what leaves looks the same from outside.
func TestPaceGoesOnWithoutANetwork(t *testing.T) {
	long(t)
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{
			Node:   seldom,
			Client: paced(client.Pace{Rate: 4, Constant: true}),
			Views:  func(cfg *directory.ServerConfig) { cfg.Lifetime = 5 * time.Minute },
		})
		c := n.Client("alice")
		address := n.Mixes[at(n, c)].Address
		minute := func() int {
			before := n.Written("alice", address)
			time.Sleep(time.Minute)
			return n.Written("alice", address) - before
		}
		time.Sleep(50 * time.Millisecond) // to between two moments
		usual := minute()
		require.Greater(t, usual, 239*n.PacketSize())
		n.StopDirectory()
		time.Sleep(10 * time.Minute)
		before := c.Cover().LoopsSent
		require.Equal(t, usual, minute())
		require.Equal(t, before, c.Cover().LoopsSent, "no packets can be made")
		n.StartDirectory()
		time.Sleep(5 * time.Minute)
		before = c.Cover().LoopsSent
		require.Equal(t, usual, minute())
		require.InDelta(t, 240, c.Cover().LoopsSent-before, 1)
	})
}

// TestCoverThatWaitedIsNotSentTooLate: a client that was busy for some epochs has cover of old ones, which no mix would take.
func TestCoverThatWaitedIsNotSentTooLate(t *testing.T) {
	long(t)
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{
			Network: directory.Network{Epoch: time.Minute},
			Client:  paced(client.Pace{Rate: 4, Constant: true}),
		})
		c := n.Client("alice")
		time.Sleep(time.Minute)
		requireEcho(t, c, text(1, 4*60*4*room))
		time.Sleep(30 * time.Second)
		require.Zero(t, n.Counts().Dropped[node.DropEpoch])
		require.Zero(t, n.Counts().Dropped[node.DropMAC])
	})
}

// TestPaceHasItsShareOfDrops.
func TestPaceHasItsShareOfDrops(t *testing.T) {
	long(t)
	for _, drops := range []float64{0, 0.3, 1} {
		synctest.Test(t, func(t *testing.T) {
			maxHops := 5
			if drops == 1 {
				maxHops = 3 // where there can be no loops
			}
			n := nodetest.Start(t, nodetest.Config{
				Network: directory.Network{Params: sphinx.Params{MaxHops: maxHops, PayloadSize: 1024}},
				Client:  paced(client.Pace{Rate: 20, Drops: drops}),
			})
			c := n.Client("alice")
			time.Sleep(time.Minute)
			stats := c.Cover()
			sent := float64(stats.LoopsSent + stats.DropsSent)
			require.InDelta(t, 20*60, sent, 8*math.Sqrt(20*60))
			require.InDelta(t, drops*sent, stats.DropsSent, 8*math.Sqrt(sent*drops*(1-drops))+1e-9)
			require.Zero(t, stats.LoopsLost)
			require.InDelta(t, stats.DropsSent, n.Counts().Covered, 20)
		})
	}
}

func TestPaceErrors(t *testing.T) {
	for _, test := range []struct {
		pace    client.Pace
		cover   client.Cover
		maxHops int
		says    string
	}{
		{client.Pace{Rate: -1}, client.Cover{}, 5, "Rate is -1"},
		{client.Pace{Rate: 0.5}, client.Cover{}, 5, "1 to 1000"},
		{client.Pace{Rate: 1001}, client.Cover{}, 5, "1 to 1000"},
		{client.Pace{Rate: math.NaN()}, client.Cover{}, 5, "Rate is NaN"},
		{client.Pace{Constant: true}, client.Cover{}, 5, "Rate is 0"},
		{client.Pace{Drops: 1}, client.Cover{}, 5, "Rate is 0"},
		{client.Pace{Rate: 1, Drops: 1.5}, client.Cover{}, 5, "Drops is 1.5"},
		{client.Pace{Rate: 1, Drops: math.NaN()}, client.Cover{}, 5, "Drops is NaN"},
		{client.Pace{Rate: 1}, client.Cover{Loops: 1}, 5, "Config.Cover: set one"},
		{client.Pace{Rate: 1, Drops: 0.9}, client.Cover{}, 3, "a loop takes 4 hops"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := nodetest.Start(t, nodetest.Config{Network: directory.Network{Params: sphinx.Params{MaxHops: test.maxHops, PayloadSize: 1024}}})
			_, err := client.New(t.Context(), client.Config{Directory: n.Directory(), Dial: n.Dialer("alice"), Pace: test.pace, Cover: test.cover})
			assert.ErrorContains(t, err, test.says)
			assert.ErrorContains(t, err, "Config.Pace")
		})
	}
}
