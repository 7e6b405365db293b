package stream_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/stream"
)

// schedule is what happens to a session in one run of the property test; all of it follows from a seed.
type schedule struct {
	weather weather
	typical time.Duration // what a round trip may well take
	voids   []time.Duration
	streams []exchange
}

// exchange is what one stream carries.
type exchange struct {
	after       time.Duration
	up, down    int  // bytes
	late        bool // the server writes only when all has come
	clientPause func(*rand.Rand) time.Duration
	serverPause func(*rand.Rand) time.Duration
	seed        uint64
}

// heavy is mostly short, and sometimes as long as five seconds.
func heavy(r *rand.Rand) time.Duration {
	return min(time.Duration(float64(20*time.Millisecond)*math.Pow(1-r.Float64(), -1/1.1)), 5*time.Second)
}

func uniform(most time.Duration) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration { return time.Duration(r.Int64N(int64(most))) }
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func newSchedule(seed uint64) schedule {
	r := rand.New(rand.NewPCG(seed, 2))
	var s schedule
	delays := []struct {
		of      func(*rand.Rand) time.Duration
		typical time.Duration
	}{
		{steady(time.Millisecond), 200 * time.Millisecond},
		{steady(300 * time.Millisecond), 700 * time.Millisecond},
		{poisson(20 * time.Millisecond), 400 * time.Millisecond},
		{poisson(200 * time.Millisecond), 3 * time.Second},
		{uniform(5 * time.Second), 8 * time.Second},
		{heavy, 3 * time.Second},
	}
	d := pick(r, delays...)
	s.weather.delay, s.typical = d.of, d.typical
	s.weather.loss = pick(r, 0, 0, .01, .05, .2, .4)
	s.weather.double = pick(r, 0, 0, .05, .5, 1)
	for range pick(r, 0, 0, 1, 2) {
		from := uniform(time.Minute)(r)
		way := r.IntN(4)
		s.weather.outages = append(s.weather.outages, outage{from, from + uniform(time.Minute)(r), way != 1, way != 2})
	}
	for range pick(r, 0, 0, 1, 3) {
		s.voids = append(s.voids, uniform(time.Minute)(r))
	}
	sizes := func() int { return pick(r, 0, 1, r.IntN(3000), r.IntN(60_000), r.IntN(300_000)) }
	pauses := func() func(*rand.Rand) time.Duration {
		return pick(r, steady(0), steady(0), steady(0), uniform(300*time.Millisecond), func(r *rand.Rand) time.Duration {
			if r.IntN(20) == 0 {
				return uniform(40 * time.Second)(r)
			}
			return 0
		})
	}
	for i := range pick(r, 1, 2, 5, 30) {
		e := exchange{up: sizes(), down: sizes(), late: r.IntN(2) == 0, clientPause: pauses(), serverPause: pauses(), seed: 1000*seed + uint64(i)}
		if r.IntN(2) == 0 {
			e.after = uniform(time.Minute)(r)
		}
		s.streams = append(s.streams, e)
	}
	return s
}

// bearable is how long an exchange may take, beside the outages and pauses of others: in round trips as they may well be, of
// which there are many for 300 kB at the smallest window.
func (s *schedule) bearable() time.Duration {
	switch {
	case s.weather.loss > .3:
		return time.Minute + 160*s.typical
	case s.weather.loss > .1:
		return time.Minute + 40*s.typical
	}
	return time.Minute + 15*s.typical
}

func (s *schedule) String() string {
	return fmt.Sprintf("loss %.2f double %.2f round %v outages %v voids %v streams %d",
		s.weather.loss, s.weather.double, s.typical, s.weather.outages, s.voids, len(s.streams))
}

// write writes all of content in pieces, and returns for how long it has paused.
func write(c *stream.Conn, content []byte, r *rand.Rand, pause func(*rand.Rand) time.Duration) (paused time.Duration, err error) {
	for len(content) > 0 && err == nil {
		n := min(len(content), 1+r.IntN(20_000))
		_, err = c.Write(content[:n])
		content = content[n:]
		p := pause(r)
		time.Sleep(p)
		paused += p
	}
	return paused, err
}

// read reads everything in pieces.
func read(c *stream.Conn, r *rand.Rand, pause func(*rand.Rand) time.Duration) (got []byte, paused time.Duration, err error) {
	b := make([]byte, 20_000)
	for {
		n, err := c.Read(b[:1+r.IntN(len(b))])
		got = append(got, b[:n]...)
		if err == io.EOF {
			return got, paused, nil
		}
		if err != nil {
			return got, paused, err
		}
		p := pause(r)
		time.Sleep(p)
		paused += p
	}
}

// both writes and reads at once, or one after the other, and closes.
func both(c *stream.Conn, out []byte, late bool, seed uint64, pause func(*rand.Rand) time.Duration) (got []byte, paused time.Duration, err error) {
	defer c.Close()
	var writing sync.WaitGroup
	var wrote error
	var slept time.Duration
	send := func() {
		slept, wrote = write(c, out, rand.New(rand.NewPCG(seed, 3)), pause)
		if wrote == nil {
			wrote = c.CloseWrite()
		}
	}
	if !late {
		writing.Go(send)
	}
	got, paused, err = read(c, rand.New(rand.NewPCG(seed, 4)), pause)
	if late && err == nil {
		send()
	}
	writing.Wait()
	if err == nil {
		err = wrote
	}
	return got, paused + slept, err
}

