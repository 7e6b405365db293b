package client_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/mix"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/sphinx"
)

// TestRoundTripOfAnIdleNetwork is the delays that the network wants, seven of them for three hops, and little more: what a
// batch's deadline and the exit's share of the machine take.
func TestRoundTripOfAnIdleNetwork(t *testing.T) {
	const mean = 50 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		var exits exits
		n := nodetest.Start(t, nodetest.Config{
			Network: directory.Network{MeanDelay: mean},
			Node: func(i int, cfg *node.Config) {
				exits.offer(t, i, cfg)
				cfg.Mix = mix.Config{Strategy: "poisson"}
			},
		})
		conn, err := n.Client("alice").Dial(soon(t), "", "echo.mix:7")
		require.NoError(t, err)
		defer conn.Close()
		const pings = 300
		start := time.Now()
		for range pings {
			_, err := conn.Write([]byte("x"))
			require.NoError(t, err)
			_, err = io.ReadFull(conn, make([]byte, 1))
			require.NoError(t, err)
		}
		trip := time.Since(start) / pings
		t.Logf("%v for seven delays of %v", trip, mean)
		require.InEpsilon(t, 7*mean, trip, .25)
	})
}

// TestManyStreamsInBadWeather: 200 streams of mixed size at once, through mixes with Poisson delays of 200 ms, over links
// that lose and double packets, while one mix dies: each byte comes once, in order, and nothing stalls.
func TestManyStreamsInBadWeather(t *testing.T) {
	type weather struct {
		loss   float64
		within time.Duration
	}
	streams, longest, all := 200, 60_000, []weather{{0, 2 * time.Minute}, {.01, 3 * time.Minute}, {.05, 5 * time.Minute}}
	if testing.Short() {
		streams, longest, all = 20, 10_000, all[2:]
	}
	for _, test := range all {
		t.Run(fmt.Sprintf("%v lost", test.loss), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var (
					mu     sync.Mutex
					chance = rand.New(rand.NewPCG(4, 5))
					exits  exits
				)
				n := nodetest.Start(t, nodetest.Config{
					Mixes:   8,
					Network: directory.Network{Params: sphinx.Params{MaxHops: 5, PayloadSize: 2048}, MeanDelay: 200 * time.Millisecond},
					Node: func(i int, cfg *node.Config) {
						if i < 3 {
							exits.offer(t, i, cfg)
						}
						cfg.NoClients = i < 3
						cfg.Mix = mix.Config{Strategy: "poisson"}
					},
					Tap: func(f nodetest.Frame) []nodetest.Frame {
						mu.Lock()
						defer mu.Unlock()
						if f.Kind != link.Subscribe && chance.Float64() < test.loss {
							return nil
						}
						if chance.Float64() < .02 {
							return []nodetest.Frame{f, f}
						}
						return []nodetest.Frame{f}
					},
				})
				alice := n.Client("alice")
				gateway := gatewayOf(t, n, alice)
				start := time.Now()
				errs := make(chan error, streams)
				for i := range streams {
					go func() {
						size := 1 + i*i*longest/streams/streams
						if err := exchange(soon(t), alice, fmt.Sprint(i%3), text(i, size)); err != nil {
							err = fmt.Errorf("stream %d of %d bytes: %w", i, size, err)
							errs <- err
							return
						}
						errs <- nil
					}()
				}
				time.Sleep(5 * time.Second)
				victim := 3
				if victim == gateway {
					victim = 4
				}
				n.Stop(victim)
				for range streams {
					require.NoError(t, <-errs)
				}
				took := time.Since(start)
				t.Logf("%v", took)
				require.Less(t, took, test.within)
			})
		})
	}
}
