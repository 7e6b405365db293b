package stream

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzRanges: whatever is added and removed, the set is that of a map, its spans ascend, and none touch. Three bytes are one
// operation: what, from, and how many.
func FuzzRanges(f *testing.F) {
	seeds := [][]byte{{}, {0, 1, 1}, {0, 1, 5, 0, 6, 5, 1, 3, 2}, {0, 1, 1, 0, 3, 1, 0, 5, 1, 0, 2, 1, 0, 4, 1}, {0, 0, 255, 1, 10, 200}}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		var set ranges
		var model [512]bool
		for ; len(ops) >= 3; ops = ops[3:] {
			from, to := uint64(ops[1]), uint64(ops[1])+uint64(ops[2])
			touches := model[max(from, 1)-1]
			if from == 0 {
				touches = false
			}
			for n := from; n <= to; n++ {
				touches = touches || model[n]
			}
			require.Equal(t, touches, set.touches(from, to), "%v touches %d-%d", set, from, to)
			if ops[0]%2 == 0 {
				set.add(from, to)
			} else {
				set.remove(from, to)
			}
			for n := from; n < to; n++ {
				model[n] = ops[0]%2 == 0
			}
		}
		for i, s := range set {
			require.Less(t, s.from, s.to)
			require.True(t, i == 0 || set[i-1].to < s.from, "%v", set)
		}
		for n := range uint64(len(model) - 1) {
			require.Equal(t, model[n], set.has(n), "%v has %d", set, n)
			until := n
			for model[until] {
				until++
			}
			require.Equal(t, until, set.until(n), "%v until %d", set, n)
		}
	})
}

// TestBufferHoldsWhatWasPut at any offsets beyond those that were dropped, and no more pages than it must.
func TestBufferHoldsWhatWasPut(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		var b buffer
		model := make(map[uint64]byte)
		b.drop(uint64(r.IntN(20_000)))
		for range 50 {
			if r.IntN(3) == 0 {
				below := b.from + uint64(r.IntN(9000))
				b.drop(below)
				for at := range model {
					if at < below {
						delete(model, at)
					}
				}
			} else {
				at, p := b.from+uint64(r.IntN(30_000)), make([]byte, r.IntN(9000))
				for i := range p {
					p[i] = byte(r.Uint32())
					model[at+uint64(i)] = p[i]
				}
				b.put(at, p)
			}
			require.LessOrEqual(t, b.used, b.length()/pageSize+2)
			require.LessOrEqual(t, len(b.pages), b.length()/pageSize+2)
			if b.length() == 0 {
				require.Zero(t, b.size())
			}
		}
		for at, want := range model {
			var got [1]byte
			b.get(at, got[:])
			if got[0] != want {
				t.Fatalf("at %d: %d, not %d", at, got[0], want)
			}
		}
	}
}

// TestOneFarByteTakesOnePage, or it would cost its sender little and its receiver much.
func TestOneFarByteTakesOnePage(t *testing.T) {
	var b buffer
	b.put(mostCredit-1, []byte{1})
	require.Equal(t, pageSize, b.size())
}

// FuzzCellsRoundTrip: what is read as a cell is written as the same bytes, but for what is not a cell.
func FuzzCellsRoundTrip(f *testing.F) {
	heads := []head{
		{},
		{flags: flagClose},
		{flags: flagAck | flagHello, least: 7, ack: ack{largest: 9, run: 2, stock: 3, generation: 4, bits: []byte{0x81}}, timeout: 5 * time.Second},
		{flags: flagSURBs, least: 1, generation: 8},
	}
	frames := []frame{
		{kind: frameOpen, stream: 1, bytes: []byte("host:80")},
		{kind: frameOpened, stream: 2},
		{kind: frameReset, stream: 3, code: Refused},
		{kind: frameData, stream: 4, offset: 1 << 40, bytes: []byte("data")},
		{kind: frameEnd, stream: 5, offset: 6},
		{kind: frameCredit, stream: 7, offset: 8},
	}
	if len(heads) == 0 || len(frames) == 0 {
		f.Fatal("no seeds")
	}
	for _, h := range heads {
		b := h.append(nil)
		require.Len(f, b, h.size())
		f.Add(b)
		for _, one := range frames {
			f.Add(one.append(slices.Clone(b)))
			b = one.append(b)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := reader{rest: b}
		h := r.head()
		again := h.append(nil)
		for len(r.rest) > 0 {
			one := r.frame()
			again = one.append(again)
		}
		if !r.failed && !bytes.Equal(b, again) {
			t.Fatalf("%x was read, and written as %x", b, again)
		}
	})
}

