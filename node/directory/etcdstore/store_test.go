package etcdstore

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/directory/storetest"
	"sphinxmix.example/node/nodetest/loopback"
)

// startEtcd runs an etcd of one member until the test ends, and returns where it is. Without the program the test is
// skipped, but not in CI.
func startEtcd(t *testing.T) (host string, process *os.Process) {
	t.Helper()
	program, err := exec.LookPath("etcd")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("etcd is not installed: the package is called etcd-server")
		}
		t.Skip("etcd is not installed: the package is called etcd-server")
	}
	client, peer := loopback.Free(t), loopback.Free(t)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	command := exec.Command(program, "--name", "test", "--data-dir", filepath.Join(t.TempDir(), "data"), "--unsafe-no-fsync",
		"--listen-client-urls", "http://"+client, "--advertise-client-urls", "http://"+client,
		"--listen-peer-urls", "http://"+peer, "--initial-advertise-peer-urls", "http://"+peer, "--initial-cluster", "test=http://"+peer)
	command.Stdout, command.Stderr = log, log
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("etcd said: …%s", text[max(0, len(text)-4000):])
		}
	})
	return client, command.Process
}

// awaitEtcd waits until etcd has elected itself.
func awaitEtcd(t *testing.T, host string) {
	t.Helper()
	s, closeStore := openAt(t, "etcd://"+host)
	defer closeStore()
	await(t, s)
}

// await waits until a store has an etcd that answers.
func await(t *testing.T, s *Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		_, err := s.get(ctx, "ready")
		if err == nil {
			return
		}
		require.NoError(t, ctx.Err(), "etcd does not start: %v", err)
	}
}

// halt stops a process, and returns when no part of it does anything any more.
func halt(t *testing.T, process *os.Process) {
	t.Helper()
	require.NoError(t, process.Signal(syscall.SIGSTOP))
	var status syscall.WaitStatus
	_, err := syscall.Wait4(process.Pid, &status, syscall.WUNTRACED, nil)
	require.NoError(t, err)
	require.True(t, status.Stopped())
}

func resume(t *testing.T, process *os.Process) {
	t.Helper()
	require.NoError(t, process.Signal(syscall.SIGCONT))
}

func openAt(t *testing.T, url string) (*Store, func()) {
	t.Helper()
	s, err := Open(url)
	require.NoError(t, err)
	var once sync.Once
	return s, func() { once.Do(func() { s.Close() }) }
}

func TestStore(t *testing.T) {
	host, _ := startEtcd(t)
	awaitEtcd(t, host)
	var networks atomic.Int64
	fresh := func(*testing.T) storetest.Data {
		url := fmt.Sprintf("etcd://%s/test/%d", host, networks.Add(1))
		return func(t *testing.T) (directory.Store, func()) { return openAt(t, url) }
	}
	t.Run("alone", func(t *testing.T) { storetest.Run(t, fresh) })
	t.Run("shared", func(t *testing.T) { storetest.RunShared(t, fresh) })
	t.Run("two directories in one etcd", func(t *testing.T) {
		a, _ := openAt(t, "etcd://"+host+"/a")
		b, _ := openAt(t, "etcd://"+host+"/ab/")
		defer a.Close()
		defer b.Close()
		_, err := a.Set(t.Context(), "view", []byte("a"), 0)
		require.NoError(t, err)
		values, mark, err := b.Since(t.Context(), 0)
		require.NoError(t, err)
		require.Empty(t, values)
		_, err = b.Set(t.Context(), "view", []byte("b"), mark)
		require.NoError(t, err)
		values, _, err = a.Since(t.Context(), 0)
		require.NoError(t, err)
		require.Equal(t, map[string][]byte{"view": []byte("a")}, values)
	})
	t.Run("nothing is left of large values", func(t *testing.T) {
		s, closeStore := openAt(t, "etcd://"+host+"/parts")
		defer closeStore()
		requireParts := func(n int64) {
			t.Helper()
			got, err := s.get(t.Context(), s.partsOf("view"), clientv3.WithPrefix(), clientv3.WithCountOnly())
			require.NoError(t, err)
			require.Equal(t, n, got.Count)
		}
		large := make([]byte, 3*partSize)
		set, err := s.Set(t.Context(), "view", large, 0)
		require.NoError(t, err)
		require.True(t, set)
		requireParts(3)
		set, err = s.Set(t.Context(), "view", large, 0)
		require.NoError(t, err)
		require.False(t, set)
		requireParts(3)
		// A server that died in the middle leaves parts behind.
		require.NoError(t, s.putPart(t.Context(), s.partsAt("view", "0000")+"0000", large[:1]))
		require.NoError(t, s.putPart(t.Context(), s.partsAt("view", "ffff")+"0000", large[:1]))
		requireParts(5)
		set, err = s.Set(t.Context(), "view", large[1:], 1<<40)
		require.NoError(t, err)
		require.True(t, set)
		requireParts(3)
		set, err = s.Set(t.Context(), "view", []byte("small"), 1<<40)
		require.NoError(t, err)
		require.True(t, set)
		requireParts(0)
	})
}

