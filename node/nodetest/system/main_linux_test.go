package system_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clientVariable is set in the environment of a process that is to be a client, and not to run tests.
const clientVariable = "SYSTEM_CLIENT"

// longVariable is set in the environment where the tests may take their time.
const longVariable = "SPHINX_LONG"

// long says that the tests are to do more.
var long = os.Getenv(longVariable) != "" && !instrumented

// patience is how long a test waits for what is to come: longer than that takes on any machine, so that only what never
// comes fails a test.
var patience = func() time.Duration {
	if os.Getenv(longVariable) != "" {
		return 25 * time.Minute
	}
	return 5 * time.Minute
}()

// mixnet is the program, as TestMain has built it.
var mixnet string

func TestMain(m *testing.M) {
	if os.Getenv(clientVariable) != "" {
		os.Exit(beClient())
	}
	flag.Parse()
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	if left() != "" {
		return m.Run()
	}
	folder, err := os.MkdirTemp("", "mixnet-system-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	mixnet = filepath.Join(folder, "mixnet")
	arguments := []string{"build", "-buildvcs=false", "-o", mixnet}
	if instrumented {
		arguments = append(arguments, "-race")
	}
	if output, err := exec.Command("go", append(arguments, "sphinxmix.example/node/cmd/mixnet")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building mixnet: %v\n%s", err, output)
		return 1
	}
	return m.Run()
}

// left says why the tests are left out; empty if they are not.
func left() string {
	switch {
	case testing.Short():
		return "takes minutes"
	case instrumented && os.Getenv(longVariable) == "":
		return "takes too long under the race detector: set " + longVariable + "=1"
	}
	return ""
}

func skipIfLeft(t *testing.T) {
	t.Helper()
	if why := left(); why != "" {
		t.Skip(why)
	}
	// go test keeps the result of a test until a file changes that the test has looked at: let these be all that the
	// program is made of.
	for _, folder := range []string{"../..", "../../../client"} {
		require.NoError(t, filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				_, err = os.Stat(path)
			}
			return err
		}))
	}
}

// await waits until a condition holds, which it looks at again and again, and fails the test when its patience is over.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
