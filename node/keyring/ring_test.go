package keyring_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/keyring"
	"sphinxmix.example/sphinx"
)

// TestThirtyDays of epochs of an hour: at each hour there are the previous, the current and the next key; a key stays the
// same as long as it is there, opens packets as long, and no two are the same.
func TestThirtyDays(t *testing.T) {
	bothKinds(t, func(t *testing.T, dir string) {
		hours := uint64(30 * 24)
		if dir != "" {
			hours = 3 * 24 // the disk takes its time
		}
		r := open(t, dir, begin(first).Add(20*time.Minute))
		requireEpochs(t, r, first, first+1)
		seen, packets := make(map[uint64]sphinx.PublicKey), make(map[uint64][]byte)
		owner := make(map[sphinx.PublicKey]uint64)
		now := begin(first).Add(20 * time.Minute)
		for number := uint64(first); number < first+hours; number++ {
			before := r.Epochs()
			was := append([]*keyring.Epoch(nil), before...)
			changed, next, err := r.Advance(now)
			require.NoError(t, err)
			require.Equal(t, number != first, changed)
			require.True(t, next.Equal(begin(number+1)), next)
			require.Equal(t, was, before, "a slice that was given out has changed")
			if number == first {
				requireEpochs(t, r, number, number+1)
			} else {
				requireEpochs(t, r, number-1, number, number+1)
			}
			for number, key := range keysOf(t, r) {
				if known, ok := seen[number]; ok {
					require.Equal(t, known, key)
				} else {
					_, taken := owner[key]
					require.False(t, taken)
					seen[number], owner[key], packets[number] = key, number, packetFor(t, key)
				}
			}
			if number > first {
				require.NoError(t, unwrap(t, r, number-1, packets[number-1]), "in the last hour of its key")
				require.ErrorIs(t, unwrap(t, r, number-1, packets[number-1]), sphinx.ErrReplay)
			}
			require.NoError(t, r.Commit())
			if dir != "" && number > first {
				requireFiles(t, dir, number-1, number, number+1)
			}
			require.False(t, advance(t, r, now), "nothing is left to do")
			now = next
		}
		require.Len(t, seen, int(hours)+1)
	})
}

// TestRestart at any point: keys stay, what was committed is refused, and keys whose time has come meanwhile are erased.
func TestRestart(t *testing.T) {
	dir, random := newFolder(t), rand.New(rand.NewPCG(1, 2))
	now := begin(first)
	packets := make(map[uint64][]byte) // that were opened, and that
	stored := make(map[uint64]bool)    // was committed
	keys := make(map[uint64]sphinx.PublicKey)
	for range 60 {
		now = now.Add(time.Duration(random.Int64N(int64(3 * epoch / 2))))
		current := uint64(now.Unix()) / 3600
		r, err := keyring.Open(keyring.Config{Dir: dir, MaxTags: 100}, now) // an hour is the default
		require.NoError(t, err)
		there := keysOf(t, r)
		for number := current - 1; number <= current+1; number++ {
			key, known := keys[number]
			if known {
				require.Equal(t, key, there[number])
			} else if number >= current {
				require.Contains(t, there, number)
			}
			if stored[number] {
				require.ErrorIs(t, unwrap(t, r, number, packets[number]), sphinx.ErrReplay)
			}
		}
		clear(keys)
		for _, number := range slices.Sorted(maps.Keys(there)) {
			key := there[number]
			keys[number] = key
			if !stored[number] && random.IntN(3) > 0 {
				packets[number] = packetFor(t, key)
				require.NoError(t, unwrap(t, r, number, packets[number]))
				stored[number] = random.IntN(4) > 0
			}
		}
		for number := range there {
			if stored[number] {
				require.NoError(t, find(t, r, number).Commit())
			}
		}
		require.NoError(t, r.Close())
	}
	require.Greater(t, len(stored), 20)
}

