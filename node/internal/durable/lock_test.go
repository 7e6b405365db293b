package durable_test

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/internal/durable"
)

// lockEnvironment names the folder that this program locks until it is killed, instead of running tests.
const lockEnvironment = "DURABLE_TEST_LOCK"

func TestMain(m *testing.M) {
	if dir := os.Getenv(lockEnvironment); dir != "" {
		lock, err := durable.Lock(dir)
		fmt.Println(err)
		_, _ = os.Stdin.Read(make([]byte, 1)) // until the end
		fmt.Println(lock.Unlock())
		return
	}
	os.Exit(m.Run())
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	lock, err := durable.Lock(dir)
	require.NoError(t, err)
	_, err = durable.Lock(dir)
	require.ErrorIs(t, err, durable.ErrInUse)
	require.ErrorContains(t, err, dir)
	other, err := durable.Lock(t.TempDir())
	require.NoError(t, err, "one folder is not another")
	require.NoError(t, other.Unlock())
	require.NoError(t, lock.Unlock())
	lock, err = durable.Lock(dir)
	require.NoError(t, err)
	require.NoError(t, lock.Unlock())
	_, err = durable.Lock(filepath.Join(dir, "missing"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestLockEndsWithItsProcess, however that ends.
func TestLockEndsWithItsProcess(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), lockEnvironment+"="+dir)
	_, err := child.StdinPipe() // stays open
	require.NoError(t, err)
	stdout, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "<nil>\n", line)
	_, err = durable.Lock(dir)
	require.ErrorIs(t, err, durable.ErrInUse)

	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())
	lock, err := durable.Lock(dir)
	require.NoError(t, err)
	require.NoError(t, lock.Unlock())
}