// TestFirstTimeoutsArePatient: the round trips that end first are the quickest of those under way.
func TestFirstTimeoutsArePatient(t *testing.T) {
	tr := trips{first: 5 * time.Second}
	require.Equal(t, 5*time.Second, tr.timeout())
	tr.measure(500*time.Millisecond, 32)
	require.Equal(t, 2500*time.Millisecond, tr.timeout())
	for range 100 {
		tr.measure(500*time.Millisecond, 32)
	}
	require.Less(t, tr.timeout(), 700*time.Millisecond)
	require.Greater(t, tr.timeout(), 600*time.Millisecond)
}

// TestTimeoutsCoverNearlyAllTrips of mixes that delay exponentially, and are not much longer than the slowest.
func TestTimeoutsCoverNearlyAllTrips(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	tr := trips{first: 5 * time.Second}
	late, n := 0, 20_000
	for i := range n {
		var trip time.Duration
		for range 8 {
			trip += time.Duration(r.ExpFloat64() * float64(200*time.Millisecond))
		}
		if trip > tr.timeout() {
			late++
		}
		tr.measure(trip, 200)
		if i > 1000 {
			require.Less(t, tr.timeout(), 5*time.Second)
		}
	}
	require.Less(t, float64(late)/float64(n), .02)
}

// TestSilenceBacksOffToALimit of 15 s, but never below what is measured.
func TestSilenceBacksOffToALimit(t *testing.T) {
	for _, trip := range []time.Duration{10 * time.Millisecond, time.Second, 20 * time.Second} {
		tr := trips{first: time.Second}
		for range 100 {
			tr.measure(trip, 1)
		}
		quiet := tr.timeout()
		for tr.backoff = range mostBackoff + 1 {
			require.GreaterOrEqual(t, tr.timeout(), quiet)
			require.LessOrEqual(t, tr.timeout(), max(quiet, mostBacked))
		}
	}
}

// path is a network in which pace is tried: round trips of some time, which cells spend queueing too where they are more than
// it carries.
type path struct {
	trip func(*rand.Rand) time.Duration
	rate float64 // cells per second; any if 0
	loss float64
}

// try keeps a window full for a time and returns what it is then, and the average of what cells have queued in the last half.
func (p *path) try(seed uint64, long time.Duration) (window int, queued time.Duration) {
	type cell struct {
		at, back time.Duration
		round    uint32
		lost     bool
	}
	r := rand.New(rand.NewPCG(seed, 9))
	pace := newPace()
	var flight []cell
	var busy time.Duration
	count := 0
	for now := time.Duration(0); now < long; now += time.Millisecond {
		rest := flight[:0]
		for _, c := range flight {
			switch {
			case c.back > now:
				rest = append(rest, c)
			case c.lost:
				pace.lost(c.round)
			default:
				pace.timed(c.round, now-c.at)
				pace.returned(c.round)
			}
		}
		flight = rest
		for len(flight) < pace.window {
			trip := p.trip(r)
			if p.rate > 0 {
				busy = max(busy, now) + time.Duration(float64(time.Second)/p.rate)
				if now > long/2 {
					queued += busy - now
					count++
				}
				trip += busy - now
			}
			c := cell{now, now + trip, pace.sent(), r.Float64() < p.loss}
			if c.lost {
				c.back += 2 * trip
			}
			flight = append(flight, c)
		}
		pace.open.limited = true
	}
	return pace.window, queued / time.Duration(max(count, 1))
}