// TestCommitIsOfAllEpochs, also of one that is over or waits for the clock.
func TestCommitIsOfAllEpochs(t *testing.T) {
	dir := newFolder(t)
	r := open(t, dir, begin(first))
	advance(t, r, begin(first+1))
	packets := make(map[uint64][]byte)
	for number, key := range keysOf(t, r) {
		packets[number] = packetFor(t, key)
		require.NoError(t, unwrap(t, r, number, packets[number]))
	}
	require.True(t, advance(t, r, begin(first)), "one boundary back")
	requireEpochs(t, r, first, first+1)
	require.NoError(t, r.Commit())
	require.NoError(t, r.Close())
	r = open(t, dir, begin(first+1))
	for number, packet := range packets {
		require.ErrorIs(t, unwrap(t, r, number, packet), sphinx.ErrReplay)
	}
}

func TestKeysInMemoryDieWithTheRing(t *testing.T) {
	r := open(t, "", begin(first))
	before := keysOf(t, r)
	require.NoError(t, r.Close())
	for number, key := range keysOf(t, open(t, "", begin(first))) {
		require.NotEqual(t, before[number], key)
	}
}

// TestErasure: once an epoch is over, its key is nowhere any more, and those who hold the Epoch cannot use it.
func TestErasure(t *testing.T) {
	bothKinds(t, func(t *testing.T, dir string) {
		r := open(t, dir, begin(first))
		e := find(t, r, first)
		packet := packetFor(t, e.Public())
		require.NoError(t, unwrap(t, r, first, packet))
		require.NotEqual(t, make([]byte, sphinx.KeySize), e.Key.Bytes())
		if dir != "" {
			require.Contains(t, string(read(t, keyFile(dir, first))), string(e.Key.Bytes()), "the test knows where to look")
			require.NoError(t, os.Link(keyFile(dir, first), dir+"-other-name"))
		}
		advance(t, r, begin(first+2))

		require.Nil(t, r.Find(uint8(first%256)))
		require.Equal(t, make([]byte, sphinx.KeySize), e.Key.Bytes())
		_, err := e.NewUnwrapper(params)
		require.ErrorIs(t, err, keyring.ErrErased)
		_, err = sphinx.NewUnwrapper(params, e.Key, e.Tags)
		require.ErrorIs(t, err, sphinx.ErrKey)
		require.NoError(t, e.Commit(), "nothing is left that could be repeated")
		require.NoError(t, r.Commit())
		if dir != "" {
			require.Error(t, e.Tags.Fresh([]sphinx.Tag{{9}}, make([]bool, 1)))
			requireFiles(t, dir, first+1, first+2, first+3)
			left := read(t, dir+"-other-name")
			require.Equal(t, make([]byte, len(left)), left)
			require.NotEmpty(t, left)
		}
	})
}

func TestClose(t *testing.T) {
	bothKinds(t, func(t *testing.T, dir string) {
		r := open(t, dir, begin(first))
		e := find(t, r, first)
		require.NoError(t, unwrap(t, r, first, packetFor(t, e.Public())))
		require.NoError(t, r.Close())
		require.Equal(t, make([]byte, sphinx.KeySize), e.Key.Bytes())
		require.Empty(t, r.Epochs())
		require.Empty(t, r.Keys())
		require.Nil(t, r.Find(uint8(first%256)))
		_, err := e.NewUnwrapper(params)
		require.ErrorIs(t, err, keyring.ErrErased)
		require.ErrorIs(t, r.Commit(), keyring.ErrClosed, "what was not committed is lost")
		if dir != "" {
			require.Error(t, e.Commit(), "the key is on disk, and can open the packet again")
			requireFiles(t, dir, first, first+1)
		}
		changed, _, err := r.Advance(begin(first + 1))
		require.ErrorIs(t, err, keyring.ErrClosed)
		require.False(t, changed)
		require.NoError(t, r.Close())
	})
}

// TestEpochByte is about the numbers around one where the byte that stands for them begins anew.
func TestEpochByte(t *testing.T) {
	r := open(t, "", begin(511))
	advance(t, r, begin(512))
	for _, number := range []uint64{511, 512, 513} {
		find(t, r, number)
	}
	require.Nil(t, r.Find(2))
	require.Nil(t, r.Find(254))
}

