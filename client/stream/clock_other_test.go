//go:build !linux

package stream_test

import "time"

var began = time.Now()

// processorTime returns how much time has passed, for which the machine has to be quiet.
func processorTime() time.Duration { return time.Since(began) }
