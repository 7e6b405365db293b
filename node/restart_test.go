package node_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/nodetest"
)

// lateViews is how a directory is asked whose views take their time, and nothing else.
type lateViews struct {
	http.RoundTripper
	by time.Duration
}

func (l lateViews) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/view") {
		time.Sleep(l.by)
	}
	return l.RoundTripper.RoundTrip(r)
}

// TestRestartedNodeLosesNothingBeforeItsFirstView: others find a mix that starts again before that one knows them. Their
// packets wait until it can send them on.
func TestRestartedNodeLosesNothingBeforeItsFirstView(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		box := &inbox{}
		var late atomic.Bool
		n := nodetest.Start(t, nodetest.Config{Mixes: 3, Node: func(i int, cfg *node.Config) {
			withInbox(box, immediate)(i, cfg)
			cfg.KeyDir = filepath.Join(folder, fmt.Sprint(i))
			if late.Load() {
				cfg.Directory.HTTP.Transport = lateViews{cfg.Directory.HTTP.Transport, 3 * time.Second}
			}
		}})
		alice := n.Link("alice", nil, 0)
		send(t, alice, wrap(t, n, "inbox", "before", 0, 1, 2))
		synctest.Wait()
		n.Stop(1)
		send(t, alice, wrap(t, n, "inbox", "lost with the link", 0, 1, 2))
		synctest.Wait()
		send(t, alice, wrap(t, n, "inbox", "after", 0, 1, 2))
		late.Store(true)
		n.StartKept(1)
		sleep(time.Minute)
		require.Equal(t, []string{"after", "before"}, box.sorted())
		require.Empty(t, n.Mixes[1].Counts().Dropped)
	})
}
