package timing

import (
	"crypto/subtle"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"testing"

	"filippo.io/edwards25519/field"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/lioness/symmetric"
	"sphinxmix.example/sphinx"
	"sphinxmix.example/sphinx/internal/x25519"
)

// secret is 32 bytes, of which there are two classes: random ones, and one that is fixed.
type secret = [32]byte

// fixed are those of the first class.
var fixed = []struct {
	name string
	secret
}{
	{"zeros", secret{}}, // which a scalar is after clamping, but for one bit
	{"letters", secret([]byte("a secret that is always the same"))},
}

// choose sets s to a secret of the class, without a branch that is another one for the other class.
func choose(s *secret, class int, random *rand.ChaCha8, fixed *secret) {
	random.Read(s[:])
	subtle.ConstantTimeCopy(1-class, s[:], fixed[:])
}

// element is one that multiplications of careless code change.
var element = new(field.Element).Add(new(field.Element).One(), new(field.Element).One())

// careless is what a twin with a leak does besides: so many multiplications of elements for each bit of a secret that is set.
// A ladder takes ten for each bit, set or not.
func careless(times int) func(*secret) {
	return func(s *secret) {
		for _, b := range s {
			for range times * bits.OnesCount8(b) {
				element.Multiply(element, element)
			}
		}
	}
}

// multiplications is a call for n scalars, all of one class, with points, or with the base point.
func multiplications(n int, base bool, fixed *secret, also func(scalar *secret)) subject {
	random := rand.NewChaCha8([32]byte{4})
	scalars, points, results := make([]secret, n), make([]secret, n), make([]secret, n)
	all := make([]x25519.Multiplication, n)
	multiplier := x25519.NewMultiplier()
	return subject{
		fmt.Sprintf("%d multiplications together, of the base point %v", n, base),
		func(class int) {
			for i := range all {
				choose(&scalars[i], class, random, fixed)
				if random.Read(points[i][:]); base {
					points[i] = x25519.Base
				}
				all[i] = x25519.Multiplication{Result: &results[i], Scalar: &scalars[i], Point: &points[i]}
			}
		},
		func() {
			multiplier.Multiply(all)
			for i := range scalars {
				also(&scalars[i])
			}
		},
	}
}

func nothing(*secret) {}

// TestScalarsDoNotShow in the time of multiplications, however many are computed together, and of those that x25519 computes
// one by one.
func TestScalarsDoNotShow(t *testing.T) {
	together := []int{1} // as they are computed one by one
	switch x25519.Implementation() {
	case "AVX-512 IFMA":
		together = []int{1, 2, 4, 8}
	case "AVX2":
		together = []int{1, 4}
	}
	for _, fixed := range fixed {
		t.Run(fixed.name, func(t *testing.T) {
			for _, n := range together {
				requireConstantTime(t, multiplications(n, false, &fixed.secret, nothing))
			}
			requireConstantTime(t, multiplications(1, true, &fixed.secret, nothing))
			random := rand.NewChaCha8([32]byte{5})
			var scalar, point, result secret
			prepare := func(class int) {
				choose(&scalar, class, random, &fixed.secret)
				random.Read(point[:])
			}
			requireConstantTime(t, subject{"Shared", prepare, func() { x25519.Shared(&result, &scalar, &point) }})
			requireConstantTime(t, subject{"Public", prepare, func() { x25519.Public(&result, &scalar) }})
		})
	}
	for _, n := range []int{1, together[len(together)-1]} {
		requireLeak(t, multiplications(n, false, &fixed[0].secret, careless(4)))
	}
}

// TestKeysOfStreamsDoNotShow, nor does whether what is encrypted is zeros.
func TestKeysOfStreamsDoNotShow(t *testing.T) {
	for _, fixed := range fixed {
		t.Run(fixed.name, func(t *testing.T) {
			for _, size := range []int{64, 208, 992, 4096} {
				requireConstantTime(t, streams(1, size, &fixed.secret, nothing))
				requireConstantTime(t, streams(5, size, &fixed.secret, nothing))
			}
		})
	}
	requireLeak(t, streams(1, 208, &fixed[0].secret, careless(1)))
}

func streams(n, size int, fixed *secret, also func(key *secret)) subject {
	random := rand.NewChaCha8([32]byte{6})
	keys, all := make([]secret, n), make([]symmetric.Stream, n)
	for i := range all {
		block := make([]byte, size)
		all[i] = symmetric.Stream{Dst: block, Src: block, Key: &keys[i]}
	}
	return subject{
		fmt.Sprintf("%d streams of %d bytes", n, size),
		func(class int) {
			for i := range all {
				choose(&keys[i], class, random, fixed)
				random.Read(all[i].Src)
				subtle.ConstantTimeCopy(1-class, all[i].Src, make([]byte, size))
			}
		},
		func() {
			if n == 1 {
				symmetric.XORKeyStream(all[0].Dst, all[0].Src, all[0].Key)
			} else {
				symmetric.XORKeyStreams(all)
			}
			also(&keys[0])
		},
	}
}

