package directory

import (
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pretend runs something on loopback that answers as a directory might not, and returns a client of it.
func pretend(t *testing.T, answer http.HandlerFunc) (*Client, *clock) {
	t.Helper()
	host := httptest.NewServer(answer)
	t.Cleanup(host.Close)
	now := newClock()
	return &Client{URLs: []string{host.URL}, Key: public(directoryKey), Now: now.Now}, now
}

// showing answers with what view points to at the time.
func showing(view *[]byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.Write(*view) }
}

func TestClientNeverGoesBack(t *testing.T) {
	node := signed(t, 1, describe(1))
	view := viewOf(5, node)
	client, _ := pretend(t, showing(&view))
	fifth, err := client.Fetch(t.Context())
	require.NoError(t, err)

	view = viewOf(4, node)
	got, err := client.Fetch(t.Context())
	require.NoError(t, err, "what is known is still good")
	require.Same(t, fifth, got)

	view = viewOf(5)
	_, err = client.Fetch(t.Context())
	require.ErrorIs(t, err, ErrTwoViews)

	view = viewOf(5, node)
	again, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Same(t, fifth, again)

	view = viewOf(6)
	sixth, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Equal(t, uint64(6), sixth.Version)

	view = viewOf(5, node)
	got, err = client.Fetch(t.Context())
	require.NoError(t, err)
	require.Same(t, sixth, got)
}

func TestClientDoesNotForgetAVersionThatExpired(t *testing.T) {
	view := viewOf(5)
	client, now := pretend(t, showing(&view))
	_, err := client.Fetch(t.Context())
	require.NoError(t, err)
	now.advance(time.Hour)

	later := headerOf(4)
	later.Expires = start.Add(2 * time.Hour)
	view = later.sign(directoryKey, encodeRest(nil, nil))
	_, err = client.Fetch(t.Context())
	require.ErrorIs(t, err, ErrOlder)
	require.ErrorContains(t, err, "version 4 after version 5")
}

// Of two calls at once, one may get an older answer than the other without any fault of the directory.
func TestClientKeepsTheNewerOfTwoAnswers(t *testing.T) {
	view := func(version uint64) *fetched {
		b := viewOf(version)
		v, nodes, err := openView(b, public(directoryKey))
		require.NoError(t, err)
		return &fetched{v, nodes, sha256.Sum256(b)}
	}
	client := &Client{Now: newClock().Now}
	sixth := view(6)
	got, err := client.accept(server{}, sixth)
	require.NoError(t, err)
	require.Equal(t, uint64(6), got.Version)
	again, err := client.accept(server{}, view(5))
	require.NoError(t, err)
	require.Same(t, got, again)
}

func TestUnchangedViewIsKept(t *testing.T) {
	var bodies, unchanged int
	s, _, now := serve(t, ServerConfig{})
	client, _ := pretend(t, func(w http.ResponseWriter, r *http.Request) {
		record := httptest.NewRecorder()
		s.ServeHTTP(record, r)
		switch record.Code {
		case http.StatusOK:
			bodies++
		case http.StatusNotModified:
			unchanged++
		}
		for name, values := range record.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(record.Code)
		w.Write(record.Body.Bytes())
	})
	client.Now = now.Now
	short := describe(1)
	short.Expires = start.Add(time.Minute)
	require.NoError(t, client.Register(t.Context(), signed(t, 1, short)))
	require.NoError(t, client.Register(t.Context(), signed(t, 2, describe(2))))

	first, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, first.Nodes, 2)
	second, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Same(t, first, second)
	require.Equal(t, []int{1, 1}, []int{bodies, unchanged})

	now.advance(time.Minute)
	third, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}, []int{bodies, unchanged})
	require.Len(t, third.Nodes, 1, "an expired node stayed")
	require.Equal(t, short, *mustNode(t, first, 1), "a view that was given out changed")
	require.Equal(t, describe(2), *mustNode(t, first, 2), "a view that was given out changed")
}

func TestUnchangedDoesNotProlongAView(t *testing.T) {
	client, now := pretend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Write(viewOf(1))
	})
	_, err := client.Fetch(t.Context())
	require.NoError(t, err)
	now.advance(time.Hour - time.Second)
	_, err = client.Fetch(t.Context())
	require.NoError(t, err)
	now.advance(time.Second)
	_, err = client.Fetch(t.Context())
	require.ErrorIs(t, err, ErrExpired)
	require.ErrorContains(t, err, "clocks")
}

func TestUnchangedWithoutAViewIsRefused(t *testing.T) {
	client, _ := pretend(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) })
	_, err := client.Fetch(t.Context())
	require.ErrorIs(t, err, ErrRefused)
}

func TestClientRefusesTheViewOfAnotherDirectory(t *testing.T) {
	_, client, _ := serve(t, ServerConfig{})
	client.Key = public(identity(1))
	_, err := client.Fetch(t.Context())
	require.ErrorIs(t, err, ErrSignature)
	require.ErrorContains(t, err, "is the directory's key the right one?")
	require.ErrorContains(t, err, client.URLs[0])

	client.Key = nil
	_, err = client.Fetch(t.Context())
	require.ErrorIs(t, err, ErrKey)
}

