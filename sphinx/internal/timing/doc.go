// Package timing has tests alone, of whether the time that something takes tells of the secrets in it. They are those of dudect
// (Reparaz, Balasch, Verbauwhede: "Dude, is my code constant time?", 2017): two classes of secrets, one after the other
// at random, and Welch's t-test on how long each took, with the slowest left out at several places, since what interrupts a
// computation tells of nothing in it.
//
// A test that finds nothing proves nothing. It says that no difference was seen on this machine of what was tried, and
// logs how large one would have been seen: nanoseconds, for computations of microseconds. So each is followed by a twin
// that has a leak, as careless code has them, which must be found by the same means.
//
// The tests take ten seconds; with SPHINX_LONG=1 a hundred times as many are taken, which shows ten times smaller
// differences, and wants -timeout 1h. go test -short leaves them out.
package timing
