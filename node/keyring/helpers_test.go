package keyring_test

import (
	"bytes"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/keyring"
	"sphinxmix.example/sphinx"
)

const epoch = time.Hour

// first is an epoch, and the time from which it is the current one.
const first = 500_000

func begin(number uint64) time.Time { return time.Unix(int64(number)*int64(epoch/time.Second), 0) }

// params are of packets as small as they can be.
var params = sphinx.Params{MaxHops: 1, PayloadSize: 64}

// open returns a ring with epochs of an hour, and closes it when the test ends.
func open(t testing.TB, dir string, now time.Time) *keyring.Ring {
	t.Helper()
	r, err := keyring.Open(keyring.Config{Length: epoch, Dir: dir}, now)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// openLogged returns what Open logs, too.
func openLogged(t testing.TB, dir string, now time.Time) (*keyring.Ring, string) {
	t.Helper()
	var lines bytes.Buffer
	r, err := keyring.Open(keyring.Config{Dir: dir, MaxTags: 1000, Log: slog.New(slog.NewTextHandler(&lines, nil))}, now)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r, lines.String()
}

func advance(t testing.TB, r *keyring.Ring, now time.Time) (changed bool) {
	t.Helper()
	changed, next, err := r.Advance(now)
	require.NoError(t, err)
	require.True(t, next.After(now), "%v is not after %v", next, now)
	require.LessOrEqual(t, next.Sub(now), epoch)
	require.Zero(t, next.Unix()%int64(epoch/time.Second))
	return changed
}

// keysOf are the keys that a ring lists, by epoch. They are those that it uses.
func keysOf(t testing.TB, r *keyring.Ring) map[uint64]sphinx.PublicKey {
	t.Helper()
	keys := make(map[uint64]sphinx.PublicKey)
	listed, epochs := r.Keys(), r.Epochs()
	require.Len(t, epochs, len(listed))
	for i, e := range epochs {
		require.Equal(t, e.Number, listed[i].Epoch)
		require.Equal(t, e.Key.Public(), listed[i].Key)
		require.Equal(t, e.Public(), listed[i].Key)
		require.Same(t, e, r.Find(uint8(e.Number)))
		keys[e.Number] = listed[i].Key
	}
	return keys
}

func requireEpochs(t testing.TB, r *keyring.Ring, numbers ...uint64) {
	t.Helper()
	require.Equal(t, numbers, slices.Sorted(maps.Keys(keysOf(t, r))))
}

func find(t testing.TB, r *keyring.Ring, number uint64) *keyring.Epoch {
	t.Helper()
	e := r.Find(uint8(number))
	require.NotNil(t, e)
	require.Equal(t, number, e.Number)
	return e
}

// packetFor makes a packet for one hop with that key.
func packetFor(t testing.TB, key sphinx.PublicKey) []byte {
	t.Helper()
	packet, err := params.Wrap(nil, nil, []sphinx.Hop{{Address: sphinx.Address{0xff}, Key: key}}, []byte("bob"), []byte("hello"))
	require.NoError(t, err)
	return packet
}

// unwrap opens a copy of packet with the key of an epoch.
func unwrap(t testing.TB, r *keyring.Ring, number uint64, packet []byte) error {
	t.Helper()
	u, err := find(t, r, number).NewUnwrapper(params)
	require.NoError(t, err)
	defer u.Wipe()
	layer, err := u.Unwrap(slices.Clone(packet))
	if err == nil {
		require.Equal(t, "hello", string(layer.Message))
	}
	return err
}

func names(t testing.TB, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}

// requireFiles wants the files of these epochs in the folder, and no others of the ring's.
func requireFiles(t testing.TB, dir string, numbers ...uint64) {
	t.Helper()
	want := []string{".lock"}
	for _, number := range numbers {
		want = append(want, filepath.Base(keyFile(dir, number)), filepath.Base(tagsFile(dir, number)))
	}
	require.ElementsMatch(t, want, names(t, dir))
}

func keyFile(dir string, number uint64) string {
	return filepath.Join(dir, "epoch-"+strconv.FormatUint(number, 10)+".key")
}

func tagsFile(dir string, number uint64) string {
	return filepath.Join(dir, "epoch-"+strconv.FormatUint(number, 10)+".tags")
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return content
}

// newFolder is one that does not exist yet.
func newFolder(t testing.TB) string { return filepath.Join(t.TempDir(), "keys") }

// bothKinds runs a test with keys in memory, where dir is empty, and in a folder.
func bothKinds(t *testing.T, test func(t *testing.T, dir string)) {
	t.Run("memory", func(t *testing.T) { test(t, "") })
	t.Run("folder", func(t *testing.T) { test(t, newFolder(t)) })
}
