package keyring_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/keyring"
	"sphinxmix.example/sphinx"
)

// damage is something that happens to one of the files of an epoch.
type damage struct {
	name string
	do   func(t *testing.T, path string)
}

func rewrite(change func(content []byte) []byte) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		require.NoError(t, os.WriteFile(path, change(read(t, path)), 0o600))
	}
}

var damages = []damage{
	{"is missing", func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }},
	{"is empty", rewrite(func([]byte) []byte { return nil })},
	{"is zeros", rewrite(func(content []byte) []byte { return make([]byte, len(content)) })},
	{"is cut in the header", rewrite(func(content []byte) []byte { return content[:20] })},
	{"has something behind", rewrite(func(content []byte) []byte { return append(content, "something else"...) })},
	{"is of the epoch before", func(t *testing.T, path string) {
		dir, name := filepath.Split(path)
		for number := uint64(first + 1); ; number-- {
			if other := strings.Replace(name, fmt.Sprint(number), fmt.Sprint(number-1), 1); other != name {
				require.NoError(t, os.WriteFile(path, read(t, dir+other), 0o600))
				return
			}
		}
	}},
}

// started is a folder with the keys of first−1, first and first+1, each of which has opened a packet.
func started(t *testing.T) (dir string, keys map[uint64]sphinx.PublicKey, packets map[uint64][]byte) {
	dir, packets = newFolder(t), make(map[uint64][]byte)
	r := open(t, dir, begin(first-1))
	advance(t, r, begin(first))
	keys = keysOf(t, r)
	require.Len(t, keys, 3)
	for number, key := range keys {
		packets[number] = packetFor(t, key)
		require.NoError(t, unwrap(t, r, number, packets[number]))
	}
	require.NoError(t, r.Commit())
	require.NoError(t, r.Close())
	return dir, keys, packets
}

// requireRefused wants the ring in dir to have replaced the key of the epoch refused, or to be without if it is the
// previous, and all others as they were.
func requireRefused(t *testing.T, dir string, refused uint64, keys map[uint64]sphinx.PublicKey, packets map[uint64][]byte) {
	t.Helper()
	secret := ""
	if content, err := os.ReadFile(keyFile(dir, refused)); err == nil && len(content) >= 24 {
		secret = hex.EncodeToString(content[16:24])
	}
	r, logs := openLogged(t, dir, begin(first))
	require.Equal(t, 1, strings.Count(logs, "level=WARN"), logs)
	require.Contains(t, logs, "packets made for it are lost")
	require.Contains(t, logs, fmt.Sprint("epoch=", refused))
	if strings.Trim(secret, "0") != "" {
		require.NotContains(t, logs, secret)
	}
	now := keysOf(t, r)
	for number, key := range keys {
		switch {
		case number != refused:
			require.Equal(t, key, now[number])
			require.ErrorIs(t, unwrap(t, r, number, packets[number]), sphinx.ErrReplay)
		case number == first-1:
			require.NotContains(t, now, number)
		default:
			require.NotEqual(t, key, now[number])
			require.ErrorIs(t, unwrap(t, r, number, packets[number]), sphinx.ErrMAC)
			require.NoError(t, unwrap(t, r, number, packetFor(t, now[number])))
		}
	}
	want := []uint64{first, first + 1}
	if refused != first-1 {
		want = append(want, first-1)
	}
	requireFiles(t, dir, want...)
	require.NoError(t, r.Close())
	r, logs = openLogged(t, dir, begin(first))
	require.NotContains(t, logs, "WARN", "the damage is gone")
	require.NoError(t, r.Close())
}

// TestDamagedFilesTakeTheirKeyWithThem, each in turn, and nothing else.
func TestDamagedFilesTakeTheirKeyWithThem(t *testing.T) {
	for _, number := range []uint64{first - 1, first, first + 1} {
		for kind, file := range map[string]func(string, uint64) string{"key": keyFile, "tags": tagsFile} {
			for _, d := range damages {
				if d.name == "is of the epoch before" && number == first-1 {
					continue
				}
				t.Run(fmt.Sprintf("%s of %d %s", kind, number, d.name), func(t *testing.T) {
					dir, keys, packets := started(t)
					d.do(t, file(dir, number))
					requireRefused(t, dir, number, keys, packets)
				})
			}
		}
	}
}