// run has the exchange happen, and returns how much longer it took than its programs paused.
func (e *exchange) run(ctx context.Context, n *wire) (took time.Duration, err error) {
	time.Sleep(e.after)
	began := time.Now()
	c, err := n.client.Dial(ctx, strconv.FormatUint(e.seed, 10))
	if err != nil {
		return 0, fmt.Errorf("dial: %w", err)
	}
	got, paused, err := both(c, content(e.seed, e.up), false, e.seed, e.clientPause)
	if err != nil {
		return 0, fmt.Errorf("client: %w", err)
	}
	if !bytes.Equal(got, content(e.seed+500, e.down)) {
		return 0, fmt.Errorf("the client got %d bytes that are not the %d that were sent", len(got), e.down)
	}
	return time.Since(began) - paused, nil
}

// TestScheduleProperty: in any weather, with outages, gateways that change, and programs that pause, both ends of every
// stream read what the other wrote, soon after the weather allows it, and nothing is left of it.
//
// STREAM_SEEDS is how many seeds are tried, or from-to.
func TestScheduleProperty(t *testing.T) {
	from, to := uint64(1), uint64(40)
	if testing.Short() {
		to = 10
	}
	if env := os.Getenv("STREAM_SEEDS"); env != "" {
		if n, _ := fmt.Sscanf(env, "%d-%d", &from, &to); n != 2 {
			_, err := fmt.Sscanf(env, "%d", &to)
			require.NoError(t, err)
			from = 1
		}
	}
	for seed := from; seed <= to; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testSchedule(t, seed) })
		})
	}
}

func testSchedule(t *testing.T, seed uint64) {
	s := newSchedule(seed)
	ctx, cancel := context.WithCancel(t.Context())
	n := newWire(t, seed, s.weather)
	n.run(ctx)
	defer n.wg.Wait()
	defer n.exit.Fail(stream.ErrClosed)
	defer n.client.Fail(stream.ErrClosed)
	defer cancel()
	exchanges := make(map[string]*exchange)
	for i := range s.streams {
		e := &s.streams[i]
		exchanges[strconv.FormatUint(e.seed, 10)] = e
	}
	var mu sync.Mutex
	var pausedAtServer time.Duration
	errs := make(chan error, 3*len(s.streams))
	n.serve(ctx, func(c *stream.Conn) {
		e := exchanges[c.Target()]
		c.Open()
		got, paused, err := both(c, content(e.seed+500, e.down), e.late, e.seed+7, e.serverPause)
		mu.Lock()
		pausedAtServer = max(pausedAtServer, paused)
		mu.Unlock()
		switch {
		case err != nil:
			errs <- fmt.Errorf("stream %d: server: %w", e.seed, err)
		case !bytes.Equal(got, content(e.seed, e.up)):
			errs <- fmt.Errorf("stream %d: the server got %d bytes that are not the %d that were sent", e.seed, len(got), e.up)
		}
	})
	for _, at := range s.voids {
		n.wg.Go(func() {
			time.Sleep(at)
			n.voidSURBs()
			n.client.Renew()
		})
	}
	if os.Getenv("STREAM_TRACE") != "" {
		n.wg.Go(func() {
			for ctx.Err() == nil {
				t.Logf("%v client %s", time.Since(n.began), n.client.State())
				t.Logf("%v exit   %s", time.Since(n.began), n.exit.State())
				time.Sleep(5 * time.Second)
			}
		})
	}
	var longest time.Duration
	var running sync.WaitGroup
	for i := range s.streams {
		e := &s.streams[i]
		running.Go(func() {
			took, err := e.run(ctx, n)
			if err != nil {
				errs <- fmt.Errorf("stream %d (up %d, down %d, after %v): %w", e.seed, e.up, e.down, time.Since(n.began), err)
			}
			mu.Lock()
			longest = max(longest, took)
			mu.Unlock()
		})
	}
	running.Wait()
	mu.Lock()
	paused := pausedAtServer // some may still be at it
	mu.Unlock()
	excess := longest - paused
	for _, o := range s.weather.outages {
		excess -= o.to - o.from
	}
	n.mu.Lock()
	up, down := n.up, n.down
	n.mu.Unlock()
	t.Logf("seed %d: %v: longest %v, server paused %v, excess %v = %.1f rounds, cells %d up %d down", seed, &s, longest, paused, excess,
		float64(excess)/float64(s.typical), up, down)
	require.Less(t, excess, s.bearable(), "longer than the weather explains")
	time.Sleep(3 * time.Minute)
	for len(errs) > 0 {
		t.Errorf("%v", <-errs)
	}
	require.Zero(t, n.client.Streams(), "streams left at the client")
	require.Zero(t, n.exit.Streams(), "streams left at the exit")
	require.NoError(t, n.client.Err())
	require.NoError(t, n.exit.Err())
}
