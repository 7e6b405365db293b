package durable_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/internal/durable"
)

func names(t *testing.T, dir string) (all []string) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}

func read(t *testing.T, path string) string {
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	require.NoError(t, durable.WriteFile(path, []byte("first, and longer"), 0o600))
	require.Equal(t, "first, and longer", read(t, path))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())

	// what a crash left is in nobody's way, whatever its mode
	require.NoError(t, os.WriteFile(path+durable.PartialSuffix, []byte("of a call that did not come to its end"), 0o444))
	require.NoError(t, durable.WriteFile(path, []byte("second"), 0o600))
	require.Equal(t, "second", read(t, path))
	require.NoError(t, durable.WriteFile(path, nil, 0o600))
	require.Empty(t, read(t, path))
	require.Equal(t, []string{"state"}, names(t, dir))
}

func TestCreateFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	require.NoError(t, durable.CreateFile(path, []byte("first"), 0o600))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())
	require.ErrorIs(t, durable.CreateFile(path, []byte("second"), 0o600), fs.ErrExist)
	require.Equal(t, "first", read(t, path))
	require.ErrorIs(t, durable.CreateFile(filepath.Join(dir, "missing", "key"), nil, 0o600), fs.ErrNotExist)
	require.Equal(t, []string{"key"}, names(t, dir))
}

// TestFailedWriteChangesNothing, and leaves nothing behind that may be secret.
func TestFailedWriteChangesNothing(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken")
	require.NoError(t, os.MkdirAll(filepath.Join(taken, "inside"), 0o700))
	require.Error(t, durable.WriteFile(taken, []byte("secret"), 0o600), "over a folder")
	require.Equal(t, []string{"taken"}, names(t, dir))
	require.Equal(t, []string{"inside"}, names(t, taken))
	require.ErrorIs(t, durable.WriteFile(filepath.Join(dir, "missing", "state"), nil, 0o600), fs.ErrNotExist)
}

// TestReadersSeeWholeFiles while the file is written again and again, until they have seen it change often.
func TestReadersSeeWholeFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	contents := [][]byte{bytes.Repeat([]byte("a"), 100_000), bytes.Repeat([]byte("b"), 200_000)}
	require.NoError(t, durable.WriteFile(path, contents[0], 0o600))
	var writing sync.WaitGroup
	var done atomic.Bool
	writing.Go(func() {
		for i := 1; !done.Load(); i++ {
			if err := durable.WriteFile(path, contents[i%2], 0o600); err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer writing.Wait()
	defer done.Store(true)
	last := ""
	for changes := 0; changes < 20 && !t.Failed(); {
		got := read(t, path)
		require.True(t, got == string(contents[0]) || got == string(contents[1]), "%d bytes", len(got))
		if got != last {
			last = got
			changes++
		}
	}
}

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, durable.Remove(path))
	require.Empty(t, names(t, dir))
	require.NoError(t, durable.Remove(path), "what is gone is gone")
	require.Error(t, durable.Remove(filepath.Join(dir, "missing", "state")))
}

// TestErase looks at what was in the file through another name of it.
func TestErase(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "key"), filepath.Join(dir, "other name")
	for _, size := range []int{0, 1, 52, 100_000} {
		require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("s"), size), 0o600))
		require.NoError(t, os.Link(path, other))
		require.NoError(t, durable.Erase(path))
		require.Equal(t, string(make([]byte, size)), read(t, other))
		require.NoError(t, os.Remove(other))
		require.Empty(t, names(t, dir))
	}
	require.NoError(t, durable.Erase(path), "what is gone is gone")
}

func TestEraseLeavesAloneWhatALinkPointsAt(t *testing.T) {
	dir := t.TempDir()
	link, target := filepath.Join(dir, "key"), filepath.Join(dir, "target")
	require.NoError(t, os.WriteFile(target, []byte("somebody's"), 0o600))
	require.NoError(t, os.Symlink(target, link))
	require.NoError(t, durable.Erase(link))
	require.Equal(t, []string{"target"}, names(t, dir))
	require.Equal(t, "somebody's", read(t, target))
}
