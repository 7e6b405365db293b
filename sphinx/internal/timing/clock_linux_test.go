package timing

import "golang.org/x/sys/unix"

// now returns how many nanoseconds a processor has run this thread.
func now() float64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic("timing: no clock for a thread: " + err.Error())
	}
	return float64(t.Nano())
}
