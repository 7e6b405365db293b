package directory

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// pretended is a server of a directory that shows and says what a test wants.
type pretended struct {
	view   []byte
	status int // 200 if zero
	says   string
	asked  int
}

func (p *pretended) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	p.asked++
	if p.status != 0 {
		http.Error(w, p.says, p.status)
		return
	}
	w.Write(p.view)
}

// clientOf returns a client that asks servers in the order given, and their URLs.
func clientOf(t *testing.T, servers ...*pretended) (*Client, *clock) {
	t.Helper()
	now := newClock()
	c := &Client{Key: public(directoryKey), Now: now.Now, begun: true}
	for _, s := range servers {
		host := httptest.NewServer(s)
		t.Cleanup(host.Close)
		c.URLs = append(c.URLs, host.URL)
	}
	return c, now
}

func asked(servers ...*pretended) (n []int) {
	for _, s := range servers {
		n = append(n, s.asked)
	}
	return n
}

func TestClientStaysWithAServerThatAnswers(t *testing.T) {
	a, b, c := &pretended{status: 503}, &pretended{view: viewOf(5)}, &pretended{view: viewOf(5)}
	client, _ := clientOf(t, a, b, c)
	for range 3 {
		v, err := client.Fetch(t.Context())
		require.NoError(t, err)
		require.Equal(t, uint64(5), v.Version)
	}
	require.Equal(t, []int{1, 3, 0}, asked(a, b, c))

	b.status = 503
	_, err := client.Fetch(t.Context())
	require.NoError(t, err)
	_, err = client.Fetch(t.Context())
	require.NoError(t, err)
	require.Equal(t, []int{1, 4, 2}, asked(a, b, c))
}

func TestClientsStartWithDifferentServers(t *testing.T) {
	a, b := &pretended{view: viewOf(5)}, &pretended{view: viewOf(5)}
	first, _ := clientOf(t, a, b)
	for range 100 {
		client := &Client{URLs: first.URLs, Key: first.Key, Now: first.Now}
		_, err := client.Fetch(t.Context())
		require.NoError(t, err)
	}
	require.NotZero(t, a.asked) // but for once in 2¹⁰⁰
	require.NotZero(t, b.asked)
}

func TestEveryServerIsNamedWhenNoneHelps(t *testing.T) {
	a, b := &pretended{status: 503, says: "too tired"}, &pretended{view: []byte("no view")}
	client, _ := clientOf(t, a, b)
	client.URLs = append(client.URLs, nobodyThere)
	_, err := client.Fetch(t.Context())
	for _, url := range client.URLs {
		require.ErrorContains(t, err, url)
	}
	require.ErrorContains(t, err, "too tired")
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorIs(t, err, ErrView)
	require.ErrorIs(t, err, ErrNoAnswer)
	require.NotContains(t, err.Error(), "\n")
}

func TestAServerThatIsBehindIsNoErrorAndLeft(t *testing.T) {
	a, b := &pretended{view: viewOf(5)}, &pretended{view: viewOf(6)}
	client, _ := clientOf(t, a, b)
	_, err := client.Fetch(t.Context())
	require.NoError(t, err)
	a.view = viewOf(4)
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Equal(t, uint64(6), v.Version)
	_, err = client.Fetch(t.Context())
	require.NoError(t, err)
	require.Equal(t, []int{2, 2}, asked(a, b), "it went back to the server that is behind")

	a.view, b.view = viewOf(4), viewOf(4)
	again, err := client.Fetch(t.Context())
	require.NoError(t, err, "all are behind, but what is known is good")
	require.Same(t, v, again)
	b.status = 503
	again, err = client.Fetch(t.Context())
	require.NoError(t, err)
	require.Same(t, v, again)
}

// A server that cannot reach the others goes on to show what it has. Who has waited too long for the next view asks
// others.
func TestAServerThatDoesNotRenewItsViewIsLeft(t *testing.T) {
	renewed := func(version uint64, published time.Duration) []byte {
		v := headerOf(version)
		v.Published, v.Expires = v.Published.Add(published), v.Expires.Add(published)
		return v.sign(directoryKey, encodeRest(nil, nil))
	}
	for name, c := range map[string]struct{ published, wait time.Duration }{
		"old":               {0, 46 * time.Minute},
		"of the last epoch": {40 * time.Minute, 20 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := &pretended{view: renewed(5, c.published)}, &pretended{view: renewed(6, c.published+c.wait)}
			client, now := clientOf(t, a, b)
			now.advance(c.published)
			v, err := client.Fetch(t.Context())
			require.NoError(t, err)
			require.Equal(t, uint64(5), v.Version)
			require.Equal(t, []int{1, 0}, asked(a, b))
			now.advance(c.wait)
			for range 2 {
				v, err = client.Fetch(t.Context())
				require.NoError(t, err)
				require.Equal(t, uint64(6), v.Version)
			}
			require.Equal(t, []int{2, 2}, asked(a, b))
		})
	}
}

