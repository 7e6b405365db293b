// Package symmetric holds the two keyed primitives under LIONESS and Sphinx, in the form in which both need them: one
// message or many at once, without an allocation per key, and wiped after use.
//
// On amd64 they are vector kernels, which _asm writes, as far as the processor goes; elsewhere, and with the build tag
// purego, they are x/crypto's.
package symmetric

//go:generate go run -C _asm . -out ../kernels_amd64.s -stubs ../kernels_amd64.go -pkg symmetric

// implementation is one way to compute everything here. All give the same bytes.
type implementation int

const (
	portable implementation = iota // x/crypto's
	avx2                           // ChaCha20 by two to six blocks, BLAKE2b by four messages
	avx512                         // ChaCha20 by four to sixteen blocks, BLAKE2b by one and by eight messages
)

// chosen is the fastest that this machine can do. Only tests change it.
var chosen = available()[0]

// Implementation says how this machine computes what is here: "AVX-512", "AVX2" or "portable".
func Implementation() string { return chosen.String() }

func (i implementation) String() string { return [...]string{"portable", "AVX2", "AVX-512"}[i] }
