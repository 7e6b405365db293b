package exit_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/client/exit"
	"sphinxmix.example/client/stream"
	"sphinxmix.example/sphinx"
)

// newSlyClient is newClient with a mix on its way that keeps back what hold says.
func (n *network) newSlyClient(id uint64, hold func(message []byte) bool) *client {
	ctx, cancel := context.WithCancel(context.Background())
	c := &client{
		n: n, id: id, cancel: cancel,
		session: stream.New(stream.Config{
			Client:   true,
			Room:     streaming.MaxMessage(len(stream.Service)) - cell.HeaderSize,
			SURBSize: streaming.SURBSize(),
			Timeout:  5 * time.Second,
		}, id, time.Now()),
		keys: make(map[sphinx.MessageID]*sphinx.ReplyKey),
	}
	n.mu.Lock()
	n.clients[c.name()] = c
	n.mu.Unlock()
	c.running.Go(func() {
		for tick := time.NewTicker(10 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			for next, ok := c.session.Next(time.Now()); ok; next, ok = c.session.Next(time.Now()) {
				if message := c.cell(next); !hold(message) {
					_ = n.handle(message)
				}
			}
		}
	})
	return c
}

// TestCellsThatWereHeldBackDoNothingAgain: a mix keeps cells back until their client has sent what was in them once more,
// until its session is over and until the exit has forgotten that. Then it lets them go, as packets that are no replays.
// No host may get the same bytes twice.
func TestCellsThatWereHeldBackDoNothingAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, weather{}, exit.Config{})
		var mu sync.Mutex
		var got []byte
		n.hosts[discardHost] = func(conn net.Conn) {
			defer conn.Close()
			b := make([]byte, 100)
			for {
				count, err := conn.Read(b)
				mu.Lock()
				got = append(got, b[:count]...)
				mu.Unlock()
				if err != nil {
					return
				}
			}
		}
		var opening, paying []byte
		c := n.newSlyClient(1, func(message []byte) bool {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case opening == nil:
				opening = message
				return true
			case paying == nil && bytes.Contains(message, []byte("pay 100;")):
				paying = message
				return true
			}
			return false
		})
		conn := c.dial(discardHost.String())
		_, err := io.WriteString(conn, "pay 100;")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.NoError(t, conn.Close())
		time.Sleep(time.Minute)
		c.session.Fail(stream.ErrClosed)
		time.Sleep(time.Minute)
		require.Zero(t, n.tcp.Stats().Sessions)
		time.Sleep(10 * time.Minute)
		mu.Lock()
		held := [][]byte{opening, paying}
		mu.Unlock()
		for _, message := range held {
			require.NotNil(t, message)
			require.NoError(t, n.handle(message))
			time.Sleep(time.Minute)
		}
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, "pay 100;", string(got))
	})
}
