package tao_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// TestNamesAreReadAsTheyAreWritten is about words in files that people write.
func TestNamesAreReadAsTheyAreWritten(t *testing.T) {
	for name, role := range map[string]tao.Role{"mix": tao.Mix, "exit": tao.Exit, "directory": tao.Directory} {
		require.Equal(t, name, role.String())
		got, err := tao.ParseRole(name)
		require.NoError(t, err)
		require.Equal(t, role, got)
	}
	for name, kind := range map[string]tao.Kind{"tpm": tao.TPM, "soft": tao.Soft} {
		require.Equal(t, name, kind.String())
		got, err := tao.ParseKind(name)
		require.NoError(t, err)
		require.Equal(t, kind, got)
	}
	for name, strategy := range map[string]tao.Strategy{
		"none": tao.NoStrategy, "threshold": tao.Threshold, "timed": tao.Timed, "pool": tao.Pool, "poisson": tao.Poisson,
	} {
		require.Equal(t, name, strategy.String())
		got, err := tao.ParseStrategy(name)
		require.NoError(t, err)
		require.Equal(t, strategy, got)
	}
	for _, name := range []string{"", "Mix", "tpm ", "role 8", "kind 3", "strategy 5", "batch"} {
		_, err := tao.ParseRole(name)
		require.ErrorContains(t, err, "mix, exit or directory")
		_, err = tao.ParseKind(name)
		require.ErrorContains(t, err, "tpm or soft")
		_, err = tao.ParseStrategy(name)
		require.Error(t, err)
	}
	require.Equal(t, "role 3", tao.Role(3).String())
	require.Equal(t, "kind 0", tao.Kind(0).String())
	require.Equal(t, "kind 3", tao.Kind(3).String())
	require.Equal(t, "strategy 5", tao.Strategy(5).String())
	require.Equal(t, "mix, directory", tao.RolesOf(tao.Mix, tao.Directory).String())
	require.Empty(t, tao.RolesOf().String())
	require.False(t, tao.RolesOf(tao.Mix, tao.Directory).Has(tao.Exit))
	require.False(t, tao.RolesOf(tao.Mix).Has(0))
}

func TestConfigurationInOneLine(t *testing.T) {
	for want, c := range map[string]tao.Configuration{
		"none":                          {},
		"threshold: 4 senders, or 2s":   mixing,
		"timed: every 2s; keys on disk": {Strategy: tao.Timed, Interval: 2 * time.Second, KeepsKeys: true},
		"poisson: mean delay 50ms, none longer than 10s":                                                                    {Strategy: tao.Poisson, MeanDelay: 50 * time.Millisecond, MaxDelay: 10 * time.Second},
		"pool: every 2.5s, 4 senders, 64 packets stay, and more than 0.75 of all, none for longer than 1m30s; keys on disk": vectorConfiguration,
	} {
		require.Equal(t, want, c.String())
	}
}

// TestConfigurationsCountInMilliseconds wants nothing that is measured to be more than what is enforced: what is cut off was never there.
func TestConfigurationsCountInMilliseconds(t *testing.T) {
	c := mixing
	c.Interval += 999 * time.Microsecond
	require.Equal(t, mixing.Digest(), c.Digest())
	c.Interval = mixing.Interval + time.Millisecond
	require.NotEqual(t, mixing.Digest(), c.Digest())
	c.Interval = -time.Hour
	zero := mixing
	zero.Interval = 0
	require.Equal(t, zero.Digest(), c.Digest())
}
