package client_test

import (
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/sphinx"
)

// withCover makes clients that make so much cover traffic.
func withCover(loops, drops float64) func(*client.Config) {
	return func(cfg *client.Config) { cfg.Cover = client.Cover{Loops: loops, Drops: drops} }
}

// frames are what a Tap has seen.
type frames struct {
	mu   sync.Mutex
	seen []nodetest.Frame
	at   []time.Time
}

func (f *frames) Tap(frame nodetest.Frame) []nodetest.Frame {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, nodetest.Frame{From: frame.From, To: frame.To, Kind: frame.Kind, Arg: frame.Arg, Body: slices.Clone(frame.Body)})
	f.at = append(f.at, time.Now())
	return []nodetest.Frame{frame}
}

// packets returns the packets that went from hosts, or mixes, whose names start so, to others, and when.
func (f *frames) packets(from, to string) (packets []nodetest.Frame, at []time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, frame := range f.seen {
		if frame.Kind == link.Packet && strings.HasPrefix(frame.From, from) && strings.HasPrefix(frame.To, to) {
			packets, at = append(packets, frame), append(at, f.at[i])
		}
	}
	return packets, at
}

// TestCoverHasItsRates over hours: as many loops and drops as there should be, as random as a Poisson process is, all of
// which arrive. The bounds are eight deviations wide.
func TestCoverHasItsRates(t *testing.T) {
	long(t)
	synctest.Test(t, func(t *testing.T) {
		const loops, drops, minutes = 0.05, 0.1, 120
		n := nodetest.Start(t, nodetest.Config{Node: seldom, Client: withCover(loops, drops)})
		c := n.Client("alice")
		var counts [minutes]float64
		before := client.CoverStats{}
		for i := range counts {
			time.Sleep(time.Minute)
			now := c.Cover()
			counts[i] = float64(now.LoopsSent + now.DropsSent - before.LoopsSent - before.DropsSent)
			before = now
		}
		stats := before
		for _, test := range []struct {
			rate float64
			sent uint64
		}{{loops, stats.LoopsSent}, {drops, stats.DropsSent}} {
			mean := test.rate * minutes * 60
			require.InDelta(t, mean, test.sent, 8*math.Sqrt(mean))
		}
		require.Zero(t, stats.LoopsLost)
		require.InDelta(t, stats.LoopsSent, stats.LoopsReturned, 5)
		require.InDelta(t, stats.DropsSent, n.Counts().Covered, 6)
		require.Empty(t, n.Counts().Dropped)

		// In a Poisson process the number of events in a minute varies by its mean. The ratio of the two, of n minutes, has a
		// deviation of √(2/n), and is skewed.
		mean, varying := float64(stats.LoopsSent+stats.DropsSent)/minutes, 0.0
		for _, count := range counts {
			varying += (count - mean) * (count - mean) / (minutes - 1)
		}
		require.Greater(t, varying/mean, 1-6*math.Sqrt(2./minutes))
		require.Less(t, varying/mean, 1+9*math.Sqrt(2./minutes))
	})
}

func TestNoCoverByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wire frames
		n := nodetest.Start(t, nodetest.Config{Node: seldom, Tap: wire.Tap})
		c := n.Client("alice")
		time.Sleep(time.Hour)
		require.Zero(t, c.Cover())
		sent, _ := wire.packets("", "")
		require.Empty(t, sent)
	})
}

// TestCoverLooksLikeMessages to all who see the links of its client and of the mixes: frames of one kind, of one size and
// one epoch, at whose bytes there is nothing to see, from a host to the gateway, from mix to mix, and to the client.
func TestCoverLooksLikeMessages(t *testing.T) {
	long(t)
	look := func(t *testing.T, cover client.Cover, messages int) (links map[string]bool, wire *frames) {
		links, wire = make(map[string]bool), &frames{}
		synctest.Test(t, func(t *testing.T) {
			n := nodetest.Start(t, nodetest.Config{Tap: wire.Tap, Client: withCover(cover.Loops, cover.Drops)})
			c := n.Client("alice")
			for range messages {
				_, err := c.Request(soon(t), client.Message{To: "echo"})
				require.NoError(t, err)
			}
			if messages == 0 {
				time.Sleep(4 * time.Minute)
			}
			gateway := n.Mixes[at(n, c)].Name
			c.Close()
			called := func(host string) string {
				switch host {
				case "alice":
					return "the client"
				case gateway:
					return "its gateway"
				}
				return "a mix"
			}
			for _, f := range wire.seen {
				require.Len(t, f.Body, n.PacketSize())
				if f.Kind == link.Packet {
					require.EqualValues(t, nodetest.FirstEpoch, f.Arg)
					requireFresh(t, f.Body[:n.PacketSize()])
				}
				links[called(f.From)+" to "+called(f.To)] = true
			}
		})
		return links, wire
	}
	messages, _ := look(t, client.Cover{}, 100)
	loops, loopWire := look(t, client.Cover{Loops: 1}, 0)
	drops, dropWire := look(t, client.Cover{Drops: 1}, 0)
	require.Equal(t, messages, loops)
	delete(messages, "its gateway to the client") // a drop has no reply, as a message that is lost has none
	delete(messages, "a mix to its gateway")
	require.Subset(t, messages, drops)
	for _, wire := range []*frames{loopWire, dropWire} {
		sent, _ := wire.packets("", "")
		require.Greater(t, len(sent), 400)
		requireNoPattern(t, sent)
	}
}

