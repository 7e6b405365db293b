package boltstore

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/directory/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Data {
		file := filepath.Join(t.TempDir(), "directory.db")
		return func(t *testing.T) (directory.Store, func()) {
			s, err := Open(file)
			require.NoError(t, err)
			var once sync.Once
			return s, func() { once.Do(func() { require.NoError(t, s.Close()) }) }
		}
	})
}

func TestTheFileIsForOneProcessAndOneUser(t *testing.T) {
	file := filepath.Join(t.TempDir(), "directory.db")
	s, err := Open(file)
	require.NoError(t, err)
	defer s.Close()
	_, err = Open(file)
	require.ErrorContains(t, err, "in use by another process")
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestWhatIsNoStoreIsNotOpened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "directory.db")
	require.NoError(t, os.WriteFile(file, bytes.Repeat([]byte("noise"), 10000), 0o600))
	_, err := Open(file)
	require.ErrorContains(t, err, file)
	_, err = Open(filepath.Join(file, "not a folder"))
	require.Error(t, err)
}

func TestDamagedValueIsAnError(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "directory.db"))
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Set(t.Context(), "view", []byte("good"), 0)
	require.NoError(t, err)
	require.NoError(t, s.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketName).Put([]byte("view"), []byte("short"))
	}))
	_, _, err = s.Since(t.Context(), 0)
	require.ErrorContains(t, err, `"view"`)
	_, err = s.Set(t.Context(), "view", []byte("good"), 9)
	require.ErrorContains(t, err, `"view"`)
}

// Sets that come at one time share the wait for the disk.
func BenchmarkSet(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "directory.db"))
	require.NoError(b, err)
	defer s.Close()
	value := make([]byte, 600)
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Set(context.Background(), "node", value, 1<<62); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
