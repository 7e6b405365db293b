//go:build amd64 && !purego

package symmetric

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/chacha20"
)

// TestImplementation: what the kernel of the operating system says of the processor is used. Without this, tests of
// kernels that are skipped would pass.
func TestImplementation(t *testing.T) {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil || strings.Contains(os.Getenv("GODEBUG"), "cpu.") {
		t.Skip("nobody says what this processor has, or somebody has turned it off")
	}
	var flags []string
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "flags" {
			flags = strings.Fields(value)
			break
		}
	}
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(flags, name) })
	}
	want := "portable"
	switch {
	case has("avx512f", "avx512bw", "avx512dq", "avx512vl", "bmi2"):
		want = "AVX-512"
	case has("avx2"):
		want = "AVX2"
	}
	require.Equal(t, want, Implementation())
	require.Equal(t, portable, available()[len(available())-1])
}

// TestLanesAreUsed: as many messages go together as the kernels take, and are not left to x/crypto, which would be right,
// too.
func TestLanesAreUsed(t *testing.T) {
	hashing := Hashing{make([]byte, 32), nil, make([]byte, 200)}
	for i, together := range map[implementation][]int{
		portable: {1: 0, 0, 0, 0, 0, 0, 0, 0, 0},
		avx2:     {1: 0, 2, 3, 4, 4, 4, 4, 4, 4},
		avx512:   {1: 1, 2, 3, 4, 5, 6, 7, 8, 8},
	} {
		if !slices.Contains(available(), i) {
			continue
		}
		use(t, i)
		for n := 1; n < len(together); n++ {
			require.Equal(t, together[n], newHashLanes().sum(slices.Repeat([]Hashing{hashing}, n)), "%d by %s", n, i)
		}
	}
}

// TestLastBlocks: kernels that are told at which block to begin go as far as RFC 8439 does.
func TestLastBlocks(t *testing.T) {
	const first = 1<<32 - 7
	key := [32]byte(randomBytes("last blocks", 32))
	reference, err := chacha20.NewUnauthenticatedCipher(key[:], make([]byte, chacha20.NonceSize))
	require.NoError(t, err)
	reference.SetCounter(first)
	want := make([]byte, 7*64)
	reference.XORKeyStream(want, want)
	for _, i := range available() {
		got := make([]byte, 7*64)
		switch i {
		case avx2:
			xorBlocksAVX2(&got[0], &got[0], 7, &key, first)
		case avx512:
			var pass streamPass
			for lane := range 7 {
				pass.dst[lane], pass.src[lane], pass.keys[lane] = &got[64*lane], &got[64*lane], &key
				pass.lengths[lane], pass.counters[lane] = 64, first+uint32(lane)
			}
			pass.run(7)
		default:
			continue
		}
		require.Equal(t, want, got, i.String())
	}
}

// TestStreamsStayOnTheStack: what a caller has there is not driven to the heap because a kernel is to see it.
func TestStreamsStayOnTheStack(t *testing.T) {
	require.Zero(t, testing.AllocsPerRun(10, func() {
		var key [32]byte
		var one, other [300]byte
		XORKeyStream(one[:], one[:], &key)
		XORKeyStreams([]Stream{{one[:], one[:], &key}, {other[:], other[:], &key}})
	}))
}

// TestKernelsTellNothing reads the assembly. No instruction takes anything from a vector register to where it could
// decide about a jump or an address; no function has a frame, where something could stay; and all vector registers are
// clear at each return.
func TestKernelsTellNothing(t *testing.T) {
	source, err := os.ReadFile("kernels_amd64.s")
	require.NoError(t, err)
	const (
		general = `MOVQ|MOVL|ADDQ|ADDL|SUBQ|XORQ|XORL|DECQ|TESTQ|CMPQ|CMOVQCS|BZHIQ|J[A-Z]+|RET`
		lanes   = `VP(ADD|XOR|ROL|ROR|SHUF|UNPCK|SLL|SRL|BROADCAST)[A-Z0-9.]*|VPERM2I128|VPERMQ|VPERMI2Q|VPTERNLOGQ|VSHUFI32X4|V(BROADCAST|INSERT|EXTRACT)I\w+`
	)
	allowed := []*regexp.Regexp{
		regexp.MustCompile(`^(` + general + `)( ([^XYZK]|[A-Z]X)*)?$`), // between general registers, flags and memory
		regexp.MustCompile(`^(` + lanes + `) .*, [XYZ]\d+$`),           // to a vector register
		regexp.MustCompile(`^VMOVDQ[AU]\d*(\.Z)? `),                    // between vector registers and memory
		regexp.MustCompile(`^(VMOVD|VMOVQ|KMOVQ) [A-Z0-9]+, [XK]\d+$`), // from a general register
		regexp.MustCompile(`^KXN?ORQ |^VZEROALL$`),
	}
	directive := regexp.MustCompile(`^(#|DATA |GLOBL )`)
	register := regexp.MustCompile(`\b[XYZ](\d+)\b`)
	var function string
	dirty := map[string]bool{} // registers that the function has used and not cleared
	returns := 0
	for line := range strings.Lines(string(source)) {
		line, _, _ = strings.Cut(line, "//")
		line = strings.Join(strings.Fields(line), " ")
		switch {
		case strings.HasPrefix(line, "TEXT "):
			function = line
			require.Contains(t, line, "NOSPLIT, $0-")
		case function == "" || line == "" || strings.HasSuffix(line, ":") || directive.MatchString(line):
		default:
			require.True(t, slices.ContainsFunc(allowed, func(r *regexp.Regexp) bool { return r.MatchString(line) }), line)
			for _, match := range register.FindAllStringSubmatch(line, -1) {
				dirty[match[1]] = true
			}
			switch cleared := register.FindStringSubmatch(line); {
			case line == "VZEROALL":
				maps.DeleteFunc(dirty, func(number string, _ bool) bool { return len(number) == 1 || number < "16" })
			case len(cleared) > 0 && line == fmt.Sprintf("VPXORD X%s, X%[1]s, X%[1]s", cleared[1]):
				delete(dirty, cleared[1])
			case line == "RET":
				returns++
				require.Empty(t, dirty, "%s leaves registers as they are", function)
			}
		}
	}
	require.Equal(t, 6, returns)
}
