package system_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTransfersSurviveAMix: two users of one proxy download and upload at once, each in a session that the other has no part
// in, while a mix on their paths is ended by SIGKILL. What arrives is what was sent.
func TestTransfersSurviveAMix(t *testing.T) {
	t.Parallel()
	down, up := 2_000_000, 500_000
	if long {
		down, up = 20_000_000, 5_000_000
	}
	const nodes, exits = 7, 2
	n := start(t, plan{nodes: nodes, node: func(i int) settings {
		return localExit(settings{"exit.enabled": strconv.FormatBool(i < exits)})
	}})
	socks := n.startProxy().socks
	contents := map[string][]byte{"one": noise(1, down), "two": noise(2, down)}
	var uploaded, waiting atomic.Int64 // bytes, and transfers of which a third is through
	goOn := make(chan struct{})        // closed when these may
	pause := func() {
		waiting.Add(1)
		<-goOn
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			hash := sha256.New()
			to := io.MultiWriter(hash, counter{&uploaded})
			_, err := io.CopyN(to, r.Body, int64(up/3))
			assert.NoError(t, err)
			pause()
			_, err = io.Copy(to, r.Body)
			assert.NoError(t, err)
			fmt.Fprintf(w, "%x", hash.Sum(nil))
			return
		}
		content := contents[r.URL.Path[1:]]
		_, err := w.Write(content[:down/3])
		assert.NoError(t, err)
		assert.NoError(t, http.NewResponseController(w).Flush())
		pause()
		_, err = w.Write(content[down/3:])
		assert.NoError(t, err)
	}))
	defer server.Close()
	resume := sync.OnceFunc(func() { close(goOn) })
	defer resume()

	folder, began := t.TempDir(), time.Now()
	var running []*process
	file := func(user, what string) string { return filepath.Join(folder, user+what) }
	for user, content := range contents {
		require.NoError(t, os.WriteFile(file(user, ""), content[:up], 0o600))
		for _, way := range [][]string{
			{"--output", file(user, "-down")},
			{"--output", file(user, "-up"), "--upload-file", file(user, "")},
		} {
			running = append(running, begin(t, folder, exec.Command(installed(t, "curl"), append(way, "-q", "--silent", "--show-error",
				"--max-time", "1000", "--socks5-hostname", socks, "--proxy-user", user+":1", server.URL+"/"+user)...)))
		}
	}
	all := int64(2 * (down + up))
	moved := func() (bytes int64) { // that have arrived, in all four transfers
		for user := range contents {
			if at, err := os.Stat(file(user, "-down")); err == nil {
				bytes += at.Size()
			}
		}
		return bytes + uploaded.Load()
	}
	await(t, "all are at a third", func() bool {
		for _, p := range running {
			require.True(t, p.runs(), "%s ended", p.name)
		}
		return waiting.Load() == int64(len(running))
	})
	sessions, gone := 0, (*mix)(nil)
	for i, m := range n.nodes {
		if i < exits {
			sessions += m.exitSessions()
		} else if m.mustStats().Links.Others == 0 { // not the gateway
			gone = m
		}
	}
	require.Equal(t, 2, sessions, "one for each user")
	resume()
	if long { // it takes a while: who sends does not know at once that a mix is gone
		await(t, "half of it has arrived", func() bool { return moved() > all/2 })
		gone.kill()
		t.Logf("%s was ended after %v, when %d of %d bytes were there", gone.name, time.Since(began), moved(), all)
	}
	for _, p := range running {
		await(t, p.name+" ends", func() bool { return !p.runs() })
		status, _ := p.state()
		require.Zero(t, status, p.said(1000))
	}
	t.Logf("two downloads of %d bytes and two uploads of %d took %v", down, up, time.Since(began))
	for user, content := range contents {
		got, err := os.ReadFile(file(user, "-down"))
		require.NoError(t, err)
		requireEqual(t, content, got, user)
		digest, err := os.ReadFile(file(user, "-up"))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%x", sha256.Sum256(content[:up])), string(digest), user)
	}
}

// counter counts the bytes that are written to it.
type counter struct{ bytes *atomic.Int64 }

func (c counter) Write(content []byte) (int, error) {
	c.bytes.Add(int64(len(content)))
	return len(content), nil
}

var exitSessions = regexp.MustCompile(`(?m)^mixnet_exit_sessions (\d+)$`)

// exitSessions asks an exit how many sessions it has.
func (m *mix) exitSessions() int {
	m.t.Helper()
	answer, err := http.Get("http://" + m.operator + "/metrics")
	require.NoError(m.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(m.t, err)
	found := exitSessions.FindSubmatch(text)
	require.NotNil(m.t, found, "%s", text)
	sessions, err := strconv.Atoi(string(found[1]))
	require.NoError(m.t, err)
	return sessions
}