// TestRandomIsHonouredToTheByte: 32 bytes a key, in the order of epochs, and no more.
func TestRandomIsHonouredToTheByte(t *testing.T) {
	bothKinds(t, func(t *testing.T, dir string) {
		stream := make([]byte, 3*sphinx.KeySize)
		_, _ = rand.NewChaCha8([32]byte{1}).Read(stream)
		source := bytes.NewBuffer(stream[:len(stream):len(stream)])
		r, err := keyring.Open(keyring.Config{Dir: dir, Random: iotest.OneByteReader(source)}, begin(first))
		require.NoError(t, err)
		defer r.Close()
		require.Equal(t, sphinx.KeySize, source.Len())
		advance(t, r, begin(first+1))
		require.Zero(t, source.Len())
		for i := range uint64(3) {
			key, err := sphinx.NewPrivateKey(stream[i*sphinx.KeySize : (i+1)*sphinx.KeySize])
			require.NoError(t, err)
			require.Equal(t, key.Public(), keysOf(t, r)[first+i])
			require.True(t, key.Equal(find(t, r, first+i).Key))
		}

		// Then there is no more. What there is stays in use, and what is over goes all the same.
		now := begin(first + 2)
		changed, next, err := r.Advance(now)
		require.ErrorIs(t, err, io.EOF)
		require.True(t, changed)
		require.True(t, next.After(now) && !next.After(now.Add(time.Minute)), "%v: soon", next)
		requireEpochs(t, r, first+1, first+2)
		source.Write(bytes.Repeat([]byte{7}, sphinx.KeySize))
		require.True(t, advance(t, r, now.Add(time.Minute)))
		requireEpochs(t, r, first+1, first+2, first+3)
	})
}

// TestRepeatedRandomnessIsRefused: one key in two epochs has two sets of tags, and takes each packet twice.
func TestRepeatedRandomnessIsRefused(t *testing.T) {
	bothKinds(t, func(t *testing.T, dir string) {
		_, err := keyring.Open(keyring.Config{Dir: dir, Random: bytes.NewReader(bytes.Repeat([]byte{7}, 64))}, begin(first))
		require.ErrorContains(t, err, "repeats itself")
	})
}

func TestConfigOutOfBounds(t *testing.T) {
	for field, cfg := range map[string]keyring.Config{
		"Length":  {Length: 1500 * time.Millisecond},
		"Length ": {Length: -time.Hour},
		"MaxTags": {MaxTags: -1},
	} {
		_, err := keyring.Open(cfg, begin(first))
		require.ErrorContains(t, err, "Config."+strings.TrimSpace(field))
	}
	_, err := keyring.Open(keyring.Config{Random: iotest.ErrReader(errors.New("no randomness"))}, begin(first))
	require.ErrorContains(t, err, "no randomness")
}

// TestNothingOfAKeyIsPrinted by any verb, of whatever a Ring's user may have in hand, nor logged.
func TestNothingOfAKeyIsPrinted(t *testing.T) {
	var logs bytes.Buffer
	r, err := keyring.Open(keyring.Config{
		Dir: newFolder(t), Log: slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}, begin(first))
	require.NoError(t, err)
	defer r.Close()
	e := find(t, r, first)
	require.NoError(t, unwrap(t, r, first, packetFor(t, e.Public())))
	secret := e.Key.Bytes()
	var text strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U", "%t", "%T"} {
		for _, value := range []any{
			r, e, e.Key, r.Epochs(),
			[]any{r, e},
			map[string]any{"": e},
			struct{ E *keyring.Epoch }{e},
			struct{ e *keyring.Epoch }{e},
			struct{ r *keyring.Ring }{r},
			reflect.ValueOf(r).Elem().Interface(), reflect.ValueOf(e).Elem().Interface(), // copies, as nobody makes them
		} {
			fmt.Fprintf(&text, verb+"\n", value)
		}
	}
	advance(t, r, begin(first+2))
	text.WriteString(logs.String())
	require.Contains(t, text.String(), fmt.Sprintf("keyring.Epoch(%d)", first))
	require.Contains(t, logs.String(), "erased")
	for part := range slices.Chunk(secret, 8) { // fewer bytes might be in an address by chance
		numbers := strings.Trim(fmt.Sprint(part), "[]")
		for _, form := range []string{
			string(part), hex.EncodeToString(part), fmt.Sprintf("%X", part), numbers, strings.ReplaceAll(numbers, " ", ", "),
		} {
			require.NotContains(t, text.String(), form)
		}
	}
}
