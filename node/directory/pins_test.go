package directory

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// remote is a connection that says where it comes from.
type remote struct {
	net.Conn
	from string
}

func (r remote) RemoteAddr() net.Addr { return named(r.from) }

type named string

func (named) Network() string  { return "tcp" }
func (n named) String() string { return string(n) }

// meter counts what a store takes.
type meter struct {
	Memory
	sets, bytes atomic.Int64
}

func (m *meter) Set(ctx context.Context, name string, value []byte, mark int64) (bool, error) {
	set, err := m.Memory.Set(ctx, name, value, mark)
	if set {
		m.sets.Add(1)
		m.bytes.Add(int64(len(value)))
	}
	return set, err
}

// hosted serves a directory over pipes, in a bubble of its own time, and returns what asks it for a page from an address
// and reads nothing yet.
func hosted(t *testing.T, cfg ServerConfig) (*Server, func(path, from string) net.Conn) {
	t.Helper()
	cfg.Key, cfg.Network = directoryKey, network
	s, err := NewServer(cfg)
	require.NoError(t, err)
	host := &http.Server{Handler: s}
	l := newPipeListener()
	go host.Serve(l)
	t.Cleanup(func() { host.Close() })
	return s, func(path, from string) net.Conn {
		here, there := net.Pipe()
		l.conns <- remote{there, from}
		t.Cleanup(func() { here.Close() })
		_, err := fmt.Fprintf(here, "GET %s HTTP/1.1\r\nHost: directory\r\nConnection: close\r\n\r\n", path)
		require.NoError(t, err)
		synctest.Wait()
		return here
	}
}

// whole reads what is left of an answer, and reports whether that ends with body, and is not nothing.
func whole(conn net.Conn, body []byte) bool {
	got, _ := io.ReadAll(conn)
	return len(got) > 0 && bytes.HasSuffix(got, body)
}

// pinned returns how many bytes are being sent, or held for who does not read.
func pinned(s *Server) int {
	synctest.Wait()
	s.pins.mu.Lock()
	defer s.pins.mu.Unlock()
	return s.pins.size
}

// renew registers node n from an address of its own.
func renew(t *testing.T, s *Server, n byte, d Descriptor, version uint64) {
	t.Helper()
	d.Version, d.Expires = version, time.Now().Add(2*time.Hour)
	require.NoError(t, s.register(t.Context(), signed(t, n, d), fmt.Sprint(n)))
}

func TestWhoKeepsManyVersionsIsCutOffFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ask := hosted(t, ServerConfig{})
		s.pins.limit = 10 * MaxDescriptorSize
		renew(t, s, 1, full(1), 1)
		view := published(t, s).signed
		honest := ask(viewPath, "192.0.2.1:1")
		var greedy []net.Conn
		for n := byte(2); n < 25; n++ {
			renew(t, s, n, describe(n), 1)
			for port := range 2 {
				greedy = append(greedy, ask(viewPath, fmt.Sprintf("192.0.2.2:%d", port+1)))
			}
			page := ask("/", "192.0.2.2:3")
			defer page.Close()
			require.LessOrEqual(t, pinned(s), s.pins.limit)
		}
		require.True(t, whole(honest, view), "who reads one version is cut off for who reads all")
		require.False(t, whole(greedy[0], nil))
		require.True(t, whole(greedy[len(greedy)-1], published(t, s).signed))
	})
}

// Where each reads one version, those of the oldest are cut off.
func TestReadersHoldOnlySoMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ask := hosted(t, ServerConfig{})
		s.pins.limit = 10 * MaxDescriptorSize
		renew(t, s, 1, full(1), 1)
		var readers []net.Conn
		var views [][]byte
		for n := byte(2); n < 25; n++ {
			renew(t, s, n, describe(n), 1)
			views = append(views, published(t, s).signed)
			readers = append(readers, ask(viewPath, fmt.Sprintf("192.0.2.%d:1", n)))
			require.LessOrEqual(t, pinned(s), s.pins.limit)
		}
		kept := 0
		for i, conn := range readers {
			if whole(conn, views[i]) {
				kept++
			} else {
				require.Zero(t, kept, "one of a newer version was cut off first")
			}
		}
		require.Greater(t, kept, 5)
		require.Zero(t, pinned(s))
	})
}

// Whoever changes a large view as often as the directory lets them, and reads it from many addresses, keeps nobody from
// reading it over a slow line, and does not fill the store.
func TestAViewThatChangesAllTheTimeCanBeReadSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(meter)
		s, ask := hosted(t, ServerConfig{Store: store})
		const nodes = 220
		for n := range byte(nodes) {
			renew(t, s, n, full(n), 1)
		}
		view := published(t, s).signed
		require.Greater(t, len(view), 4_000_000)
		honest := ask(viewPath, "192.0.2.1:1")
		before, began := store.bytes.Load(), time.Now()
		got := 0
		for second := 0; got < len(view); second++ {
			n := byte(second % nodes)
			renew(t, s, n, full(n), uint64(2+second))
			for port := range 2 {
				ask(viewPath, fmt.Sprintf("198.51.100.%d:%d", second, port+1))
			}
			part := make([]byte, min(125_000, len(view)-got))
			_, err := io.ReadFull(honest, part)
			require.NoError(t, err, "after %d bytes", got)
			got += len(part)
			time.Sleep(time.Second)
		}
		took := time.Since(began).Seconds()
		t.Logf("%.0f s, %d bytes stored", took, store.bytes.Load()-before)
		require.Less(t, float64(store.bytes.Load()-before), publishBurst*publishBytes+took*(publishBytes+MaxDescriptorSize))
	})
}

func TestAReaderHasAsLongAsTheSizeTakes(t *testing.T) {
	require.Greater(t, readTime(MaxViewSize), 134*time.Second, "at 1 Mbit/s")
	require.Less(t, readTime(MaxViewSize), maxRequest, "clients have more")
	synctest.Test(t, func(t *testing.T) {
		s, ask := hosted(t, ServerConfig{})
		renew(t, s, 1, full(1), 1)
		ask(viewPath, "192.0.2.1:1")
		ask("/", "192.0.2.1:2")
		time.Sleep(time.Minute)
		require.NotZero(t, pinned(s))
		time.Sleep(time.Second)
		require.Zero(t, pinned(s))
	})
}