// Who asks an etcd that is not there, or that has stopped, is told so in time.
func TestSilentEtcdIsAnErrorInTime(t *testing.T) {
	s, closeStore := openAt(t, "etcd://127.0.0.1:1")
	defer closeStore()
	requireNoAnswer(t, s)

	host, process := startEtcd(t)
	awaitEtcd(t, host)
	s, closeStore = openAt(t, "etcd://"+host)
	defer closeStore()
	_, err := s.Set(t.Context(), "view", []byte("first"), 0)
	require.NoError(t, err)
	halt(t, process)
	requireNoAnswer(t, s)
	resume(t, process)
	await(t, s)
	values, _, err := s.Since(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"view": []byte("first")}, values)
}

// A directory whose etcd stops in the middle goes on to show its view, before a client loses patience, and takes nodes
// in again when etcd goes on.
func TestDirectoryOutlivesItsEtcd(t *testing.T) {
	host, process := startEtcd(t)
	awaitEtcd(t, host)
	s, closeStore := openAt(t, "etcd://"+host)
	defer closeStore()
	storetest.Outage(t, s, func() { halt(t, process) }, func() {
		resume(t, process)
		await(t, s)
	})
}

func requireNoAnswer(t *testing.T, s *Store) {
	t.Helper()
	for name, ask := range map[string]func(context.Context) error{
		"since": func(ctx context.Context) error { _, _, err := s.Since(ctx, 0); return err },
		"set":   func(ctx context.Context) error { _, err := s.Set(ctx, "view", []byte("lost"), 0); return err },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second/4, cancel)
		require.ErrorIs(t, ask(ctx), context.Canceled, "%s ends with its context, and not with the time of a call", name)
	}
}

func TestURLs(t *testing.T) {
	for url, want := range map[string]struct {
		endpoints []string
		prefix    string
	}{
		"etcd://127.0.0.1:2379":             {[]string{"http://127.0.0.1:2379"}, "sphinxmix/"},
		"etcd://a.example:1,[::1]:2":        {[]string{"http://a.example:1", "http://[::1]:2"}, "sphinxmix/"},
		"etcd://a.example:1/":               {[]string{"http://a.example:1"}, "sphinxmix/"},
		"etcds://a.example:1/some/network/": {[]string{"https://a.example:1"}, "some/network/"},
	} {
		cfg, prefix, err := parse(url)
		require.NoError(t, err, url)
		require.Equal(t, want.endpoints, cfg.Endpoints)
		require.Equal(t, want.prefix, prefix)
		require.Equal(t, url[:5] == "etcds", cfg.TLS != nil, url)
	}
	for _, url := range []string{
		"", "etcd", "etcd://", "etcd:///prefix", "etcd://host", "etcd://host:", "etcd://:2379", "etcd://a:1,", "etcd://a:1,b", "http://a:1",
		"etcd://u:p@a:1", "etcd://a:1?x=y", "etcd://a:1 /x",
	} {
		_, err := Open(url)
		require.ErrorContains(t, err, "etcd://host:port,host:port/prefix", url)
	}
}
