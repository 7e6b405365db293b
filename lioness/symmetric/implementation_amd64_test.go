//go:build amd64 && !purego

package symmetric

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
