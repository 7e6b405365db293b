package keyring_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/internal/durable"
	"sphinxmix.example/node/keyring"
	"sphinxmix.example/node/replay"
	"sphinxmix.example/sphinx"
)

func TestTwoRingsOnOneFolder(t *testing.T) {
	dir := newFolder(t)
	r := open(t, dir, begin(first))
	keys := keysOf(t, r)
	_, err := keyring.Open(keyring.Config{Dir: dir}, begin(first+5000))
	require.ErrorIs(t, err, durable.ErrInUse)
	require.ErrorContains(t, err, dir)
	requireFiles(t, dir, first, first+1)
	require.NoError(t, r.Close())
	require.Equal(t, keys, keysOf(t, open(t, dir, begin(first))))
}

func TestFolderThatOthersCanRead(t *testing.T) {
	for _, mode := range []os.FileMode{0o755, 0o750, 0o701, 0o720} {
		dir := filepath.Join(t.TempDir(), "keys")
		require.NoError(t, os.Mkdir(dir, 0o700))
		require.NoError(t, os.Chmod(dir, mode))
		_, err := keyring.Open(keyring.Config{Dir: dir}, begin(first))
		require.ErrorContains(t, err, "chmod 700 "+dir)
		require.Empty(t, names(t, dir))
		require.NoError(t, os.Chmod(dir, 0o700))
		open(t, dir, begin(first))
	}
}

func TestFilesAreForTheirOwnerAlone(t *testing.T) {
	dir := newFolder(t)
	open(t, dir, begin(first))
	for _, path := range []string{dir, keyFile(dir, first), tagsFile(dir, first)} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Zero(t, info.Mode()&0o077, path)
	}
}

func TestFolderThatCannotBe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	for _, dir := range []string{path, filepath.Join(path, "below")} {
		_, err := keyring.Open(keyring.Config{Dir: dir}, begin(first))
		require.Error(t, err)
	}
	if os.Geteuid() != 0 { // who may write everywhere
		dir := newFolder(t)
		require.NoError(t, os.Mkdir(dir, 0o500))
		_, err := keyring.Open(keyring.Config{Dir: dir}, begin(first))
		require.ErrorIs(t, err, os.ErrPermission)
	}
}

// TestUnreadableFileIsNotADamagedOne: a key is not thrown away for an error that says nothing about it.
func TestUnreadableFileIsNotADamagedOne(t *testing.T) {
	dir, keys, _ := started(t)
	require.NoError(t, os.Rename(keyFile(dir, first), dir+"-key"))
	require.NoError(t, os.Mkdir(keyFile(dir, first), 0o700)) // can be opened, but not read
	_, err := keyring.Open(keyring.Config{Dir: dir}, begin(first))
	require.ErrorContains(t, err, keyFile(dir, first))
	require.FileExists(t, tagsFile(dir, first))
	require.NoError(t, os.Remove(keyFile(dir, first)))
	require.NoError(t, os.Rename(dir+"-key", keyFile(dir, first)))
	require.Equal(t, keys, keysOf(t, open(t, dir, begin(first))), "all is as it was, the lock too")
}

// TestFolderThatIsGoneForAWhile: keys go out of use at their time even so, the others stay, and all is made up for later.
func TestFolderThatIsGoneForAWhile(t *testing.T) {
	dir, keys, _ := started(t)
	r := open(t, dir, begin(first))
	e := find(t, r, first-1)
	require.NoError(t, os.Rename(dir, dir+"-away"))

	for range 2 {
		now := begin(first + 1)
		_, next, err := r.Advance(now)
		require.ErrorContains(t, err, "erasing the key of epoch 499999")
		require.ErrorContains(t, err, "making the key of epoch 500002")
		require.True(t, next.After(now) && !next.After(now.Add(time.Minute)), "%v: soon", next)
		requireEpochs(t, r, first, first+1)
		require.Equal(t, make([]byte, sphinx.KeySize), e.Key.Bytes())
		require.FileExists(t, keyFile(dir+"-away", first-1))
	}
	// The key of e is still on the disk, so that what it has opened must get there too.
	require.NoError(t, e.Tags.Fresh([]sphinx.Tag{{1}}, make([]bool, 1)))
	before := len(read(t, tagsFile(dir+"-away", first-1)))
	require.NoError(t, r.Commit())
	require.Greater(t, len(read(t, tagsFile(dir+"-away", first-1))), before)

	require.NoError(t, os.Rename(dir+"-away", dir))
	require.True(t, advance(t, r, begin(first+1)))
	requireEpochs(t, r, first, first+1, first+2)
	requireFiles(t, dir, first, first+1, first+2)
	require.Equal(t, keys[first], keysOf(t, r)[first])
	require.NoError(t, unwrap(t, r, first, packetFor(t, keys[first])))
	_, err := e.NewUnwrapper(params)
	require.ErrorIs(t, err, keyring.ErrErased)
}

// TestCommitThatFails says so, and of which epoch, and does not keep the others from theirs.
func TestCommitThatFails(t *testing.T) {
	dir := newFolder(t)
	r := open(t, dir, begin(first))
	packet := packetFor(t, find(t, r, first+1).Public())
	require.NoError(t, unwrap(t, r, first+1, packet))
	require.NoError(t, find(t, r, first).Tags.(*replay.Log).Close()) // as when a disk fails
	require.ErrorContains(t, r.Commit(), "epoch 500000")
	require.ErrorIs(t, r.Commit(), replay.ErrClosed)
	require.NoError(t, r.Close())
	require.ErrorIs(t, unwrap(t, open(t, dir, begin(first)), first+1, packet), sphinx.ErrReplay)
}

// TestWorkersWhileKeysChange: those who open packets and commit meet no other error than that an epoch is over, and no
// packet is opened twice.
func TestWorkersWhileKeysChange(t *testing.T) {
	bothKinds(t, func(t *testing.T, dir string) {
		r := open(t, dir, begin(first))
		var running sync.WaitGroup
		done := make(chan struct{})
		for range 3 {
			running.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					for _, e := range r.Epochs() {
						packet := packetFor(t, e.Public())
						opened := 0
						for range 2 {
							u, err := e.NewUnwrapper(params)
							if errors.Is(err, keyring.ErrErased) {
								if r.Find(uint8(e.Number)) == e {
									t.Error("a key that is in use is gone")
								}
								continue
							}
							if err == nil {
								_, err = u.Unwrap(append([]byte(nil), packet...))
								u.Wipe()
							}
							if err == nil {
								opened++
							} else if !errors.Is(err, sphinx.ErrReplay) && !errors.Is(err, replay.ErrClosed) {
								t.Error(err)
							}
						}
						if opened > 1 {
							t.Error("a packet was opened twice")
						}
					}
					if err := r.Commit(); err != nil {
						t.Error(err)
					}
					if keys := r.Keys(); len(keys) < 2 || len(keys) > 3 {
						t.Errorf("%d keys", len(keys))
					}
				}
			})
		}
		for number := uint64(first); number < first+40; number++ {
			advance(t, r, begin(number))
		}
		close(done)
		running.Wait()
	})
}