func TestTwoServersThatShowTwoViewsOfOneVersionAreFoundOut(t *testing.T) {
	a, b := &pretended{view: viewOf(5)}, &pretended{view: viewOf(5, signed(t, 1, describe(1)))}
	client, _ := clientOf(t, a, b)
	_, err := client.Fetch(t.Context())
	require.NoError(t, err)
	a.status = 503
	_, err = client.Fetch(t.Context())
	require.ErrorIs(t, err, ErrTwoViews)
	require.ErrorContains(t, err, client.URLs[1])

	a.status, a.view = 0, viewOf(4)
	_, err = client.Fetch(t.Context())
	require.ErrorIs(t, err, ErrTwoViews, "what is known is good, but the directory is not")
}

func TestRegistrationGoesToTheFirstServerThatTakesIt(t *testing.T) {
	for name, post := range map[string]func(*Client) error{
		"register": func(c *Client) error { return c.Register(t.Context(), nil) },
		"leave":    func(c *Client) error { return c.Leave(t.Context(), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			a, b, c := &pretended{status: 503, says: "no store"}, &pretended{}, &pretended{}
			client, _ := clientOf(t, a, b, c)
			require.NoError(t, post(client))
			require.Equal(t, []int{1, 1, 0}, asked(a, b, c))
			b.status, b.says = 409, "too old"
			c.status, c.says = 422, "clock is wrong"
			err := post(client)
			require.ErrorIs(t, err, ErrRefused)
			for _, reason := range []string{"no store", "too old", "clock is wrong"} {
				require.ErrorContains(t, err, reason)
			}
		})
	}
}

func TestAClientWithoutServersSaysSo(t *testing.T) {
	client := &Client{Key: public(directoryKey)}
	_, err := client.Fetch(t.Context())
	require.ErrorContains(t, err, "no URL")
	a := &pretended{view: viewOf(5)}
	client, _ = clientOf(t, a)
	client.URLs = append(client.URLs, "ftp://typo")
	_, err = client.Fetch(t.Context())
	require.ErrorContains(t, err, "ftp://typo")
	client.URLs = client.URLs[:1]
	require.NoError(t, client.Validate())
	client.Policy = make([]byte, 32)
	require.ErrorIs(t, client.Validate(), ErrKey)
	require.Zero(t, a.asked, "a mistake that shows only on a bad day")
}

func TestNobodyElseIsAskedOnceTheCallerHasEnough(t *testing.T) {
	a := &pretended{view: viewOf(5)}
	client, _ := clientOf(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	defer silent.Close()
	client.URLs = append([]string{silent.URL}, client.URLs...)
	_, err := client.Fetch(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.NotContains(t, err.Error(), client.URLs[1])
	require.Zero(t, a.asked)
}

// slow runs a server over pipes that writes an answer with pauses, and returns a client of it and of one that is quick.
func slow(t *testing.T, pause time.Duration, parts ...string) *Client {
	conn := func(answer func(net.Conn)) net.Conn {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			read := make([]byte, 4096)
			if _, err := there.Read(read); err == nil {
				answer(there)
			}
		}()
		return here
	}
	return &Client{
		URLs: []string{"http://slow", "http://quick"}, Key: public(directoryKey), begun: true,
		Now: func() time.Time { return start },
		HTTP: &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
				if address == "quick:80" {
					return conn(func(c net.Conn) { fmt.Fprintf(c, "HTTP/1.0 200 OK\r\n\r\n%s", viewOf(5)) }), nil
				}
				return conn(func(c net.Conn) {
					for _, part := range parts {
						time.Sleep(pause)
						if _, err := c.Write([]byte(part)); err != nil {
							return
						}
					}
					time.Sleep(time.Hour)
				}), nil
			},
		}},
	}
}

func TestASilentServerCostsAFewSeconds(t *testing.T) {
	whole := "HTTP/1.0 200 OK\r\n\r\n" + string(viewOf(5))
	for name, c := range map[string]struct {
		parts []string
		pause time.Duration
		costs time.Duration
	}{
		"from the start":  {nil, 0, maxSilence},
		"in the header":   {[]string{whole[:10]}, time.Second, maxSilence},
		"in the body":     {[]string{whole[:100]}, 4 * time.Second, 4*time.Second + maxSilence},
		"byte after byte": {strings.Split(whole[:20], ""), 0, maxSilence},
		"for ever": {
			append([]string{whole[:50]}, strings.Split(strings.Repeat("x", 100), "")...), maxSilence - time.Second, maxRequest,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := slow(t, c.pause, c.parts...)
				began := time.Now()
				v, err := client.Fetch(t.Context())
				require.NoError(t, err)
				require.Equal(t, uint64(5), v.Version)
				require.Equal(t, c.costs, time.Since(began))
				time.Sleep(2 * time.Hour)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		client := slow(t, 0)
		client.URLs = client.URLs[:1]
		_, err := client.Fetch(t.Context())
		require.ErrorIs(t, err, ErrNoAnswer)
		require.ErrorContains(t, err, "sends nothing for 5s")
		time.Sleep(2 * time.Hour)
	})
}
