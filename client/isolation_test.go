package client_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/client/cell"
	"sphinxmix.example/client/stream"
	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/sphinx"
)

// curious is an exit that writes down what clients say of themselves when they begin a session.
type curious struct {
	node.Handler
	size int

	mu     *sync.Mutex
	hellos map[uint64]uint32 // the timeout in ms by session
}

func (c curious) Handle(ctx context.Context, message []byte, send func(sphinx.Address, []byte)) error {
	if got, err := cell.Parse(message, c.size); err == nil && len(got.Data) >= 13 && got.Data[0] == 2|4 { // SURBs, hello
		c.mu.Lock()
		c.hellos[got.Stream] = binary.BigEndian.Uint32(got.Data[9:])
		c.mu.Unlock()
	}
	return c.Handler.Handle(ctx, message, send)
}

// TestHellosAreAllTheSame, whatever their clients have seen of the network and however long their paths are: else an exit
// would know sessions of one client by them.
func TestHellosAreAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var exits exits
		spy := curious{mu: new(sync.Mutex), hellos: make(map[uint64]uint32)}
		hops := 3
		n := nodetest.Start(t, nodetest.Config{
			Mixes: 7,
			Node: func(i int, cfg *node.Config) {
				exits.offer(t, i, cfg)
				one := spy
				one.Handler, one.size = cfg.Handlers[stream.Service], cfg.Network.SURBSize()
				cfg.Handlers[stream.Service] = one
			},
			Client:  func(cfg *client.Config) { cfg.Hops = hops },
			Network: directory.Network{MeanDelay: 50 * time.Millisecond},
		})
		alice := n.Client("alice")
		hops = 4
		bob := n.Client("bob")
		for i := range 4 {
			for _, c := range []*client.Client{alice, bob} {
				require.NoError(t, exchange(soon(t), c, fmt.Sprint(i), text(1, 1000)))
			}
			requireEcho(t, alice, text(1, (1+3*i)*room)) // which teaches it how long round trips take
		}
		spy.mu.Lock()
		defer spy.mu.Unlock()
		require.Len(t, spy.hellos, 8)
		different := make(map[uint32]int)
		for _, timeout := range spy.hellos {
			different[timeout]++
		}
		require.Len(t, different, 1, "%v", different)
	})
}

// undecided is an exit that takes every stream, acknowledges all, and never says whether the host has answered.
type undecided struct {
	params sphinx.Params

	mu       sync.Mutex
	sessions map[uint64]*stream.Session
}

func (u *undecided) Handle(_ context.Context, message []byte, send func(sphinx.Address, []byte)) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	got, err := cell.Parse(message, u.params.SURBSize())
	if err != nil {
		return err
	}
	now := time.Now()
	s := u.sessions[got.Stream]
	if s == nil {
		s = stream.New(stream.Config{Room: u.params.MaxReply() - cell.HeaderSize, SURBSize: u.params.SURBSize()}, got.Stream, now)
		u.sessions[got.Stream] = s
	}
	if err := s.Receive(now, got); err != nil {
		return err
	}
	for next, ok := s.Next(now.Add(time.Second)); ok; next, ok = s.Next(now.Add(time.Second)) {
		surb, err := u.params.ParseSURB(next.SURB)
		if err != nil {
			return err
		}
		answer := cell.Cell{Stream: got.Stream, Sequence: next.Number, Data: next.Data}
		first, packet, err := surb.Use(nil, answer.Append(nil))
		if err != nil {
			return err
		}
		send(first, packet)
	}
	return nil
}

// TestDialEndsWhereExitsDoNotDecide, even if nobody has set a deadline, and asks others first.
func TestDialEndsWhereExitsDoNotDecide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []*undecided
		n := nodetest.Start(t, nodetest.Config{Node: func(_ int, cfg *node.Config) {
			u := &undecided{params: cfg.Network.Params, sessions: make(map[uint64]*stream.Session)}
			cfg.Handlers[stream.Service] = u
			asked = append(asked, u)
		}})
		alice := n.Client("alice")
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		_, err := alice.Dial(ctx, "", "echo.mix:7")
		require.ErrorIs(t, err, syscall.ETIMEDOUT)
		require.Less(t, time.Since(start), 5*time.Minute)
		sum := 0
		for _, u := range asked {
			u.mu.Lock()
			sum += len(u.sessions)
			u.mu.Unlock()
		}
		require.Equal(t, 3, sum)
	})
}

// TestIsolationsWithoutStreamsMakeRoom: a program that isolates each of its connections must not keep out others.
func TestIsolationsWithoutStreamsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var exits exits
		n := nodetest.Start(t, nodetest.Config{Node: func(i int, cfg *node.Config) { exits.offer(t, i, cfg) }})
		alice := n.Client("alice")
		kept, err := alice.Dial(soon(t), "kept", "echo.mix:7")
		require.NoError(t, err)
		defer kept.Close()
		alice.SetMostTunnels(20)
		const programs, each = 10, 4
		failed := make(chan error, programs)
		for i := range programs {
			go func() {
				var err error
				for j := range each {
					err = errors.Join(err, exchange(soon(t), alice, fmt.Sprint(i, j), text(1, 10)))
				}
				failed <- err
			}()
		}
		for range programs {
			require.NoError(t, <-failed)
		}
		_, err = kept.Write([]byte("hello"))
		require.NoError(t, err)
		require.NoError(t, kept.SetReadDeadline(time.Now().Add(time.Minute)))
		_, err = kept.Read(make([]byte, 5))
		require.NoError(t, err)
	})
}

// TestDialOfAClosedClient starts nothing.
func TestDialOfAClosedClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var exits exits
		n := nodetest.Start(t, nodetest.Config{Node: func(i int, cfg *node.Config) { exits.offer(t, i, cfg) }})
		c := n.Client("alice")
		var dialling sync.WaitGroup
		for i := range 10 {
			dialling.Go(func() {
				for j := 0; ; j++ {
					if conn, err := c.Dial(t.Context(), fmt.Sprint(i, j), "echo.mix:7"); err != nil {
						if !errors.Is(err, client.ErrClosed) {
							t.Error(err)
						}
						return
					} else {
						conn.Close()
					}
				}
			})
		}
		time.Sleep(time.Second)
		c.Close()
		dialling.Wait()
		_, err := c.Dial(t.Context(), "", "echo.mix:7")
		require.ErrorIs(t, err, client.ErrClosed)
		require.Zero(t, c.Tunnels())
	})
}
