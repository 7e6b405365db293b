package link_test

import (
	"context"
	"crypto/ed25519"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/link"
)

func TestLimitPerAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory()
		cfg := config("mix")
		cfg.MaxConnsPerAddress = 2
		conns := reading(t, n, cfg)
		from := func(host string) *link.Conn { return dial(t, n.dial(t, host), config("")) }

		first := from("127.0.0.2")
		n.dial(t, "127.0.0.2") // one in its handshake does not count yet
		synctest.Wait()
		from("127.0.0.2")
		synctest.Wait()
		require.Len(t, conns, 2)
		requireRefused(t, from("127.0.0.2"))

		from("127.0.0.3")
		synctest.Wait()
		require.Len(t, conns, 3)

		first.Close()
		synctest.Wait()
		from("127.0.0.2")
		synctest.Wait()
		require.Len(t, conns, 4)
		requireRefused(t, from("127.0.0.2"))
	})
}

func TestLimitOverall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory()
		cfg := config("mix")
		cfg.MaxConns = 2
		conns := reading(t, n, cfg)
		from := func(host string) *link.Conn { return dial(t, n.dial(t, host), config("")) }
		first := from("127.0.0.2")
		from("127.0.0.3")
		synctest.Wait()
		require.Len(t, conns, 2)
		requireRefused(t, from("127.0.0.4"))

		first.Close()
		synctest.Wait()
		from("127.0.0.4")
		synctest.Wait()
		require.Len(t, conns, 3)
		requireRefused(t, from("127.0.0.5"))
	})
}

// TestStrangersDoNotKeepOutTheKnown, neither by their number nor by sharing an address with them; nor do the known each
// other, however many links one of them makes: its newest take the place of its oldest.
func TestStrangersDoNotKeepOutTheKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory()
		cfg := config("mix")
		cfg.MaxConns, cfg.MaxConnsPerAddress = 2, 2
		cfg.Known = func(key ed25519.PublicKey) bool { return !key.Equal(public("stranger")) }
		conns := reading(t, n, cfg)
		for range 2 {
			dial(t, n.dial(t, "127.0.0.2"), config(""))
		}
		synctest.Wait() // the server settles after the dialer
		requireRefused(t, dial(t, n.dial(t, "127.0.0.2"), config("")))
		requireRefused(t, dial(t, n.dial(t, "127.0.0.2"), config("stranger")))
		for range 2 {
			require.Nil(t, (<-conns).Peer())
		}
		for _, name := range []string{"peer", "another peer", "a third"} {
			oldest := dial(t, n.dial(t, "127.0.0.2"), config(name))
			for range 2 {
				synctest.Wait()
				dial(t, n.dial(t, "127.0.0.2"), config(name))
			}
			requireRefused(t, oldest)
			for range 3 {
				require.Equal(t, public(name), (<-conns).Peer())
			}
		}
	})
}

// TestFloodOfHandshakesPushesOutItsOwn: who opens many is who loses them.
func TestFloodOfHandshakesPushesOutItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory()
		cfg := config("mix")
		cfg.MaxHandshakes = 4
		conns := accepted(t, n, cfg)
		honest := n.dial(t, "127.0.0.2")
		synctest.Wait()
		for i := range 100 {
			n.dial(t, []string{"127.0.0.3", "127.0.0.4", "127.0.0.5"}[i%3])
			synctest.Wait()
		}
		dial(t, honest, config(""))
		assert.Equal(t, "127.0.0.2", (<-conns).Host())
	})
}

func TestLimitHoldsForThoseWhoComeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory()
		cfg := config("mix")
		cfg.MaxConns = 3
		conns := accepted(t, n, cfg)
		// All are admitted to their handshake before any ends it.
		var pending []net.Conn
		for range 10 {
			pending = append(pending, n.dial(t, "127.0.0.2"))
		}
		synctest.Wait()
		var dialers sync.WaitGroup
		for _, conn := range pending {
			dialers.Go(func() {
				c, err := link.Dial(t.Context(), conn, public("mix"), config(""))
				if err == nil {
					_, _, err = c.ReadFrame(make([]byte, frameSize))
				}
				assert.Error(t, err)
			})
		}
		synctest.Wait()
		assert.Len(t, conns, 3)
		for range 3 {
			(<-conns).Close()
		}
		dialers.Wait()
	})
}

func TestManySilentClientsGiveWayToAnHonestOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory()
		cfg := config("mix")
		cfg.MaxHandshakes = 3
		cfg.MaxConns = 1 // which the silent ones do not use up
		conns := accepted(t, n, cfg)
		start := time.Now()
		var silent []net.Conn
		for range 5 {
			silent = append(silent, n.dial(t, "127.0.0.2"))
			synctest.Wait()
		}
		requireClosed(t, silent[0])
		requireClosed(t, silent[1])

		dialed := dial(t, n.dial(t, "127.0.0.3"), config(""))
		exchange(t, dialed, <-conns, 3)
		require.Zero(t, time.Since(start))
		requireClosed(t, silent[2])

		// Nobody is pushed out without need.
		for _, conn := range silent[3:] {
			_, err := conn.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err)
			require.Equal(t, 10*time.Second, time.Since(start))
		}
	})
}

func TestLinksDoNotGiveWayToHandshakes(t *testing.T) {
	overBoth(t, func(t *testing.T, n network) {
		cfg := config("mix")
		cfg.MaxHandshakes = 1
		conns := accepted(t, n, cfg)
		var dialed, served []*link.Conn
		for range 3 {
			dialed = append(dialed, dial(t, n.dial(t, "127.0.0.2"), config("")))
			served = append(served, <-conns)
		}
		n.dial(t, "127.0.0.3")
		n.settle()
		for i := range dialed {
			exchange(t, dialed[i], served[i], 3)
		}
	})
}

// requireRefused asserts that the server closes a link as soon as it knows who that is; time is virtual.
func requireRefused(t *testing.T, c *link.Conn) {
	t.Helper()
	start := time.Now()
	_, _, err := c.ReadFrame(make([]byte, frameSize))
	require.Equal(t, io.EOF, err)
	require.Zero(t, time.Since(start))
}

// reading serves links that last as long as those who dialled them.
func reading(t *testing.T, ln net.Listener, cfg link.Config) <-chan *link.Conn {
	conns := make(chan *link.Conn, 8)
	serve(t, ln, cfg, func(_ context.Context, c *link.Conn) {
		conns <- c
		_, _, err := c.ReadFrame(make([]byte, frameSize))
		assert.Error(t, err)
	})
	return conns
}
