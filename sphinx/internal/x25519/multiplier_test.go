package x25519

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// long says that the tests are to do a million iterations, and 100,000 random points for every implementation.
var long = os.Getenv("SPHINX_LONG") != ""

// implementations are what a Multiplier can be here: one that chooses among the kernels, one of each kernel, and the
// portable one.
func implementations() map[string]func() *Multiplier {
	all := map[string]func() *Multiplier{
		"chosen":   NewMultiplier,
		"portable": func() *Multiplier { return new(Multiplier) },
	}
	for _, k := range allKernels {
		all[k.name] = func() *Multiplier { return &Multiplier{[]kernel{k}, newMemory()} }
	}
	return all
}

// forEach runs test for every implementation.
func forEach(t *testing.T, test func(t *testing.T, m *Multiplier)) {
	for name, implementation := range implementations() {
		t.Run(name, func(t *testing.T) { test(t, implementation()) })
	}
}

// one returns what a multiplication gives: alone, or where a Multiplier does not use its kernels for one, the last of three.
func (m *Multiplier) one(scalar, point Key) (result Key, ok bool) {
	all := []Multiplication{{Result: &result, Scalar: &scalar, Point: &point}}
	if len(m.kernels) > 0 && m.alone(1) == 1 {
		all = []Multiplication{{Result: new(Key), Scalar: &scalar, Point: &point}, {Result: new(Key), Scalar: &scalar, Point: &point}, all[0]}
	}
	m.Multiply(all)
	return result, all[len(all)-1].OK
}

// TestKernelsAreUsed: a processor that has the instructions computes with them.
func TestKernelsAreUsed(t *testing.T) {
	names := []string{}
	for _, k := range NewMultiplier().kernels {
		names = append(names, k.name)
	}
	if !vectorBuild {
		require.Empty(t, names)
		require.Equal(t, portable, Implementation())
		return
	}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil || strings.Contains(os.Getenv("GODEBUG"), "cpu.") {
		t.Skip("nobody says what this processor has, or somebody has turned it off")
	}
	_, flags, _ := strings.Cut(string(info), "\nflags")
	flags, _, _ = strings.Cut(flags, "\n")
	has := strings.Fields(flags)
	lacks := func(features ...string) bool {
		return slices.ContainsFunc(features, func(f string) bool { return !slices.Contains(has, f) })
	}
	switch {
	case lacks("avx2"):
		require.Empty(t, names)
		require.Equal(t, portable, Implementation())
	case lacks("avx512f", "avx512dq", "avx512vl", "avx512ifma"):
		require.Equal(t, []string{"narrow4"}, names)
		require.Equal(t, "AVX2", Implementation())
	default:
		require.Equal(t, []string{"quad1", "quad2", "lanes4", "lanes8"}, names)
		require.Equal(t, "AVX-512 IFMA", Implementation())
	}
}

// TestVectors are those of RFC 7748, §5.2 and §6.1, together.
func TestVectors(t *testing.T) {
	vectors := []struct{ scalar, point, want string }{
		{
			"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
			"e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
			"c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
		},
		{ // with bit 255 of the point set
			"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
			"e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
			"95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
		},
		{
			"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
			"de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
			"4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
		},
		{
			"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
			"0900000000000000000000000000000000000000000000000000000000000000",
			"8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
		},
	}
	forEach(t, func(t *testing.T, m *Multiplier) {
		for count := 1; count <= 10; count++ { // each vector at each place of groups of each size
			for first := range vectors {
				all, want := make([]Multiplication, count), make([]Key, count)
				for i := range all {
					v := vectors[(first+i)%len(vectors)]
					scalar, point := decode(t, v.scalar), decode(t, v.point)
					all[i] = Multiplication{Result: new(Key), Scalar: &scalar, Point: &point}
					want[i] = decode(t, v.want)
				}
				m.Multiply(all)
				for i := range all {
					require.True(t, all[i].OK)
					require.Equal(t, want[i], *all[i].Result, "%d of %d", i, count)
				}
			}
		}
	})
}

// TestIterated is the loop of RFC 7748, §5.2, whose scalars and points are of every shape.
func TestIterated(t *testing.T) {
	after := map[int]string{
		1:         "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079",
		1000:      "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51",
		1_000_000: "7c3911e0ab2586fd864497297e575e6f3bc601c0883c30df5f4dd2d24f665424",
	}
	rounds := 1000
	if long {
		rounds = 1_000_000
	}
	forEach(t, func(t *testing.T, m *Multiplier) {
		t.Parallel()
		k, u := Key{9}, Key{9}
		for i := 1; i <= rounds; i++ {
			next, ok := m.one(k, u)
			if !ok {
				t.Fatalf("round %d: zero", i)
			}
			k, u = next, k
			if want, ok := after[i]; ok {
				require.Equal(t, decode(t, want), k, "round %d", i)
			}
		}
	})
}

