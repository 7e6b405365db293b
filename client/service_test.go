package client_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/client/cell"
	"sphinxmix.example/node"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/sphinx"
)

// liar is a service that answers a cell, whose data it has, with payloads of its choice, through one SURB each: so only
// the first can arrive.
type liar func(request cell.Cell) (payloads [][]byte)

func (l liar) Handle(_ context.Context, message []byte, send func(sphinx.Address, []byte)) error {
	params := sphinx.Params{MaxHops: 5, PayloadSize: 1024}
	request, err := cell.Parse(message, params.SURBSize())
	if err != nil || len(request.SURBs) == 0 {
		return errors.New("not from this client")
	}
	surbBytes := request.SURBs[0]
	request.SURBs = nil
	for _, payload := range l(request) {
		surb, err := params.ParseSURB(surbBytes)
		if err != nil {
			return err
		}
		first, packet, err := surb.Use(nil, payload)
		if err != nil {
			return err
		}
		send(first, packet)
	}
	return nil
}

func encoded(c cell.Cell) []byte { return c.Append(nil) }

// useless are answers that are none: a client has to see that, whatever else they say.
var useless = []struct {
	name string
	lie  liar
}{
	{"nothing", func(cell.Cell) [][]byte { return nil }},
	{"an empty payload", func(cell.Cell) [][]byte { return [][]byte{{}} }},
	{"garbage", func(cell.Cell) [][]byte { return [][]byte{text(1, 300)} }},
	{"a long payload", func(cell.Cell) [][]byte { return [][]byte{text(2, 1024-18)} }},
	{"half a cell", func(c cell.Cell) [][]byte { b := encoded(c); return [][]byte{b[:len(b)/2]} }},
	{"a cell and more", func(c cell.Cell) [][]byte { return [][]byte{append(encoded(c), 0)} }},
	{"a reserved flag", func(c cell.Cell) [][]byte { b := encoded(c); b[12] |= 0x80; return [][]byte{b} }},
	{"an end before the end, or none", func(c cell.Cell) [][]byte { c.Last = !c.Last; return [][]byte{encoded(c)} }},
	{"a SURB of no size", func(c cell.Cell) [][]byte { b := encoded(c); b[13] = 1; return [][]byte{b} }},
	{"another stream", func(c cell.Cell) [][]byte { c.Stream ^= 1; return [][]byte{encoded(c)} }},
	{"the next cell", func(c cell.Cell) [][]byte {
		c.Sequence, c.Data = c.Sequence+1, text(3, len(c.Data))
		return [][]byte{encoded(c)}
	}},
	{"the cell before", func(c cell.Cell) [][]byte {
		if c.Sequence == 0 || c.Last {
			return nil
		}
		c.Sequence, c.Data = c.Sequence-1, text(4, len(c.Data))
		return [][]byte{encoded(c)}
	}},
	{"a cell of no message", func(c cell.Cell) [][]byte { c.Sequence = 1 << 31; return [][]byte{encoded(c)} }},
	{"the last cell of all", func(c cell.Cell) [][]byte { c.Sequence = 1<<32 - 1; return [][]byte{encoded(c)} }},
}

// lying starts a network with the service "lies" at every mix.
func lying(t *testing.T, l liar) *nodetest.Network {
	return nodetest.Start(t, nodetest.Config{Node: func(_ int, cfg *node.Config) { cfg.Handlers["lies"] = l }})
}

// TestUselessAnswersAreNoAnswers, and other requests of the client do not notice.
func TestUselessAnswersAreNoAnswers(t *testing.T) {
	long(t)
	for _, test := range useless {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := lying(t, test.lie).Client("alice")
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				lied := request(ctx, c, client.Message{To: "lies", Body: text(1, 7*room)})
				for i := range 5 {
					requireEcho(t, c, text(i, 5*room))
				}
				got := <-lied
				require.ErrorIs(t, got.err, context.DeadlineExceeded)
				require.ErrorContains(t, got.err, "0 of 7 cells answered")
				require.Nil(t, got.reply)
			})
		})
	}
}

// TestUselessAnswersOfOneMixAreMadeUpFor by those of others that offer the same service: a cell that one mix did not
// answer goes to another.
func TestUselessAnswersOfOneMixAreMadeUpFor(t *testing.T) {
	long(t)
	for _, test := range useless {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := nodetest.Start(t, nodetest.Config{Node: func(i int, cfg *node.Config) {
					if i == 0 {
						cfg.Handlers["echo"] = test.lie
					}
				}})
				c := n.Client("alice")
				for gatewayOf(t, n, c) == 0 { // then mix 0 is never the exit
					c.Close()
					c = n.Client("alice")
				}
				requireEcho(t, c, text(1, 60*room))
				require.NotZero(t, n.Mixes[0].Counts().Served)
			})
		})
	}
}

// TestOneAnswerForEachCell: what a service sends through a SURB that it has used already arrives nowhere.
func TestOneAnswerForEachCell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := lying(t, func(c cell.Cell) [][]byte {
			second := c
			second.Data = text(1, len(c.Data))
			return [][]byte{encoded(c), encoded(c), encoded(second)}
		})
		c := n.Client("alice")
		const cells = 10
		reply, err := c.Request(soon(t), client.Message{To: "lies", Body: text(2, cells*room)})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		counts := n.Counts()
		require.Equal(t, 2*counts.Served, counts.Dropped[node.DropReplay])
		require.Equal(t, counts.Served, counts.Delivered)
		require.Len(t, reply, cells*room)
	})
}

// TestReplyMayBeLongerThanTheMessage, and shorter: what a service answers is its own affair.
func TestReplyMayBeLongerThanTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 1024 - 18 - cell.HeaderSize
		n := nodetest.Start(t, nodetest.Config{Node: func(_ int, cfg *node.Config) {
			cfg.Handlers["long"] = liar(func(c cell.Cell) [][]byte {
				c.Data = text(int(c.Sequence), most)
				return [][]byte{encoded(c)}
			})
			cfg.Handlers["none"] = liar(func(c cell.Cell) [][]byte {
				if c.Data = nil; !c.Last {
					c.Data = []byte{'.'}
				}
				return [][]byte{encoded(c)}
			})
		}})
		c := n.Client("alice")
		reply, err := c.Request(soon(t), client.Message{To: "long", Body: text(1, 2*room)})
		require.NoError(t, err)
		require.Equal(t, append(text(0, most), text(1, most)...), reply)
		reply, err = c.Request(soon(t), client.Message{To: "none", Body: text(1, 3*room)})
		require.NoError(t, err)
		require.Equal(t, "..", string(reply))
	})
}
