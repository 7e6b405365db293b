// Package thread tells how long a computation took, without what the machine did beside it. Lock the goroutine to its
// thread between two readings.
package thread