func TestRefusalComesInTheDirectorysWords(t *testing.T) {
	_, client, now := serve(t, ServerConfig{})
	now.advance(time.Hour)
	err := client.Register(t.Context(), signed(t, 1, describe(1)))
	require.ErrorIs(t, err, ErrRefused)
	require.EqualError(t, err, "directory "+client.URLs[0]+" refuses the descriptor: "+
		"expired: the descriptor was good until 2026-01-01T13:00:00Z, and now is 2026-01-01T13:00:00Z")
}

func TestReasonIsOneShortVisibleLine(t *testing.T) {
	client, _ := pretend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		w.Write([]byte("\x1b[31mshort\x00 and\xff stout\r\nlevel=ERROR msg=forged\n"))
	})
	err := client.Register(t.Context(), nil)
	require.EqualError(t, err, "directory "+client.URLs[0]+" refuses the descriptor: [31mshort and stout")

	client, _ = pretend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		w.Write([]byte(strings.Repeat("a", 1<<20)))
	})
	err = client.Register(t.Context(), nil)
	require.ErrorIs(t, err, ErrRefused)
	require.Less(t, len(err.Error()), 1024)
}

func TestWhatIsNoDirectoryIsNamed(t *testing.T) {
	client, _ := pretend(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	_, err := client.Fetch(t.Context())
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "502 Bad Gateway, is this the address of a directory?")
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	followed := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		followed = true
		w.Write(viewOf(1))
	}))
	defer elsewhere.Close()
	client, _ := pretend(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	_, err := client.Fetch(t.Context())
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "307 Temporary Redirect")
	require.ErrorIs(t, client.Register(t.Context(), nil), ErrRefused)
	require.False(t, followed)
}

func TestProxiesOfTheEnvironmentAreNotUsed(t *testing.T) {
	require.Nil(t, defaultHTTP().Transport.(*http.Transport).Proxy)
}

func TestEndlessAnswerIsCutOff(t *testing.T) {
	sent := make(chan int, 1)
	client := piped(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		total, chunk := 0, make([]byte, 1<<20)
		for {
			n, err := w.Write(chunk)
			if total += n; err != nil {
				sent <- total
				return
			}
		}
	}))
	_, err := client.Fetch(t.Context())
	require.ErrorIs(t, err, ErrView)
	require.Less(t, <-sent, MaxViewSize+2<<20) // in a pipe, which keeps nothing
}

// nobodyThere is where no directory is: a port that no system gives to anybody who did not ask for it.
const nobodyThere = "http://127.0.0.1:1"

func TestDirectoryThatIsNotThereIsNamed(t *testing.T) {
	const url = nobodyThere
	client := &Client{URLs: []string{url}, Key: public(directoryKey)}
	_, err := client.Fetch(t.Context())
	require.ErrorIs(t, err, ErrNoAnswer)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.ErrorContains(t, err, "directory "+url+" does not answer: is it running")
	require.Equal(t, 2, strings.Count(err.Error(), url[len("http://"):]), "the request stands in it once more: %v", err)
	require.ErrorIs(t, client.Register(t.Context(), nil), ErrNoAnswer)
}

func TestAnswerThatBreaksOffIsNoAnswer(t *testing.T) {
	client, _ := pretend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.Write(viewOf(1))
	})
	_, err := client.Fetch(t.Context())
	require.ErrorIs(t, err, ErrNoAnswer)
}

func TestFetchEndsWithItsContext(t *testing.T) {
	asked := make(chan struct{})
	client, _ := pretend(t, func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	_, err := client.Fetch(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, errors.Is(err, ErrNoAnswer), "the caller ended it, not the directory: %v", err)
}

func TestUnusableURLIsRefused(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:8080", "localhost:8080", "ftp://host:1", "http://", "http://u:p@host:1", "http://host:1\n"} {
		client := &Client{URLs: []string{url}, Key: public(directoryKey)}
		_, err := client.Fetch(t.Context())
		require.ErrorContains(t, err, "http://host:port", "%q", url)
		require.ErrorContains(t, err, strconv.Quote(url))
		require.Equal(t, err, client.Validate())
	}
}

func TestClientUsesTheGivenHTTP(t *testing.T) {
	s, _, _ := serve(t, ServerConfig{})
	_, err := piped(t, s).Fetch(t.Context())
	require.NoError(t, err)
}

// piped serves a directory over pipes, and returns a client of it.
func piped(t *testing.T, directory http.Handler) *Client {
	t.Helper()
	host := &http.Server{Handler: directory}
	ln := newPipeListener()
	go host.Serve(ln)
	t.Cleanup(func() { host.Close() })
	return &Client{
		URLs: []string{"http://directory.invalid/"}, Key: public(directoryKey), Now: newClock().Now,
		HTTP: &http.Client{Transport: &http.Transport{DialContext: ln.dial}},
	}
}

// pipeListener takes connections that never touch the network.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{make(chan net.Conn), make(chan struct{})}
}

func (l *pipeListener) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	l.conns <- there
	return here, nil
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { close(l.done); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }
