package keyring_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// happened returns what the kernel saw happen in a folder while during ran, as "what name", in order.
func happened(t *testing.T, dir string, during func()) (events []string) {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	require.NoError(t, err)
	watch := os.NewFile(uintptr(fd), "inotify")
	defer watch.Close()
	_, err = unix.InotifyAddWatch(fd, dir, unix.IN_CREATE|unix.IN_MODIFY|unix.IN_MOVED_TO|unix.IN_DELETE)
	require.NoError(t, err)
	during()
	buffer := make([]byte, 1<<16)
	n, err := unix.Read(fd, buffer)
	require.NoError(t, err)
	words := map[uint32]string{
		unix.IN_CREATE: "created", unix.IN_MODIFY: "written", unix.IN_MOVED_TO: "renamed to", unix.IN_DELETE: "removed",
	}
	for rest := buffer[:n]; len(rest) > 0; {
		length := binary.NativeEndian.Uint32(rest[12:])
		name, _, _ := bytes.Cut(rest[unix.SizeofInotifyEvent:][:length], []byte{0})
		events = append(events, words[binary.NativeEndian.Uint32(rest[4:])]+" "+string(name))
		rest = rest[unix.SizeofInotifyEvent+length:]
	}
	return events
}

// TestOrderOfFiles: at no time is there a key without its log. A key appears as a whole, and is overwritten before it goes.
func TestOrderOfFiles(t *testing.T) {
	dir, _, _ := started(t)
	r := open(t, dir, begin(first))
	events := happened(t, dir, func() { advance(t, r, begin(first+1)) })
	require.Equal(t, []string{
		fmt.Sprintf("written epoch-%d.key", first-1),
		fmt.Sprintf("removed epoch-%d.key", first-1),
		fmt.Sprintf("removed epoch-%d.tags", first-1),
		fmt.Sprintf("created epoch-%d.tags", first+2),
		fmt.Sprintf("written epoch-%d.tags", first+2),
		fmt.Sprintf("created epoch-%d.key.partial", first+2),
		fmt.Sprintf("written epoch-%d.key.partial", first+2),
		fmt.Sprintf("renamed to epoch-%d.key", first+2),
	}, slices.Compact(events))

	// A log that is of no use takes its key with it in the same order.
	require.NoError(t, r.Close())
	require.NoError(t, os.Truncate(tagsFile(dir, first), 3))
	events = happened(t, dir, func() { open(t, dir, begin(first+1)) })
	require.Equal(t, []string{
		fmt.Sprintf("written epoch-%d.key", first),
		fmt.Sprintf("removed epoch-%d.key", first),
		fmt.Sprintf("removed epoch-%d.tags", first),
	}, slices.Compact(events))
}
