package keyring_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/keyring"
	"sphinxmix.example/sphinx"
)

// TestClockThatIsSet from one epoch to others, in one run and with a restart before each: which keys are there, and which
// of them are the ones that were there at the start.
func TestClockThatIsSet(t *testing.T) {
	const n = first // the ring has the keys of n−1, n and n+1
	for _, c := range []struct {
		name  string
		to    []uint64 // epochs that the clock shows
		want  []uint64
		same  []uint64 // of want, with the key of the start
		files []uint64 // want if nil
	}{
		{"ahead by one", []uint64{n + 1}, []uint64{n, n + 1, n + 2}, []uint64{n, n + 1}, nil},
		{"ahead by two", []uint64{n + 2}, []uint64{n + 1, n + 2, n + 3}, []uint64{n + 1}, nil},
		{"ahead by three", []uint64{n + 3}, []uint64{n + 3, n + 4}, nil, nil},
		{"ahead by a year", []uint64{n + 8760}, []uint64{n + 8760, n + 8761}, nil, nil},
		{"ahead by a year and back", []uint64{n + 8760, n}, []uint64{n, n + 1}, nil, nil},
		{"ahead by one and back", []uint64{n + 1, n}, []uint64{n, n + 1}, []uint64{n, n + 1}, []uint64{n, n + 1, n + 2}},
		{"back by one", []uint64{n - 1}, []uint64{n - 1, n}, []uint64{n - 1, n}, []uint64{n - 1, n, n + 1}},
		{"back by one and ahead", []uint64{n - 1, n}, []uint64{n - 1, n, n + 1}, []uint64{n - 1, n, n + 1}, nil},
		{"back by two", []uint64{n - 2}, []uint64{n - 2, n - 1}, []uint64{n - 1}, []uint64{n - 2, n - 1, n}},
		{"back by two and ahead", []uint64{n - 2, n}, []uint64{n - 1, n, n + 1}, []uint64{n - 1, n}, nil},
		{"back by three", []uint64{n - 3}, []uint64{n - 3, n - 2}, nil, []uint64{n - 3, n - 2, n - 1}},
		{"back by four", []uint64{n - 4}, []uint64{n - 4, n - 3}, nil, nil},
		{"back by years", []uint64{n - 50_000}, []uint64{n - 50_000, n - 49_999}, nil, nil},
		{"back by years and ahead", []uint64{n - 50_000, n}, []uint64{n, n + 1}, nil, nil},
		{"to 1970", []uint64{0}, []uint64{0, 1}, nil, nil},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %v", c.name, restart), func(t *testing.T) {
				dir := newFolder(t)
				r := open(t, dir, begin(n-1))
				advance(t, r, begin(n))
				start := keysOf(t, r)
				require.Len(t, start, 3)
				packets := make(map[uint64][]byte)
				for number, key := range start {
					packets[number] = packetFor(t, key)
					require.NoError(t, unwrap(t, r, number, packets[number]))
				}
				require.NoError(t, r.Commit())
				for _, to := range c.to {
					if restart {
						require.NoError(t, r.Close())
						r = open(t, dir, begin(to).Add(time.Minute))
					} else {
						advance(t, r, begin(to).Add(time.Minute))
					}
				}
				requireEpochs(t, r, c.want...)
				for number, key := range keysOf(t, r) {
					if was, there := start[number]; there {
						require.Equal(t, slices.Contains(c.same, number), key == was, "epoch %d", number)
					}
					if slices.Contains(c.same, number) {
						require.ErrorIs(t, unwrap(t, r, number, packets[number]), sphinx.ErrReplay)
					}
				}
				if c.files == nil {
					c.files = c.want
				}
				requireFiles(t, dir, c.files...)
			})
		}
	}
}

func TestClockBefore1970(t *testing.T) {
	r := open(t, "", time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC))
	requireEpochs(t, r, 0, 1)
	changed, next, err := r.Advance(time.Unix(0, -1))
	require.NoError(t, err)
	require.False(t, changed)
	require.True(t, next.Equal(begin(1)))
}

// TestAnyClock walks at random, a step here and a jump there. Whatever the clock does: the current epoch and the next have
// keys, no more than three are in use, nothing else is but the previous, and no key comes back that was erased.
func TestAnyClock(t *testing.T) {
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 3))
		now := begin(first)
		r, err := keyring.Open(keyring.Config{Length: epoch}, now)
		require.NoError(t, err)
		byKey := make(map[sphinx.PublicKey]*keyring.Epoch)
		for range 200 {
			step := time.Duration(random.NormFloat64() * float64(epoch))
			if random.IntN(10) == 0 {
				step *= 10
			}
			now = now.Add(step)
			current := uint64(now.Unix()) / 3600
			before := keysOf(t, r)
			changed := advance(t, r, now)
			keys := keysOf(t, r)
			require.Equal(t, !maps.Equal(before, keys), changed)
			require.Contains(t, keys, current)
			require.Contains(t, keys, current+1)
			require.LessOrEqual(t, len(keys), 3)
			for number := range keys {
				require.True(t, number+1 >= current && number <= current+1, "%d is in use in %d", number, current)
			}
			for _, e := range r.Epochs() {
				known, ok := byKey[e.Public()]
				require.True(t, !ok || known == e, "a key in two epochs")
				byKey[e.Public()] = e
			}
			for _, e := range byKey {
				wiped := [sphinx.KeySize]byte(e.Key.Bytes()) == [sphinx.KeySize]byte{}
				switch {
				case r.Find(uint8(e.Number)) == e:
					require.False(t, wiped)
				case e.Number+1 < current || e.Number > current+2:
					require.True(t, wiped, "the key of %d is still there in %d", e.Number, current)
				}
			}
		}
		require.NoError(t, r.Close())
	}
}
