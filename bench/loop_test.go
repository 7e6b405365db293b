package bench

import (
	"math"
	"runtime"
	"testing"
	"time"
)

// sliceLength is what a slice of an operation should take, and one of U, in tests and benchmarks: long beside what
// reading a clock and stopping b's timer cost, and short beside the time for which a machine stays as it is.
const sliceLength = time.Millisecond

// inUnits is the loop of every benchmark of this package. It runs an operation with b.Loop, and against it U: a slice
// of the operation, of 1 ms or one call if that is longer, then with the timer stopped a slice of U as long, and so on
// in turn. A clock that changes its frequency and a neighbour that comes and goes on the same core then meet both. What
// Go prints of an op (ns, B and allocs) is the operation's alone; beside it stand
//
//	U/op   the median over slices of the operation's time in U
//	ns/U   the median time of U, by which one sees whether two runs met the same machine
//
// and where a call takes several packets, ns/packet and U/packet in place of U/op (or a message's, of a primitive). The
// timer is stopped once a slice and not once a call, since stopping it costs more than many an op. At the end what the
// last call did is looked at closely.
func inUnits(b *testing.B, m maker) {
	b.Helper()
	op, err := m.make()
	check(b, err)
	unit, err := newYardstick()
	check(b, err)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := compare(unit, op, sliceLength)
	check(b, err)
	calls := 0 // in this slice
	c.begin()
	b.SetBytes(int64(op.bytes))
	b.ReportAllocs()
	for b.Loop() {
		check(b, op.call())
		if calls++; calls == c.calls {
			c.end()
			b.StopTimer()
			check(b, c.measureUnit(calls))
			c.begin()
			b.StartTimer()
			calls = 0
		}
	}
	if len(c.rounds) == 0 { // a short run, like -benchtime=1x
		c.end()
		check(b, c.measureUnit(calls))
	}
	result := c.measurement(math.Inf(1))
	b.ReportMetric(median(c.units()), "ns/U")
	if op.Items == 0 {
		b.ReportMetric(result.Units.Median, "U/op")
	} else {
		b.ReportMetric(result.Units.Median, "U/"+op.Item())
		b.ReportMetric(result.Nanoseconds.Median, "ns/"+op.Item())
	}
	if op.verify != nil && calls > 0 {
		check(b, op.verify())
	}
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