// TestKeysOfHashesDoNotShow, nor does what is hashed.
func TestKeysOfHashesDoNotShow(t *testing.T) {
	for _, fixed := range fixed {
		t.Run(fixed.name, func(t *testing.T) {
			for _, size := range []int{32, 176, 992} {
				for _, n := range []int{1, 8, 11} {
					requireConstantTime(t, hashes(n, size, &fixed.secret, nothing))
				}
			}
		})
	}
	requireLeak(t, hashes(8, 176, &fixed[0].secret, careless(1)))
}

func hashes(n, size int, fixed *secret, also func(key *secret)) subject {
	random := rand.NewChaCha8([32]byte{7})
	keys, sums, all := make([]secret, n), make([]secret, n), make([]symmetric.Hashing, n)
	for i := range all {
		all[i] = symmetric.Hashing{Sum: sums[i][:], Key: keys[i][:], Message: make([]byte, size)}
	}
	together := symmetric.NewHashes()
	return subject{
		fmt.Sprintf("%d hashes of %d bytes", n, size),
		func(class int) {
			for i := range all {
				choose(&keys[i], class, random, fixed)
				random.Read(all[i].Message)
				subtle.ConstantTimeCopy(1-class, all[i].Message, make([]byte, size))
			}
		},
		func() {
			together.Sum(all)
			also(&keys[0])
		},
	}
}

var params = sphinx.Params{MaxHops: 5, PayloadSize: 1024}

// relayed is the opening of packets that go on, with a key of either class. Every time has a key, a packet and an Unwrapper of its
// own, since where in memory something lies shows in time, too.
func relayed(t *testing.T, fixed *secret, also func(key *secret)) subject {
	random := rand.NewChaCha8([32]byte{8})
	after, err := sphinx.GenerateKey(random)
	require.NoError(t, err)
	path := []sphinx.Hop{{Address: sphinx.Address{0xff, 1}}, {Address: sphinx.Address{0xff, 2}, Key: after.Public()}}
	var raw secret
	var hop *sphinx.Unwrapper
	var packet []byte
	return subject{
		"Unwrap",
		func(class int) {
			choose(&raw, class, random, fixed)
			key, err := sphinx.NewPrivateKey(raw[:])
			require.NoError(t, err)
			path[0].Key = key.Public()
			packet, err = params.Wrap(packet[:0], random, path, []byte("bob"), []byte("hello"))
			require.NoError(t, err)
			hop, err = sphinx.NewUnwrapper(params, key, make(sphinx.TagSet))
			require.NoError(t, err)
		},
		func() {
			if layer, err := hop.Unwrap(packet); err != nil || layer.Route != sphinx.Relay {
				panic("a packet does not go on")
			}
			also(&raw)
		},
	}
}

// TestKeyOfAnUnwrapperDoesNotShow in the time that a packet takes.
func TestKeyOfAnUnwrapperDoesNotShow(t *testing.T) {
	for _, fixed := range fixed {
		t.Run(fixed.name, func(t *testing.T) { requireConstantTime(t, relayed(t, &fixed.secret, nothing)) })
	}
	requireLeak(t, relayed(t, &fixed[0].secret, careless(4)))
}

// refused is the refusal of a packet whose MAC is wrong in its first byte, or in its last.
func refused(t *testing.T, also func(mac, valid []byte)) subject {
	random := rand.NewChaCha8([32]byte{9})
	key, err := sphinx.GenerateKey(random)
	require.NoError(t, err)
	valid, err := params.Wrap(nil, random, []sphinx.Hop{{Address: sphinx.Address{0xff, 1}, Key: key.Public()}}, []byte("bob"), []byte("hello"))
	require.NoError(t, err)
	hop, err := sphinx.NewUnwrapper(params, key, make(sphinx.TagSet))
	require.NoError(t, err)
	packet := make([]byte, len(valid))
	const size = 16
	at := params.HeaderSize() - size
	mac := packet[at:][:size]
	return subject{
		"the refusal of a MAC",
		func(class int) {
			copy(packet, valid)
			mac[0] ^= byte(1 - class)
			mac[size-1] ^= byte(class)
		},
		func() {
			if _, err := hop.Unwrap(packet); err != sphinx.ErrMAC {
				panic("a wrong MAC is not refused for that")
			}
			also(mac, valid[at:][:size])
		},
	}
}

// TestWhereAMACIsWrongDoesNotShow, as it would if packets whose MAC begins well were looked at further.
func TestWhereAMACIsWrongDoesNotShow(t *testing.T) {
	requireConstantTime(t, refused(t, func(_, _ []byte) {}))
	requireLeak(t, refused(t, func(mac, valid []byte) {
		for range 1000 { // as many times as large a leak as that of one comparison, which is too small to be seen
			for i := range mac {
				if mac[i] != valid[i] {
					break
				}
			}
		}
	}))
}
