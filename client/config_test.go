package client_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/sphinx"
)

// TestConfigErrorsSayWhatIsWrong, or what the network lacks.
func TestConfigErrorsSayWhatIsWrong(t *testing.T) {
	for _, test := range []struct {
		name   string
		mixes  int
		change func(*client.Config)
		says   string
		is     error
	}{
		{"no directory", 5, func(c *client.Config) { c.Directory = nil }, "Directory", nil},
		{"too few hops", 5, func(c *client.Config) { c.Hops = 2 }, "2 hops", nil},
		{"negative hops", 5, func(c *client.Config) { c.Hops = -3 }, "-3 hops", nil},
		{"too many hops", 7, func(c *client.Config) { c.Hops = 6 }, "3 to 5", nil},
		{"too few mixes", 3, nil, "take 4 mixes, and it has 3", client.ErrNetwork},
		{"too few mixes for that", 5, func(c *client.Config) { c.Hops = 5 }, "take 6 mixes, and it has 5", client.ErrNetwork},
		{"a directory with another key", 5, func(c *client.Config) {
			c.Directory.Key, _, _ = ed25519.GenerateKey(nil)
		}, "key", directory.ErrSignature},
		{"no such directory", 5, func(c *client.Config) { c.Directory.URLs = []string{"http://nowhere:80"} }, "nowhere:80", directory.ErrNoAnswer},
		{"too short a path", 5, func(c *client.Config) { c.Via = make([]directory.NodeID, 2) }, "Via has 2 mixes: this network's paths have 3 to 5", nil},
		{"too long a path", 5, func(c *client.Config) { c.Via = make([]directory.NodeID, 6) }, "Via has 6 mixes", nil},
		{"a path of strangers", 5, func(c *client.Config) { c.Via = []directory.NodeID{{1}, {2}, {3}} }, "does not list the mix 010000000000000000000000", nil},
		{"a path through one mix twice", 5, func(c *client.Config) {
			view, _ := c.Directory.Fetch(context.Background())
			c.Via = []directory.NodeID{view.Nodes[0].ID(), view.Nodes[1].ID(), view.Nodes[0].ID()}
		}, "twice", nil},
		{"no mix that can be reached", 5, func(c *client.Config) {
			c.Dial = func(context.Context, string) (net.Conn, error) { return nil, errors.New("no route") }
		}, "none of 5 mixes can be reached; the last said: no route", client.ErrGateway},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := nodetest.Start(t, nodetest.Config{Mixes: test.mixes})
				cfg := client.Config{Directory: n.Directory(), Dial: n.Dialer("alice")}
				if test.change != nil {
					test.change(&cfg)
				}
				c, err := client.New(t.Context(), cfg)
				require.ErrorContains(t, err, test.says)
				if test.is != nil {
					require.ErrorIs(t, err, test.is)
				}
				require.Nil(t, c)
			})
		})
	}
}

// served is an http.RoundTripper that answers every request with these bytes.
type served []byte

func (s served) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(s))}, nil
}

// TestInsecureScheduleIsRefused, even where the directory itself has signed for it.
func TestInsecureScheduleIsRefused(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	now := time.Now().Unix()
	for schedule, want := range []error{0: directory.ErrInsecureSchedule, 1: client.ErrNetwork, 2: sphinx.ErrParams} {
		rest := make([]byte, 2+3) // no policy, no nodes
		hash := sha256.Sum256(rest)
		view := binary.BigEndian.AppendUint64(nil, 1) // version, published, expires, network, hash of the rest
		view = binary.BigEndian.AppendUint64(view, uint64(now-60))
		view = binary.BigEndian.AppendUint64(view, uint64(now+3600))
		view = append(view, 5, 0, 0, 4, 0, byte(schedule), 0, 0, 14, 16, 0, 0, 0, 0)
		view = append(view, hash[:]...)
		signature := ed25519.Sign(private, append([]byte("sphinxmix view v2\x00"), view...))
		_, err := client.New(t.Context(), client.Config{Directory: &directory.Client{
			URLs: []string{"http://192.0.2.1:80"},
			Key:  public,
			HTTP: &http.Client{Transport: served(slices.Concat(signature, view, rest))},
		}})
		require.ErrorIs(t, err, want, "schedule %d", schedule)
	}
}