// requireFresh asserts that a packet is not mostly zeros, say.
func requireFresh(t *testing.T, packet []byte) {
	t.Helper()
	var counts [256]int
	for _, b := range packet {
		counts[b]++
	}
	require.Less(t, slices.Max(counts[:]), 40) // of 1248 bytes; five is the mean
}

// requireNoPattern asserts that at no place of the packets some byte is more frequent than by chance, but for the one bit
// of α that is always zero.
func requireNoPattern(t *testing.T, packets []nodetest.Frame) {
	t.Helper()
	mean := float64(len(packets)) / 256
	for i := range packets[0].Body {
		var counts [256]int
		for _, p := range packets {
			counts[p.Body[i]]++
		}
		if i == 31 {
			mean := 2 * mean
			require.LessOrEqual(t, float64(slices.Max(counts[:])), mean+8*math.Sqrt(mean)+12)
			continue
		}
		require.LessOrEqual(t, float64(slices.Max(counts[:])), mean+8*math.Sqrt(mean)+12, "byte %d", i)
	}
}

// TestCoverIsDelayedLikeMessages: the mixes on its way hold it for as long on average, four of them for a loop of four hops,
// and for a drop of three the two before the last.
func TestCoverIsDelayedLikeMessages(t *testing.T) {
	long(t)
	for _, test := range []struct {
		name   string
		cover  client.Cover
		delays float64
		last   func(f nodetest.Frame, gateway string) bool // whether it is the last of a packet's frames
	}{
		{"loops", client.Cover{Loops: 1}, 4, func(f nodetest.Frame, _ string) bool { return f.Kind == link.Reply }},
		{"drops", client.Cover{Drops: 1}, 2, func(f nodetest.Frame, gateway string) bool {
			return f.Kind == link.Packet && f.From != "alice" && f.From != gateway
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var wire frames
				n := nodetest.Start(t, nodetest.Config{
					Network: directory.Network{MeanDelay: time.Second},
					Tap:     wire.Tap,
					Client:  withCover(test.cover.Loops, test.cover.Drops),
					Node: func(_ int, cfg *node.Config) {
						cfg.Mix.Strategy = "poisson"
					},
				})
				c := n.Client("alice")
				gateway := n.Mixes[at(n, c)].Name
				start := time.Now()
				time.Sleep(10 * time.Minute)
				wire.mu.Lock()
				defer wire.mu.Unlock()
				sent, arrived, took := 0, 0, 0.0
				for i, f := range wire.seen {
					since := wire.at[i].Sub(start).Seconds()
					switch {
					case f.From == "alice" && f.Kind == link.Packet:
						sent++
						took -= since
					case test.last(f, gateway):
						arrived++
						took += since
					}
				}
				took += float64(sent-arrived) * time.Since(start).Seconds() // those that are under way, as if they arrived now
				require.InDelta(t, 600, sent, 8*25)
				require.InDelta(t, test.delays, took/float64(sent), 8*math.Sqrt(test.delays/float64(sent)))
			})
		})
	}
}

// TestLostLoopsAreCounted: a mix that throws away all that comes to it is in the way of a known part of the loops.
func TestLostLoopsAreCounted(t *testing.T) {
	long(t)
	synctest.Test(t, func(t *testing.T) {
		var hole switchable
		n := nodetest.Start(t, nodetest.Config{Mixes: 6, Node: seldom, Client: withCover(0.5, 0), Tap: hole.Tap})
		c := n.Client("alice")
		time.Sleep(8 * time.Minute)
		require.Zero(t, c.Cover().LoopsLost)

		bad := n.Mixes[(at(n, c)+1)%6].Name // and so not the gateway
		hole.set(func(f nodetest.Frame) []nodetest.Frame {
			if f.To == bad {
				return nil
			}
			return []nodetest.Frame{f}
		})
		before := c.Cover()
		time.Sleep(20 * time.Minute)
		require.Less(t, c.Expected(), 20, "keys are kept of loops that do not come back")
		hole.set(nil)
		time.Sleep(time.Minute)
		after := c.Cover()
		require.InDelta(t, after.LoopsSent, after.LoopsReturned+after.LoopsLost, 5, "but for those under way")
		// A loop of four hops goes through two of the five mixes beside the gateway.
		sent, lost := float64(after.LoopsSent-before.LoopsSent), float64(after.LoopsLost-before.LoopsLost)
		require.InDelta(t, 0.4*20/21, lost/sent, 8*math.Sqrt(0.4*0.6/sent)+0.02)
	})
}

