package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// TestDirectoryTakesEachNewPolicy within some seconds, and keeps the one before where that in the file is none.
func TestDirectoryTakesEachNewPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log output
		said := func() string {
			text, _ := log.now()
			return text
		}
		file := filepath.Join(t.TempDir(), "policy.signed")
		p := &policyFile{name: file, key: parsePolicyKey(testPolicyKey)}
		names := 0
		policy := func(version uint64, life time.Duration) []byte {
			return signPolicy(t, version, life, func(p *tao.Policy) { // each has another size, as base64 too: time on disk is not virtual
				names += 3
				p.Programs = []tao.Allowed{{Roles: tao.RolesOf(tao.Mix), Name: strings.Repeat("x", names)}}
			})
		}
		first := policy(1, 72*time.Hour)
		writePEM(t, file, policyBlock, first)
		loaded, err := p.load(time.Now())
		require.NoError(t, err)
		require.Equal(t, first, loaded)

		var taken [][]byte
		var refusal error
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			p.follow(ctx, func(signed []byte) error {
				taken = append(taken, signed)
				return refusal
			}, slog.New(slog.NewTextHandler(&log, nil)))
		}()
		later := func() {
			time.Sleep(policyInterval + time.Millisecond)
			synctest.Wait()
		}
		later()
		require.Empty(t, taken, "it is the one that was loaded")

		time.Sleep(47 * time.Hour)
		require.NotContains(t, said(), "are over")
		time.Sleep(time.Hour + policyInterval)
		require.Equal(t, 1, strings.Count(said(), "three quarters of the policy's life are over"))
		time.Sleep(policyReminder + policyInterval)
		require.Equal(t, 2, strings.Count(said(), "three quarters of the policy's life are over"))

		second := policy(2, time.Hour)
		writePEM(t, file, policyBlock, second)
		later()
		require.Equal(t, [][]byte{second}, taken)
		require.Contains(t, said(), "a new policy")

		writePEM(t, file, policyBlock, policy(3, -time.Second))
		later()
		writePEM(t, file, policyBlock, second[:len(second)-1])
		later()
		require.NoError(t, os.Remove(file))
		later()
		require.Len(t, taken, 1)
		for _, wrong := range []string{"it was good until", "not signed by the policy key", "there is no file"} {
			require.Equal(t, 1, strings.Count(said(), wrong), "%s: %s", wrong, said())
		}
		later()
		require.Equal(t, 3, strings.Count(said(), "the one before stays"), "it is said once")

		refusal = errors.New("it is older than the moon")
		writePEM(t, file, policyBlock, policy(4, time.Hour))
		later()
		require.Contains(t, said(), "it is older than the moon")
		cancel()
		<-ended
	})
}
