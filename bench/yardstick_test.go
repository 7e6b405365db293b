package bench

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"runtime"
	"slices"
	"testing"
	"time"

	"filippo.io/edwards25519"
	circl "github.com/cloudflare/circl/dh/x25519"
	"golang.org/x/crypto/curve25519"
)

// yardstick is U, the unit of this package: one X25519 by crypto/ecdh where both keys are ready, as in a handshake with
// a known peer. Everybody who has Go has U, and any change to what is measured leaves it alone.
type yardstick struct {
	private *ecdh.PrivateKey
	public  *ecdh.PublicKey
	secret  []byte // X25519(private, public)
}

func newYardstick(tb testing.TB) *yardstick {
	tb.Helper()
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	peer, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	secret, err := peer.ECDH(private.PublicKey())
	if err != nil {
		tb.Fatal(err)
	}
	return &yardstick{private, peer.PublicKey(), secret}
}

// slice returns the nanoseconds of one U, the mean over count of them.
func (u *yardstick) slice(tb testing.TB, count int) float64 {
	start := processorTime()
	for range count {
		if secret, err := u.private.ECDH(u.public); err != nil || !bytes.Equal(secret, u.secret) {
			tb.Fatal("the yardstick computes a wrong secret: ", err)
		}
	}
	return float64(processorTime()-start) / float64(count)
}

// sliceLength is what a slice of the operation should take, and one of U: long beside what reading a clock and stopping
// b's timer cost, and short beside the time for which a machine stays as it is.
const sliceLength = time.Millisecond

// comparison is what slices of an operation and of U, in turn, come to. Both are timed in processor time, so that a
// scheduler that gives the processor to another process in the middle of a slice changes nothing.
type comparison struct {
	calls int // of the operation in a slice: at least one
	count int // of U in a slice, which then takes as long as one of the operation

	unit   *yardstick
	start  time.Duration // when the operation's slice began
	took   time.Duration // how long it was
	units  []float64     // ns of one U, one a slice
	ratios []float64     // the operation in U, one a slice
}

// compare returns a comparison of op that has no slice yet. It makes a few calls of op, which warm it up, to find how
// many make a slice. The goroutine must be locked to its thread.
func compare(tb testing.TB, op func()) *comparison {
	tb.Helper()
	c := &comparison{unit: newYardstick(tb)}
	fastest := func(f func()) time.Duration {
		var took [5]time.Duration
		for i := range took {
			start := processorTime()
			f()
			took[i] = processorTime() - start
		}
		return max(1, slices.Min(took[:]))
	}
	each := fastest(op)
	unit := fastest(func() { c.unit.slice(tb, 1) })
	c.calls = max(1, int(sliceLength/each))
	c.count = max(1, int(time.Duration(c.calls)*each/unit))
	return c
}

// begin marks the start of a slice of the operation.
func (c *comparison) begin() { c.start = processorTime() }

// end marks its end.
func (c *comparison) end() { c.took = processorTime() - c.start }

// measureUnit runs a slice of U and compares with it the slice that ended last, of the given number of calls.
func (c *comparison) measureUnit(tb testing.TB, calls int) {
	unit := c.unit.slice(tb, c.count)
	c.units = append(c.units, unit)
	c.ratios = append(c.ratios, float64(c.took)/float64(calls)/unit)
}

// inUnits is the loop of every benchmark of this package. It runs op with b.Loop, and against it U: a slice of op, of
// 1 ms or one call if that is longer, then with the timer stopped a slice of U as long, and so on in turn. A clock that
// changes its frequency and a neighbour that comes and goes on the same core then meet both. What Go prints of op (ns, B
// and allocs) is op's alone; beside it stand
//
//	U/op   the median over slices of op's time in U
//	ns/U   the median time of U, by which one sees whether two runs met the same machine
//
// and where op works on several packets, ns/packet and U/packet in place of U/op. The timer is stopped once a slice and
// not once a call, since stopping it costs more than many an op. op must check what it did and fail b where that went
// wrong.
func inUnits(b *testing.B, packets int, op func()) {
	b.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := compare(b, op)
	calls := 0 // in this slice
	b.ReportAllocs()
	for b.Loop() {
		if calls == 0 {
			c.begin()
		}
		op()
		if calls++; calls == c.calls {
			c.end()
			b.StopTimer()
			c.measureUnit(b, calls)
			b.StartTimer()
			calls = 0
		}
	}
	if len(c.ratios) == 0 { // a short run, like -benchtime=1x
		c.end()
		c.measureUnit(b, calls)
	}
	b.ReportMetric(median(c.units), "ns/U")
	if packets == 1 {
		b.ReportMetric(median(c.ratios), "U/op")
		return
	}
	b.ReportMetric(median(c.ratios)/float64(packets), "U/packet")
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(packets), "ns/packet")
}

// median returns the upper median of values, which it sorts.
func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// BenchmarkYardstick compares U with itself, where the distance from 1 is the error of the method, and with the other
// implementations of X25519 within reach: op=shared multiplies any point, op=public the base point. None but circl's
// takes its result's memory from the caller.
func BenchmarkYardstick(b *testing.B) {
	u := newYardstick(b)
	var private, peer circl.Key
	copy(private[:], u.private.Bytes())
	copy(peer[:], u.public.Bytes())
	public := u.private.PublicKey().Bytes()
	var scalar edwards25519.Scalar
	if _, err := scalar.SetBytesWithClamping(private[:]); err != nil {
		b.Fatal(err)
	}

	run := func(name string, want []byte, op func() []byte) {
		b.Run(name, func(b *testing.B) {
			inUnits(b, 1, func() {
				if !bytes.Equal(op(), want) {
					b.Fatal("wrong result")
				}
			})
		})
	}
	run("op=shared/impl=ecdh", u.secret, func() []byte {
		secret, _ := u.private.ECDH(u.public)
		return secret
	})
	run("op=shared/impl=xcrypto", u.secret, func() []byte {
		secret, _ := curve25519.X25519(private[:], peer[:])
		return secret
	})
	var out circl.Key
	run("op=shared/impl=circl", u.secret, func() []byte {
		circl.Shared(&out, &private, &peer)
		return out[:]
	})
	run("op=public/impl=circl", public, func() []byte {
		circl.KeyGen(&out, &private)
		return out[:]
	})
	run("op=public/impl=edwards25519", public, func() []byte {
		return new(edwards25519.Point).ScalarBaseMult(&scalar).BytesMontgomery()
	})
}