// TestEveryDamagedByteOfAKeyIsNoticed.
func TestEveryDamagedByteOfAKeyIsNoticed(t *testing.T) {
	dir, keys, packets := started(t)
	whole := read(t, keyFile(dir, first))
	tags := read(t, tagsFile(dir, first))
	for at := range whole {
		damaged := slices.Clone(whole)
		damaged[at] ^= 0x10
		require.NoError(t, os.WriteFile(keyFile(dir, first), damaged, 0o600))
		require.NoError(t, os.WriteFile(tagsFile(dir, first), tags, 0o600))
		requireRefused(t, dir, first, keys, packets)
	}
}

// TestTornCommitCostsNoKey: a crash of the machine in the middle of one is no damage.
func TestTornCommitCostsNoKey(t *testing.T) {
	dir, keys, packets := started(t)
	whole := read(t, tagsFile(dir, first))
	for _, torn := range [][]byte{[]byte("start"), make([]byte, 700)} {
		require.NoError(t, os.WriteFile(tagsFile(dir, first), append(slices.Clone(whole), torn...), 0o600))
		r, logs := openLogged(t, dir, begin(first))
		require.Equal(t, keys, keysOf(t, r))
		require.ErrorIs(t, unwrap(t, r, first, packets[first]), sphinx.ErrReplay)
		require.NotContains(t, logs, "WARN")
		require.NoError(t, r.Close())
		require.Equal(t, whole, read(t, tagsFile(dir, first)))
	}
}

// TestKeyOfAnotherRingIsRefused: its log is bound to the key that was there.
func TestKeyOfAnotherRingIsRefused(t *testing.T) {
	dir, keys, packets := started(t)
	other, _, _ := started(t)
	require.NoError(t, os.WriteFile(keyFile(dir, first), read(t, keyFile(other, first)), 0o600))
	requireRefused(t, dir, first, keys, packets)
}

// TestKeyAndLogOfAnotherEpochAreRefused: one key in two epochs has two sets of tags, and takes each packet twice.
func TestKeyAndLogOfAnotherEpochAreRefused(t *testing.T) {
	dir, keys, packets := started(t)
	require.NoError(t, os.WriteFile(keyFile(dir, first+1), read(t, keyFile(dir, first)), 0o600))
	require.NoError(t, os.WriteFile(tagsFile(dir, first+1), read(t, tagsFile(dir, first)), 0o600))
	requireRefused(t, dir, first+1, keys, packets)
}

// TestKeyThatWasOverStaysSo when the clock is set back, though its files are there: because they could not be erased when
// it was time.
func TestKeyThatWasOverStaysSo(t *testing.T) {
	dir, keys, _ := started(t)
	key, tags := read(t, keyFile(dir, first-1)), read(t, tagsFile(dir, first-1))
	require.NoError(t, open(t, dir, begin(first+1)).Close())
	requireFiles(t, dir, first, first+1, first+2)
	require.NoError(t, os.WriteFile(keyFile(dir, first-1), key, 0o600))
	require.NoError(t, os.WriteFile(tagsFile(dir, first-1), tags, 0o600))
	r := open(t, dir, begin(first))
	requireEpochs(t, r, first, first+1)
	require.Equal(t, keys[first], keysOf(t, r)[first])
	requireFiles(t, dir, first, first+1, first+2)
}

// TestCrashWhileAKeyIsMade: after the log, and in the middle of the key's file, which must not stay under any name.
func TestCrashWhileAKeyIsMade(t *testing.T) {
	dir, keys, packets := started(t)
	require.NoError(t, os.Rename(keyFile(dir, first+1), keyFile(dir, first+1)+".partial"))
	require.NoError(t, os.Link(keyFile(dir, first+1)+".partial", dir+"-other-name"))
	requireRefused(t, dir, first+1, keys, packets)
	left := read(t, dir+"-other-name")
	require.Equal(t, make([]byte, len(left)), left, "it may be a whole key")
}

