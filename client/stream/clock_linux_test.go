package stream_test

import (
	"time"

	"golang.org/x/sys/unix"
)

// processorTime returns for how long a processor has run this thread.
func processorTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic("stream: no clock for a thread: " + err.Error())
	}
	return time.Duration(t.Nano())
}
