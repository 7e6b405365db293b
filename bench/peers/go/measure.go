package main

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// processorTime returns the time for which processors have run this process, the collection of its garbage included:
// peers allocate, and whoever uses them pays for that.
func processorTime() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		return 0, err
	}
	return time.Duration(t.Nano()), nil
}

// warmUp repeats run for the given length, and returns how many times a measurement of that length has to.
func warmUp(run func() error, length time.Duration) (int, error) {
	count := 1
	for {
		ns, err := measure(run, count)
		if err != nil {
			return 0, err
		}
		if took := time.Duration(ns * float64(count)); took >= length/2 {
			return max(1, int(float64(length)/ns)), nil
		}
		count *= 2
	}
}

// measure returns the nanoseconds of one run, the mean over count of them.
func measure(run func() error, count int) (float64, error) {
	runtime.GC() // what others have left
	start, err := processorTime()
	if err != nil {
		return 0, err
	}
	for range count {
		if err := run(); err != nil {
			return 0, err
		}
	}
	end, err := processorTime()
	return float64(end-start) / float64(count), err
}