func TestPace(t *testing.T) {
	constant := func(*rand.Rand) time.Duration { return 100 * time.Millisecond }
	random := func(r *rand.Rand) (trip time.Duration) {
		for range 8 {
			trip += time.Duration(r.ExpFloat64() * float64(12500*time.Microsecond))
		}
		return trip
	}
	for _, test := range []struct {
		path
		name        string
		least, most int
	}{
		{path{trip: constant}, "nothing in the way", mostWindow, mostWindow},
		{path{trip: random}, "reordered", mostWindow, mostWindow},
		{path{trip: random, loss: .05}, "reordered and lost", mostWindow, mostWindow},
		{path{trip: constant, rate: 1000}, "a bottleneck", 100, 350},
		{path{trip: random, rate: 1000}, "a bottleneck, reordered", 100, 350},
		{path{trip: random, rate: 1000, loss: .05}, "a bottleneck, reordered and lost", 90, 350},
		{path{trip: random, loss: .5}, "half is lost on the way", 100, mostWindow},
		{path{trip: random, rate: 1000, loss: .5}, "half is lost behind a bottleneck", leastWindow, 350},
		{path{trip: random, loss: .8}, "most is lost", leastWindow, leastWindow},
	} {
		t.Run(test.name, func(t *testing.T) {
			for seed := range uint64(3) {
				window, queued := test.try(seed, 12*time.Second)
				require.GreaterOrEqual(t, window, test.least)
				require.LessOrEqual(t, window, test.most)
				require.Less(t, queued, 250*time.Millisecond)
			}
		})
	}
}

// TestPaceStartsAgainAfterAnOutage, from the smallest window, and is back soon.
func TestPaceStartsAgainAfterAnOutage(t *testing.T) {
	p := newPace()
	send := func(lost bool) {
		var rounds []uint32
		for range p.window {
			rounds = append(rounds, p.sent())
		}
		p.open.limited = true
		for _, round := range rounds {
			if lost {
				p.lost(round)
			} else {
				p.timed(round, time.Second)
				p.returned(round)
			}
		}
	}
	rounds := func(lost bool, until int) (n int) {
		for ; p.window != until; n++ {
			require.Less(t, n, 40)
			send(lost)
		}
		return n
	}
	require.LessOrEqual(t, rounds(false, mostWindow), 20)
	require.LessOrEqual(t, rounds(true, leastWindow), 5)
	require.LessOrEqual(t, rounds(false, mostWindow), 24)
}

func TestSupplyFollowsUse(t *testing.T) {
	now := time.Now()
	round := time.Second
	s := supply{since: now}
	use := func(cells, seconds int) {
		for range seconds {
			for range cells {
				now = now.Add(time.Second / time.Duration(cells))
				s.arrived(now, round)
			}
		}
	}
	require.Equal(t, leastStock, s.target(now, round))
	use(100, 5)
	require.InDelta(t, 300, s.target(now, round), 10)
	use(1000, 3)
	require.InDelta(t, 3000, s.target(now, round), 50)
	use(5000, 3)
	require.Equal(t, MaxStock, s.target(now, round))
	for range 60 {
		now = now.Add(time.Second)
		s.count(now, round)
	}
	require.Equal(t, leastStock, s.target(now, round), "after a minute without use")
}

// TestRangesOfManySpans are found without looking at all of them.
func TestRangesOfManySpans(t *testing.T) {
	var set ranges
	for i := range uint64(1000) {
		set.add(3*i, 3*i+1)
	}
	require.Len(t, set, 1000)
	require.True(t, set.has(2997))
	require.False(t, set.has(2998))
	set.remove(0, 1500)
	require.Len(t, set, 500)
	set.add(0, 5000)
	require.Equal(t, "[{0 5000}]", fmt.Sprint(set))
}
