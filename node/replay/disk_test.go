package replay_test

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/replay"
)

var errDisk = errors.New("the disk is gone")

// disk is a file that fails when it is told to.
type disk struct {
	replay.File
	room    int   // bytes that are written before writes fail, if broken
	broken  error // what writes fail with
	unsynct error // what Sync fails with

	entered chan struct{} // Sync sends on it, if it is not nil, and then waits for leave
	leave   chan struct{}
	synced  sync.Once
	after   chan struct{} // closed once Sync was let go
}

func (d *disk) WriteAt(b []byte, at int64) (int, error) {
	if d.broken == nil {
		return d.File.WriteAt(b, at)
	}
	n, err := d.File.WriteAt(b[:min(d.room, len(b))], at)
	return n, errors.Join(err, d.broken)
}

func (d *disk) Sync() error {
	if d.entered != nil {
		d.entered <- struct{}{}
		<-d.leave
		d.synced.Do(func() { close(d.after) })
	}
	if d.unsynct != nil {
		return d.unsynct
	}
	return d.File.Sync()
}

// TestFailedCommitClosesTheLog, for ever, however far it got: nobody knows what is on disk. What was committed before is.
func TestFailedCommitClosesTheLog(t *testing.T) {
	for name, fault := range map[string]*disk{
		"no write":     {broken: errDisk},
		"a byte":       {broken: errDisk, room: 1},
		"a header":     {broken: errDisk, room: replay.RecordHeaderSize},
		"half a tag":   {broken: errDisk, room: replay.RecordHeaderSize + 50},
		"all but one":  {broken: errDisk, room: replay.RecordHeaderSize + 64 + replay.ChecksumSize - 1},
		"all, no sync": {unsynct: errDisk},
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			l := create(t, path, 100)
			storeAll(t, l, 1, 2)
			l.SetFile(func(f replay.File) replay.File {
				fault.File = f
				return fault
			})
			requireFresh(t, l, []int{3, 4}, true, true)
			require.ErrorIs(t, l.Commit(), errDisk)
			fault.broken, fault.unsynct = nil, nil // the disk is well again, but what did it keep?
			for range 2 {
				requireRefused(t, l, []int{5}, errDisk)
				requireRefused(t, l, []int{3}, errDisk)
				require.ErrorIs(t, l.Commit(), errDisk)
			}
			require.NoError(t, l.Close())
			require.ErrorIs(t, l.Commit(), errDisk)
			if name == "all, no sync" { // what nobody was told to be there may be there
				requireTags(t, path, nil, 1, 2, 3, 4)
			} else {
				requireTags(t, path, nil, 1, 2)
			}
		})
	}
}

// TestFullDisk is about Linux's own: every write to it fails as on a disk without room.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skip("there is none here")
	}
	path := newPath(t)
	l := create(t, path, 100)
	storeAll(t, l, 1)
	l.SetFile(func(f replay.File) replay.File {
		f.Close()
		return full
	})
	requireFresh(t, l, []int{2}, true)
	require.ErrorIs(t, l.Commit(), syscall.ENOSPC)
	requireRefused(t, l, []int{3}, syscall.ENOSPC)
	requireTags(t, path, l, 1)
}

// slow returns a log whose Sync waits to be let go.
func slow(t *testing.T, path string) (*replay.Log, *disk) {
	l := create(t, path, 100)
	d := &disk{entered: make(chan struct{}), leave: make(chan struct{}), after: make(chan struct{})}
	l.SetFile(func(f replay.File) replay.File {
		d.File = f
		return d
	})
	return l, d
}

// TestFreshDoesNotWaitForTheDisk: it answers, and right, while a Commit waits.
func TestFreshDoesNotWaitForTheDisk(t *testing.T) {
	path := newPath(t)
	l, d := slow(t, path)
	requireFresh(t, l, []int{1, 2}, true, true)
	first := make(chan error)
	go func() { first <- l.Commit() }()
	<-d.entered
	requireFresh(t, l, []int{1, 3}, false, true)
	require.Equal(t, 3, l.Len())
	require.NotContains(t, string(content(t, path)), string(tags(3)[0][:]))
	d.leave <- struct{}{}
	require.NoError(t, <-first)
	go func() { first <- l.Commit() }()
	<-d.entered
	d.leave <- struct{}{}
	require.NoError(t, <-first)
	requireTags(t, path, l, 1, 2, 3)
}

// TestCommitWaitsForTheOneThatHasItsTags: that another has taken them to write does not mean that they are on disk.
func TestCommitWaitsForTheOneThatHasItsTags(t *testing.T) {
	for range 100 {
		l, d := slow(t, newPath(t))
		requireFresh(t, l, []int{1}, true)
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- l.Commit() }()
		<-d.entered
		calling := make(chan struct{})
		go func() {
			close(calling)
			err := l.Commit()
			select {
			case <-d.after:
			default:
				err = errors.New("returned before the tags were on disk")
			}
			second <- err
		}()
		<-calling
		for range 10 {
			runtime.Gosched()
		}
		d.leave <- struct{}{}
		require.NoError(t, <-first)
		require.NoError(t, <-second)
		require.NoError(t, l.Close())
	}
}

// TestCommitThatWaitsForAFailedOneFails: its tags may be among those that were lost.
func TestCommitThatWaitsForAFailedOneFails(t *testing.T) {
	l, d := slow(t, newPath(t))
	d.unsynct = errDisk
	requireFresh(t, l, []int{1}, true)
	done := make(chan error, 2)
	go func() { done <- l.Commit() }()
	<-d.entered
	requireFresh(t, l, []int{2}, true)
	go func() { done <- l.Commit() }()
	d.leave <- struct{}{}
	require.ErrorIs(t, <-done, errDisk)
	require.ErrorIs(t, <-done, errDisk)
}

// TestCloseWaitsForACommit, whose caller is told the truth.
func TestCloseWaitsForACommit(t *testing.T) {
	path := newPath(t)
	l, d := slow(t, path)
	requireFresh(t, l, []int{1}, true)
	committed, closed := make(chan error, 1), make(chan error, 1)
	go func() { committed <- l.Commit() }()
	<-d.entered
	go func() { closed <- l.Close() }()
	d.leave <- struct{}{}
	require.NoError(t, <-committed)
	require.NoError(t, <-closed)
	requireTags(t, path, nil, 1)
}
