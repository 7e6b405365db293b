package replay_test

import (
	"os"
	"os/exec"
	"os/signal"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// limitedEnvironment says that this program is one with a limit on the size of its files.
const limitedEnvironment = "REPLAY_TEST_LIMITED"

// TestFileMayNotGrow: the kernel stops a write in its middle, as it does where a disk is full. It runs in a process of its
// own, which alone has the limit.
func TestFileMayNotGrow(t *testing.T) {
	if os.Getenv(limitedEnvironment) == "" {
		child := exec.Command(os.Args[0], "-test.run=^TestFileMayNotGrow$", "-test.v")
		child.Env = append(os.Environ(), limitedEnvironment+"=1")
		output, err := child.CombinedOutput()
		require.NoError(t, err, string(output))
		require.Contains(t, string(output), "--- PASS")
		return
	}
	path := newPath(t)
	l := create(t, path, 1000)
	storeAll(t, l, 1, 2, 3)
	size := uint64(len(content(t, path)))
	signal.Ignore(unix.SIGXFSZ)
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size + 100, Max: size + 100}))

	storeAll(t, l, 4)
	fresh := make([]bool, 20)
	require.NoError(t, l.Fresh(tags(from(5, 20)...), fresh))
	require.ErrorIs(t, l.Commit(), unix.EFBIG)
	require.Len(t, content(t, path), int(size)+100, "a part was written")
	requireRefused(t, l, []int{100}, unix.EFBIG)
	require.ErrorIs(t, l.Commit(), unix.EFBIG)
	requireTags(t, path, l, 1, 2, 3, 4)
}
