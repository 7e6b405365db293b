package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// kept writes a file as a command does.
func kept(t *testing.T, name, content string) {
	t.Helper()
	file, err := createFile(name)
	require.NoError(t, err)
	defer file.discard()
	require.NoError(t, file.keep([]byte(content)))
}

func requireContent(t *testing.T, name, want string) {
	t.Helper()
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, want, string(content))
}

// TestNewFileFollowsLinks: the link stays one, and what it leads to is written, there already or not.
func TestNewFileFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.Mkdir(at("below"), 0o777))
	require.NoError(t, os.Symlink("below/file", at("link")))
	require.NoError(t, os.Symlink(at("link"), at("other")))
	for _, content := range []string{"first", "second"} {
		kept(t, at("other"), content)
		requireContent(t, at("below/file"), content)
		to, err := os.Readlink(at("link"))
		require.NoError(t, err)
		require.Equal(t, "below/file", to)
	}
	left, err := os.ReadDir(at("below"))
	require.NoError(t, err)
	require.Len(t, left, 1)

	require.NoError(t, os.Symlink("loop", at("loop")))
	_, err = createFile(at("loop"))
	require.Error(t, err)
}

// TestNewFileLeavesDevices what they are: /dev/stdout is a link to one, and root could put a file in its place.
func TestNewFileLeavesDevices(t *testing.T) {
	reads, writes, err := os.Pipe()
	require.NoError(t, err)
	defer reads.Close()
	name := fmt.Sprintf("/dev/fd/%d", writes.Fd())
	if _, err := os.Stat(name); err != nil {
		t.Skip("open files have no names here")
	}
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(name, link))
	kept(t, link, "through the pipe")
	require.NoError(t, writes.Close())
	content, err := io.ReadAll(reads)
	require.NoError(t, err)
	require.Equal(t, "through the pipe", string(content))
	to, err := os.Readlink(link)
	require.NoError(t, err)
	require.Equal(t, name, to)

	kept(t, os.DevNull, "lost")
	info, err := os.Stat(os.DevNull)
	require.NoError(t, err)
	require.False(t, info.Mode().IsRegular())
}

// TestNewFileNamesWhatIsWrong, before anything is done for it: the folder, and no temporary file.
func TestNewFileNamesWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	none := filepath.Join(dir, "none")
	_, err := createFile(filepath.Join(none, "file"))
	require.EqualError(t, err, "there is no folder "+none)
	_, err = createFile(none + "/")
	require.EqualError(t, err, "there is no folder "+none)
	_, err = createFile(dir)
	require.EqualError(t, err, dir+" is a folder")
	require.NoError(t, os.WriteFile(none, nil, 0o600))
	_, err = createFile(filepath.Join(none, "file"))
	require.ErrorContains(t, err, none)
}

// TestNewFolderStaysOnlyIfUsed, and those that were there before it stay anyway.
func TestNewFolderStaysOnlyIfUsed(t *testing.T) {
	dir := t.TempDir()
	folder, err := createFolder(filepath.Join(dir, "new", "below"))
	require.NoError(t, err)
	folder.discard()
	require.NoDirExists(t, filepath.Join(dir, "new"))

	folder, err = createFolder(filepath.Join(dir, "new", "below"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "new", "below", "file"), nil, 0o600))
	folder.discard()
	require.FileExists(t, filepath.Join(dir, "new", "below", "file"))

	folder, err = createFolder(dir)
	require.NoError(t, err)
	folder.discard()
	require.DirExists(t, dir)
	_, err = createFolder(filepath.Join(dir, "new", "below", "file"))
	require.ErrorContains(t, err, "file")
}