// TestLoopsThatTakeLongAreNotLost where mixes delay packets.
func TestLoopsThatTakeLongAreNotLost(t *testing.T) {
	long(t)
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{
			Network: directory.Network{MeanDelay: 5 * time.Second},
			Client:  withCover(0.2, 0),
			Node: func(_ int, cfg *node.Config) {
				cfg.Mix.Strategy, cfg.Refresh = "poisson", time.Minute
			},
		})
		c := n.Client("alice")
		time.Sleep(time.Hour)
		stats := c.Cover()
		require.InDelta(t, 720, stats.LoopsSent, 8*27)
		require.LessOrEqual(t, stats.LoopsLost, uint64(1))
		require.InDelta(t, stats.LoopsSent, stats.LoopsReturned, 30)
	})
}

// TestCoverOutlivesItsGateway, and loops that were under way when it went count as lost; those that were when only the link
// broke come back.
func TestCoverOutlivesItsGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 4 // a second
		n := nodetest.Start(t, nodetest.Config{Mixes: 6, Client: withCover(rate, 0)})
		c := n.Client("alice")
		await := func() uint64 {
			for c.Expected() < 2 {
				time.Sleep(time.Millisecond)
			}
			return uint64(c.Expected())
		}
		time.Sleep(time.Minute)
		await()
		n.Cut("alice", n.Mixes[at(n, c)].Address)
		time.Sleep(2 * time.Minute)
		stats := c.Cover()
		require.InDelta(t, 180*rate, stats.LoopsSent, 8*math.Sqrt(180*rate))
		require.LessOrEqual(t, stats.LoopsLost, uint64(1), "but for one that was in the hand of who wrote")

		lost, gateway := stats.LoopsLost+await(), at(n, c)
		n.Stop(gateway)
		for at(n, c) == -1 || at(n, c) == gateway {
			time.Sleep(time.Millisecond)
		}
		require.GreaterOrEqual(t, c.Cover().LoopsLost, lost)
		time.Sleep(2 * time.Minute)
		stats = c.Cover()
		require.InDelta(t, 300*rate, stats.LoopsSent, 8*math.Sqrt(300*rate))
		c.Close()
		stats = c.Cover()
		require.Equal(t, stats.LoopsSent, stats.LoopsReturned+stats.LoopsLost)
	})
}

// TestCoverDoesNotDisturbMessages.
func TestCoverDoesNotDisturbMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Client: withCover(20, 20)})
		c := n.Client("alice")
		for i := range 10 {
			requireEcho(t, c, text(i, 20*room))
		}
		require.EqualValues(t, 200, n.Counts().Served)
		require.Empty(t, n.Counts().Dropped)
	})
}

// TestCoverKeepsToVia, or the gateway would know it by where it goes.
func TestCoverKeepsToVia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wire frames
		n := nodetest.Start(t, nodetest.Config{Mixes: 6, Tap: wire.Tap})
		c, err := client.New(t.Context(), client.Config{
			Directory: n.Directory(),
			Dial:      n.Dialer("alice"),
			Via:       []directory.NodeID{n.Mixes[2].ID(), n.Mixes[4].ID(), n.Mixes[0].ID()},
			Cover:     client.Cover{Drops: 1},
		})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		c.Close()
		synctest.Wait()
		for _, hop := range [][2]string{{"mix2", "mix4"}, {"mix4", "mix0"}} {
			sent, _ := wire.packets(hop[0], "")
			require.NotEmpty(t, sent)
			for _, f := range sent {
				require.Equal(t, hop[1], f.To)
			}
		}
	})
}

func TestCoverErrors(t *testing.T) {
	for _, test := range []struct {
		cover   client.Cover
		maxHops int
		says    string
	}{
		{client.Cover{Loops: -1}, 5, "rate of -1"},
		{client.Cover{Drops: -0.001}, 5, "rate of -0.001"},
		{client.Cover{Loops: math.NaN()}, 5, "rate of NaN"},
		{client.Cover{Drops: math.Inf(1)}, 5, "rate of +Inf"},
		{client.Cover{Drops: 1001}, 5, "0 to 1000"},
		{client.Cover{Loops: 1}, 3, "a loop takes 4 hops"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := nodetest.Start(t, nodetest.Config{Network: directory.Network{Params: sphinx.Params{MaxHops: test.maxHops, PayloadSize: 1024}}})
			_, err := client.New(t.Context(), client.Config{Directory: n.Directory(), Dial: n.Dialer("alice"), Cover: test.cover})
			assert.ErrorContains(t, err, test.says)
			assert.ErrorContains(t, err, "Config.Cover")
		})
	}
}