// TestRandomIsTheStandardLibrarys, for points on the curve and, half of them, on its twist, in groups of every size: over
// 100,000 for the kernels together.
func TestRandomIsTheStandardLibrarys(t *testing.T) {
	count, fewer := 26_000, 2_000
	switch {
	case long:
		count, fewer = 100_000, 100_000
	case testing.Short():
		count, fewer = 500, 500
	case len(kernels) == 0:
		count = fewer
	}
	random := randomness("pairs")
	scalars, points, want := make([]Key, count), make([]Key, count), make([]Key, count)
	for i := range want {
		scalars[i], points[i] = randomKey(random), randomKey(random)
		want[i] = Key(reference(t, scalars[i], points[i]))
	}
	forEach(t, func(t *testing.T, m *Multiplier) {
		count := count
		if len(m.kernels) == 0 {
			count = min(count, fewer)
		}
		sizes := rand.New(randomness("sizes"))
		results, all := make([]Key, count), make([]Multiplication, 0, 130)
		for from := 0; from < count; {
			n := min(1+sizes.IntN(cap(all)), count-from)
			all = all[:n]
			for i := range all {
				all[i] = Multiplication{Result: &results[from+i], Scalar: &scalars[from+i], Point: &points[from+i]}
			}
			m.Multiply(all)
			for i := range all {
				if !all[i].OK {
					t.Fatalf("pair %d is refused", from+i)
				}
			}
			from += n
		}
		for i := range count {
			if results[i] != want[i] {
				t.Fatalf("pair %d: got %x, want %x", i, results[i], want[i])
			}
		}
	})
}

// TestInPlace: a result may take the place of its own operands.
func TestInPlace(t *testing.T) {
	forEach(t, func(t *testing.T, m *Multiplier) {
		random := randomness("in place")
		for count := 1; count <= 20; count++ {
			scalars, points := make([]Key, count), make([]Key, count)
			for _, over := range []string{"scalar", "point", "both"} {
				all, want := make([]Multiplication, count), make([][]byte, count)
				for i := range all {
					scalars[i], points[i] = randomKey(random), randomKey(random)
					all[i] = Multiplication{Result: &scalars[i], Scalar: &scalars[i], Point: &points[i]}
					switch over {
					case "point":
						all[i].Result = &points[i]
					case "both":
						all[i].Point = &scalars[i]
					}
					want[i] = reference(t, scalars[i], *all[i].Point)
				}
				m.Multiply(all)
				for i := range all {
					require.Equal(t, want[i], all[i].Result[:], over)
				}
			}
		}
	})
}

// TestNothingIsLeft of scalars, points and results in a Multiplier.
func TestNothingIsLeft(t *testing.T) {
	for name, implementation := range implementations() {
		t.Run(name, func(t *testing.T) {
			m, unused := implementation(), implementation()
			random := randomness("left")
			for _, count := range []int{70, 64, 9, 8, 3, 1} {
				all := make([]Multiplication, count)
				for i := range all {
					scalar, point := randomKey(random), randomKey(random)
					all[i] = Multiplication{Result: new(Key), Scalar: &scalar, Point: &point}
				}
				seen := false
				watched := slices.Clone(m.kernels)
				for i, k := range watched {
					watched[i].run = func(vectors *[room]uint64) {
						seen = seen || vectors[0] != 0
						k.run(vectors)
					}
				}
				(&Multiplier{watched, m.memory}).Multiply(all)
				require.Equal(t, m.alone(count) < count, seen)
				if m.memory != nil {
					require.Equal(t, *unused.memory, *m.memory)
				}
			}
		})
	}
}

func TestNothingAllocates(t *testing.T) {
	forEach(t, func(t *testing.T, m *Multiplier) {
		random := randomness("allocations")
		all := make([]Multiplication, 65)
		for i := range all {
			scalar, point := randomKey(random), randomKey(random)
			all[i] = Multiplication{Result: new(Key), Scalar: &scalar, Point: &point}
		}
		require.Zero(t, testing.AllocsPerRun(5, func() {
			m.Multiply(all)
			m.Multiply(all[:1])
		}))
	})
}

// FuzzMultipliersAgree with the standard library and so with each other, over pairs that the fuzzer chooses.
func FuzzMultipliersAgree(f *testing.F) {
	for _, seed := range []string{"", "low order", "a longer one, of which several pairs can be made: 0123456789abcdef0123456789abcdef"} {
		f.Add([]byte(seed), uint8(len(seed)))
	}
	f.Fuzz(func(t *testing.T, data []byte, count uint8) {
		n := 1 + int(count)%20
		scalars, points := make([]Key, n), make([]Key, n)
		for i := range n { // each pair is the data from another byte on, over and over
			for j := range 64 {
				b := byte(0)
				if len(data) > 0 {
					b = data[(i+j)%len(data)]
				}
				if j < 32 {
					scalars[i][j] = b
				} else {
					points[i][j-32] = b
				}
			}
			binary.LittleEndian.PutUint16(scalars[i][8:], uint16(i))
		}
		for name, implementation := range implementations() {
			all := make([]Multiplication, n)
			for i := range all {
				all[i] = Multiplication{Result: new(Key), Scalar: &scalars[i], Point: &points[i]}
			}
			implementation().Multiply(all)
			for i := range all {
				want := reference(t, scalars[i], points[i])
				require.Equal(t, want != nil, all[i].OK, name)
				if want != nil {
					require.Equal(t, want, all[i].Result[:], name)
				}
			}
		}
	})
}
