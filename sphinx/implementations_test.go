package sphinx

import "testing"

// implementations are the ways of computing what is underneath, which all give the same bytes. use has one in use until
// the test ends.
var implementations = []struct {
	name string
	use  func(testing.TB)
}{
	{"chosen", func(testing.TB) {}},
}
