package keyring_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/keyring"
)

var start = time.Date(2026, 3, 1, 12, 20, 0, 0, time.UTC)

func TestSmoke(t *testing.T) {
	for _, dir := range []string{"", t.TempDir() + "/keys"} {
		r, err := keyring.Open(keyring.Config{Dir: dir, MaxTags: 100}, start)
		require.NoError(t, err)
		require.Len(t, r.Keys(), 2)
		changed, next, err := r.Advance(start.Add(time.Hour))
		require.NoError(t, err)
		require.True(t, changed)
		require.True(t, next.Equal(start.Add(100*time.Minute)), next)
		require.Len(t, r.Keys(), 3)
		changed, _, err = r.Advance(next)
		require.NoError(t, err)
		require.True(t, changed)
		require.Len(t, r.Keys(), 3)
		require.NoError(t, r.Commit())
		keys := r.Keys()
		require.NoError(t, r.Close())
		r, err = keyring.Open(keyring.Config{Dir: dir, MaxTags: 100}, next)
		require.NoError(t, err)
		if dir != "" {
			require.Equal(t, keys, r.Keys())
		}
	}
}