// TestGatewayIsAMixThatAnswers: a client passes over mixes that are gone, that are somebody else, or that do not take it.
func TestGatewayIsAMixThatAnswers(t *testing.T) {
	const willing = 2
	for _, test := range []struct {
		name string
		dial func(n *nodetest.Network, dial func(context.Context, string) (net.Conn, error), ctx context.Context, address string) (net.Conn, error)
	}{
		{"the others refuse", func(_ *nodetest.Network, _ func(context.Context, string) (net.Conn, error), _ context.Context, _ string) (net.Conn, error) {
			return nil, errors.New("refused")
		}},
		{"the others say nothing", func(_ *nodetest.Network, _ func(context.Context, string) (net.Conn, error), _ context.Context, _ string) (net.Conn, error) {
			near, far := net.Pipe()
			go io.Copy(io.Discard, far)
			return near, nil
		}},
		{"the others are one that has another key", func(n *nodetest.Network, dial func(context.Context, string) (net.Conn, error), ctx context.Context, _ string) (net.Conn, error) {
			return dial(ctx, n.Mixes[willing].Address)
		}},
		{"the others hang up after the handshake", func(_ *nodetest.Network, dial func(context.Context, string) (net.Conn, error), ctx context.Context, address string) (net.Conn, error) {
			conn, err := dial(ctx, address)
			return &brief{Conn: conn}, err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := nodetest.Start(t, nodetest.Config{})
				dial := n.Dialer("alice")
				for range 5 {
					c, err := client.New(t.Context(), client.Config{Directory: n.Directory(), Dial: func(ctx context.Context, address string) (net.Conn, error) {
						if address == n.Mixes[willing].Address {
							return dial(ctx, address)
						}
						return test.dial(n, dial, ctx, address)
					}})
					require.NoError(t, err)
					require.Equal(t, willing, gatewayOf(t, n, c))
					c.Close()
				}
			})
		})
	}
}

// brief is a connection that is closed at the first write after a TLS client's two of the handshake.
type brief struct {
	net.Conn
	mu     sync.Mutex
	writes int
}

func (b *brief) Write(p []byte) (int, error) {
	b.mu.Lock()
	b.writes++
	late := b.writes > 2
	b.mu.Unlock()
	if late {
		b.Conn.Close()
		return 0, io.ErrClosedPipe
	}
	return b.Conn.Write(p)
}

// TestNewKeepsItsDeadline, where no mix says anything.
func TestNewKeepsItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		start := time.Now()
		_, err := client.New(ctx, client.Config{Directory: n.Directory(), Dial: func(context.Context, string) (net.Conn, error) {
			near, far := net.Pipe()
			go io.Copy(io.Discard, far)
			return near, nil
		}})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 15*time.Second, time.Since(start))
	})
}

// TestGatewaysAreUniform: each mix is as likely as every other.
func TestGatewaysAreUniform(t *testing.T) {
	long(t)
	synctest.Test(t, func(t *testing.T) {
		n := nodetest.Start(t, nodetest.Config{})
		dial := n.Dialer("alice")
		counts := make(map[string]int)
		for range 1000 { // in most runs enough to show a mix that is chosen twice as often as others
			first := ""
			c, err := client.New(t.Context(), client.Config{Directory: n.Directory(), Dial: func(ctx context.Context, address string) (net.Conn, error) {
				if first == "" {
					first = address
				}
				return dial(ctx, address)
			}})
			require.NoError(t, err)
			c.Close()
			counts[first]++
		}
		requireUniform(t, counts, 5)
	})
}
