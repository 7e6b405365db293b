//go:build !linux

package bench

import "time"

var epoch = time.Now()

// processorTime returns the time that went by, which is the same on a machine with nothing else to do.
func processorTime() time.Duration { return time.Since(epoch) }
