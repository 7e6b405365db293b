package sphinx

import (
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/lioness/symmetric"
	"sphinxmix.example/sphinx/internal/x25519"
)

// childVariable is set in the environment of a process that is to compute with the kernels that it names.
const childVariable = "SPHINX_KERNELS"

func kernelsInUse() string { return x25519.Implementation() + " " + symmetric.Implementation() }

// TestOtherProcessors runs the tests of batches again, as a processor would that has fewer instructions than this one.
func TestOtherProcessors(t *testing.T) {
	if want := os.Getenv(childVariable); want != "" {
		require.Equal(t, want, kernelsInUse())
		return
	}
	if runtime.GOARCH != "amd64" || symmetric.Implementation() == "portable" {
		t.Skip("all of it is portable here")
	}
	if testing.Short() {
		t.Skip("takes the time of four")
	}
	for without, want := range map[string]string{
		"cpu.avx512ifma=off": "AVX2 " + symmetric.Implementation(),
		"cpu.avx512f=off":    "AVX2 AVX2",
		"cpu.all=off":        "circl portable",
	} {
		t.Run(without, func(t *testing.T) {
			if want == kernelsInUse() {
				t.Skip("this processor has no more")
			}
			t.Parallel()
			tests := "^(TestOtherProcessors|Test(UnwrapBatch|WrapBatch|NewSURBs)IsALoopOf.*|Test(Packet|SURB)FollowsSpecification|TestUnwrapperForgetsPackets)$"
			child := exec.Command(os.Args[0], "-test.run", tests)
			child.Env = append(os.Environ(), "GODEBUG="+without, childVariable+"="+want)
			output, err := child.CombinedOutput()
			require.NoError(t, err, "%s", output)
			require.Contains(t, string(output), "PASS")
		})
	}
}
