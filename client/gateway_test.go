package client_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/client/exit"
	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/sphinx"
)

// spoiled is a reply frame, changed.
func spoiled(f nodetest.Frame, change func(id, payload []byte)) nodetest.Frame {
	f.Body = slices.Clone(f.Body)
	change(f.Body[:sphinx.MessageIDSize], f.Body[sphinx.MessageIDSize:][:1024])
	return f
}

// gateways are what a gateway may do to a client beside, or in place of, handing on its replies.
var gateways = []struct {
	name string
	tap  func() nodetest.Tap // of the replies alone
}{
	{"replies that nobody waits for", func() nodetest.Tap {
		return func(f nodetest.Frame) []nodetest.Frame {
			other := spoiled(f, func(id, _ []byte) { copy(id, text(1, len(id))) })
			zero := spoiled(f, func(id, payload []byte) { clear(id); clear(payload) })
			return []nodetest.Frame{other, zero, f}
		}
	}},
	{"garbage under the right name, first", func() nodetest.Tap {
		return func(f nodetest.Frame) []nodetest.Frame {
			garbage := spoiled(f, func(_, payload []byte) { copy(payload, text(2, len(payload))) })
			tagged := spoiled(f, func(_, payload []byte) { payload[0] ^= 1 })
			return []nodetest.Frame{garbage, tagged, garbage, f}
		}
	}},
	{"every reply three times", func() nodetest.Tap {
		return func(f nodetest.Frame) []nodetest.Frame { return []nodetest.Frame{f, f, f} }
	}},
	{"old replies again and again", func() nodetest.Tap {
		var mu sync.Mutex
		var old []nodetest.Frame
		return func(f nodetest.Frame) []nodetest.Frame {
			mu.Lock()
			defer mu.Unlock()
			old = append(old, f)
			return append(slices.Clone(old[max(0, len(old)-20):len(old)-1]), f)
		}
	}},
	{"replies in the reverse order", func() nodetest.Tap {
		var mu sync.Mutex
		var held []nodetest.Frame
		return func(f nodetest.Frame) []nodetest.Frame {
			mu.Lock()
			defer mu.Unlock()
			if held = append(held, f); len(held) < 10 {
				return nil
			}
			out := held
			held = nil
			slices.Reverse(out)
			return out
		}
	}},
	{"the payload of one under the name of another", func() nodetest.Tap {
		var mu sync.Mutex
		var last []byte
		return func(f nodetest.Frame) []nodetest.Frame {
			mu.Lock()
			defer mu.Unlock()
			swapped := spoiled(f, func(_, payload []byte) { copy(payload, last) })
			last = slices.Clone(f.Body[sphinx.MessageIDSize:][:1024])
			return []nodetest.Frame{swapped, f}
		}
	}},
	{"frames of every other kind", func() nodetest.Tap {
		return func(f nodetest.Frame) []nodetest.Frame {
			frames := []nodetest.Frame{f}
			for kind := range 256 {
				if link.Kind(kind) != link.Reply {
					frames = append(frames, nodetest.Frame{Kind: link.Kind(kind), Arg: byte(kind), Body: f.Body})
				}
			}
			return frames
		}
	}},
	{"the reply with other zeros behind it", func() nodetest.Tap {
		return func(f nodetest.Frame) []nodetest.Frame {
			f.Body = slices.Clone(f.Body)
			f.Body[len(f.Body)-1] = 1
			return []nodetest.Frame{f}
		}
	}},
	{"only every other reply", func() nodetest.Tap {
		var mu sync.Mutex
		count := 0
		return func(f nodetest.Frame) []nodetest.Frame {
			mu.Lock()
			defer mu.Unlock()
			if count++; count%2 == 0 {
				return nil
			}
			return []nodetest.Frame{f}
		}
	}},
}

// TestGatewayCannotConfuseItsClient: whatever it delivers, each request gets its own reply, whole.
func TestGatewayCannotConfuseItsClient(t *testing.T) {
	for _, test := range gateways {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tap := test.tap()
				n := nodetest.Start(t, nodetest.Config{Tap: func(f nodetest.Frame) []nodetest.Frame {
					if f.To == "alice" && f.Kind == link.Reply {
						return tap(f)
					}
					return []nodetest.Frame{f}
				}})
				c := n.Client("alice")
				var all sync.WaitGroup
				for i := range 4 {
					all.Go(func() {
						body := text(i, (2*i+1)*room)
						reply, err := c.Request(soon(t), client.Message{To: "echo", Body: body})
						assert.NoError(t, err)
						assert.True(t, string(body) == string(reply), "request %d", i)
					})
				}
				all.Wait()
				synctest.Wait()
				require.Zero(t, c.Expected())
			})
		})
	}
}

// TestLastOfferIsNotTheGateway: a mix that alone offers a service cannot be the gateway of those who want it.
func TestLastOfferIsNotTheGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Node: func(i int, cfg *node.Config) {
			if i < 2 {
				cfg.Handlers[fmt.Sprint("only", i)] = exit.NewEcho(cfg.Network.Params)
			}
		}})
		for range 30 {
			c := n.Client("alice")
			require.GreaterOrEqual(t, at(n, c), 2)
			c.Close()
		}
	})
}

// TestOnlyTheGatewayOffersIt where every mix has a service of its own: the error says what is in the way.
func TestOnlyTheGatewayOffersIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Node: func(i int, cfg *node.Config) {
			cfg.Handlers[fmt.Sprint("echo", i)] = exit.NewEcho(cfg.Network.Params)
		}})
		c := n.Client("alice")
		for i := range n.Mixes {
			reply, err := c.Request(soon(t), client.Message{To: fmt.Sprint("echo", i), Body: []byte("hello")})
			if i == at(n, c) {
				require.ErrorIs(t, err, client.ErrNoService)
				require.ErrorContains(t, err, "gateway")
				continue
			}
			require.NoError(t, err)
			require.Equal(t, "hello", string(reply))
		}
	})
}

func TestViaIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{Mixes: 7})
		var via []directory.NodeID
		for _, i := range []int{6, 1, 3, 2} {
			via = append(via, n.Mixes[i].ID())
		}
		c, err := client.New(t.Context(), client.Config{Directory: n.Directory(), Dial: n.Dialer("alice"), Via: via})
		require.NoError(t, err)
		defer c.Close()
		check := func() {
			_, err := c.Request(soon(t), client.Message{To: "echo", Routed: func(out, back []directory.NodeID) {
				require.Equal(t, via, out)
				require.Len(t, back, 3)
				require.Equal(t, via[0], back[2])
			}})
			require.NoError(t, err)
		}
		check()
		time.Sleep(time.Minute)
		n.Stop(6)
		done := request(soon(t), c, client.Message{To: "echo", Body: text(1, 3*room)})
		time.Sleep(5 * time.Minute)
		require.Empty(t, done, "no other gateway will do")
		n.Start(6)
		got := <-done
		require.NoError(t, got.err)
		require.Equal(t, text(1, 3*room), got.reply)
		check()
	})
}
