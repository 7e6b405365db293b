//go:build !linux

package bench

import "time"

var epoch = time.Now()

// clocksThreads says that processorTime is this thread's and not the wall's.
const clocksThreads = false

// processorTime returns the time that went by, which is the same on a machine with nothing else to do.
func processorTime() time.Duration { return time.Since(epoch) }

// machineTimesNow knows nothing here.
func machineTimesNow() (machineTimes, bool) { return machineTimes{}, false }
