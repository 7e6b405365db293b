package stream_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/client/stream"
)

const (
	surbSize = 272
	room     = 2010
)

// weather is what a network does to cells, by chance.
type weather struct {
	loss, double float64
	delay        func(r *rand.Rand) time.Duration
	// lost is asked about each cell too, if it is not nil.
	lost func(fromClient bool, number uint32) bool
	// rate is how many cells per second each way carries, the rest waits; any number if 0.
	rate float64
	// outages are when all cells of a way are lost.
	outages []outage
}

// outage is a time in which cells are lost, counted from when the wire was made.
type outage struct {
	from, to time.Duration
	up, down bool
}

// wire joins the two ends of a session, in virtual time, as a mix network does: a cell of the exit needs a SURB that the
// client has sent, and each SURB works once.
type wire struct {
	t            testing.TB
	began        time.Time
	client, exit *stream.Session
	weather      weather

	mu    sync.Mutex
	seed  uint64
	busy  [2]time.Time    // until when each way carries what came before
	surbs map[uint64]bool // the client's, by number: whether it is good
	last  uint64
	up    int // cells that the client sent
	down  int
	wg    sync.WaitGroup
}

const sessionID = 77

func newWire(t testing.TB, seed uint64, w weather) *wire {
	now := time.Now()
	config := stream.Config{Client: true, Room: room, SURBSize: surbSize, Timeout: 5 * time.Second}
	n := &wire{
		t: t, weather: w, began: now,
		client: stream.New(config, sessionID, now),
		seed:   seed,
		surbs:  make(map[uint64]bool),
	}
	config.Client, config.Timeout = false, 0
	n.exit = stream.New(config, sessionID, now)
	return n
}

// run moves cells until ctx ends.
func (n *wire) run(ctx context.Context) {
	n.wg.Go(func() { n.pump(ctx, n.client, n.exit, true) })
	n.wg.Go(func() { n.pump(ctx, n.exit, n.client, false) })
}

func (n *wire) pump(ctx context.Context, from, to *stream.Session, fromClient bool) {
	for {
		for {
			next, ok := from.Next(time.Now())
			if !ok {
				break
			}
			n.send(next, to, fromClient)
		}
		var due <-chan time.Time
		if at := from.Deadline(); !at.IsZero() {
			due = time.After(time.Until(at))
		}
		select {
		case <-from.Wake():
		case <-due:
		case <-ctx.Done():
			return
		}
	}
}

func (n *wire) send(next stream.Cell, to *stream.Session, fromClient bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := cell.Cell{Stream: sessionID, Sequence: next.Number, Data: next.Data}
	if fromClient {
		n.up++
		for range next.SURBs {
			n.last++
			n.surbs[n.last] = true
			surb := make([]byte, surbSize)
			for i := range 8 {
				surb[i] = byte(n.last >> (8 * i))
			}
			c.SURBs = append(c.SURBs, surb)
		}
		require.LessOrEqual(n.t, next.SURBs*surbSize+len(next.Data), room)
	} else {
		n.down++
		var id uint64
		for i := range 8 {
			id |= uint64(next.SURB[i]) << (8 * i)
		}
		good := n.surbs[id]
		delete(n.surbs, id)
		require.LessOrEqual(n.t, len(next.Data), room)
		if !good {
			return
		}
	}
	way := uint64(next.Number) << 1
	if fromClient {
		way++
	}
	r := rand.New(rand.NewPCG(n.seed, way)) // by the cell, so that a seed has the same weather in each run
	if r.Float64() < n.weather.loss || n.weather.lost != nil && n.weather.lost(fromClient, next.Number) {
		return
	}
	for _, o := range n.weather.outages {
		if at := time.Since(n.began); at >= o.from && at < o.to && (fromClient && o.up || !fromClient && o.down) {
			return
		}
	}
	var queue time.Duration
	if n.weather.rate > 0 {
		busy := &n.busy[way&1]
		*busy = latest(*busy, time.Now()).Add(time.Duration(float64(time.Second) / n.weather.rate))
		queue = time.Until(*busy)
	}
	n.deliver(c, to, queue+n.weather.delay(r))
	if r.Float64() < n.weather.double {
		n.deliver(c, to, queue+n.weather.delay(r))
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (n *wire) deliver(c cell.Cell, to *stream.Session, delay time.Duration) {
	time.AfterFunc(delay, func() { to.Receive(time.Now(), c) })
}

// voidSURBs makes all SURBs that were given out useless, as when the client has another gateway.
func (n *wire) voidSURBs() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.surbs)
}

// poisson is the sum of seven exponential delays.
func poisson(mean time.Duration) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration {
		var sum float64
		for range 4 {
			sum += r.ExpFloat64()
		}
		return time.Duration(sum * float64(mean))
	}
}

func steady(d time.Duration) func(*rand.Rand) time.Duration {
	return func(*rand.Rand) time.Duration { return d }
}

// serve answers the exit's streams: what comes is sent back, behind each other, with the end.
func echo(c *stream.Conn) {
	c.Open()
	_, err := io.Copy(c, c)
	if err == nil {
		c.CloseWrite()
	}
	c.Close()
}

func (n *wire) serve(ctx context.Context, serve func(*stream.Conn)) {
	n.wg.Go(func() {
		for {
			c, err := n.exit.Accept(ctx)
			if err != nil {
				return
			}
			n.wg.Go(func() { serve(c) })
		}
	})
}

func content(seed uint64, length int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	b := make([]byte, length)
	r.Read(b)
	return b
}

// exchange sends content through one stream, and wants it back.
func (n *wire) exchange(ctx context.Context, sent []byte) error {
	c, err := n.client.Dial(ctx, "echo.example:7")
	if err != nil {
		return err
	}
	defer c.Close()
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() {
		c.Write(sent)
		c.CloseWrite()
	})
	got, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	if !bytes.Equal(sent, got) {
		return io.ErrUnexpectedEOF
	}
	return nil
}

var _ net.Conn = (*stream.Conn)(nil)
