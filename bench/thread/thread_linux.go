package thread

import (
	"time"

	"golang.org/x/sys/unix"
)

// IsTimed says that Time is the thread's and not the wall's.
const IsTimed = true

// Time returns for how long a processor has run this thread.
func Time() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic("thread: no clock for a thread: " + err.Error())
	}
	return time.Duration(t.Nano())
}