// TestCrashWhileAKeyIsErased: its file is gone or zeros, its log is still there.
func TestCrashWhileAKeyIsErased(t *testing.T) {
	for _, zeros := range []bool{false, true} {
		dir, _, _ := started(t)
		if zeros {
			require.NoError(t, os.WriteFile(keyFile(dir, first-1), make([]byte, 52), 0o600))
		} else {
			require.NoError(t, os.Remove(keyFile(dir, first-1)))
		}
		r := open(t, dir, begin(first+1))
		requireEpochs(t, r, first, first+1, first+2)
		requireFiles(t, dir, first, first+1, first+2)
	}
}

func TestExpiredKeysAreErasedAtOpen(t *testing.T) {
	dir, keys, _ := started(t)
	require.NoError(t, os.Link(keyFile(dir, first), dir+"-other-name"))
	require.NoError(t, os.WriteFile(tagsFile(dir, first), []byte("who would look into it"), 0o600))
	require.NoError(t, os.WriteFile(keyFile(dir, 0), nil, 0o600))
	require.NoError(t, os.WriteFile(keyFile(dir, 1<<64-1), nil, 0o600))
	r, logs := openLogged(t, dir, begin(first+2))
	requireEpochs(t, r, first+1, first+2, first+3)
	require.Equal(t, keys[first+1], keysOf(t, r)[first+1])
	requireFiles(t, dir, first+1, first+2, first+3)
	require.NotContains(t, logs, "WARN")
	left := read(t, dir+"-other-name")
	require.Equal(t, make([]byte, len(left)), left)
}

// TestOtherFilesAreLeftAlone, even those whose names are almost ours.
func TestOtherFilesAreLeftAlone(t *testing.T) {
	dir, _, _ := started(t)
	others := []string{
		"identity", "epoch-1", "epoch-01.key", "epoch--1.key", "epoch-+1.key", "epoch-1.key.bak", "epoch-x.tags", "epoch-1.tags.key",
		"epoch-18446744073709551616.key", "Epoch-1.key", "epoch-1.tags.partial", "epoch-.key", "my epoch-1.key", "epoch-0505000.key",
	}
	for _, name := range others {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o755))
	r, logs := openLogged(t, dir, begin(first+5000))
	advance(t, r, begin(first+5003))
	require.NotContains(t, logs, "WARN")
	for _, name := range others {
		require.Equal(t, name, string(read(t, filepath.Join(dir, name))))
	}
	require.Len(t, names(t, dir), len(others)+1+1+4)
}

// FuzzKeyFile: whatever is in a key's file, the ring opens, and uses either the key that was saved or a new one.
func FuzzKeyFile(f *testing.F) {
	source := bytes.NewReader(bytes.Repeat([]byte{1, 2, 3}, 100))
	dir := newFolder(f)
	r, err := keyring.Open(keyring.Config{Dir: dir, Random: source}, begin(first))
	require.NoError(f, err)
	saved := keysOf(f, r)[first]
	require.NoError(f, r.Close())
	whole, tags := read(f, keyFile(dir, first)), read(f, tagsFile(dir, first))
	f.Add(whole)
	f.Add(whole[:30])
	f.Add(append(slices.Clone(whole), 0))
	f.Fuzz(func(t *testing.T, content []byte) {
		require.NoError(t, os.WriteFile(keyFile(dir, first), content, 0o600))
		require.NoError(t, os.WriteFile(tagsFile(dir, first), tags, 0o600))
		r, err := keyring.Open(keyring.Config{Dir: dir}, begin(first))
		require.NoError(t, err)
		require.Equal(t, bytes.Equal(content, whole), keysOf(t, r)[first] == saved)
		require.NoError(t, r.Close())
	})
}
