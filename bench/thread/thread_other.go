//go:build !linux

package thread

import "time"

// IsTimed says that Time is the thread's and not the wall's.
const IsTimed = false

var start = time.Now()

// Time returns how much time went by, which is what a thread had on a machine with nothing else to do.
func Time() time.Duration { return time.Since(start) }
