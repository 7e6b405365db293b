package directory

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestABucketPacesWhatItAllows(t *testing.T) {
	const every, size = time.Second, 3
	take := func(b *bucket, now time.Time) int {
		n := 0
		for ; n < 100 && b.has(now, every, size); n++ {
			b.take(now, every, size)
		}
		return n
	}
	var b bucket
	require.Equal(t, size, take(&b, start), "it starts full")
	require.Equal(t, 0, take(&b, start.Add(every-1)))
	require.Equal(t, 1, take(&b, start.Add(every)))
	require.Equal(t, 2, take(&b, start.Add(3*every)))
	require.Equal(t, size, take(&b, start.Add(time.Hour)), "it holds no more than it did at first")

	for range 10 {
		b.take(start.Add(time.Hour), every, size) // of an empty one
	}
	require.Equal(t, 1, take(&b, start.Add(time.Hour+every)))
	require.Equal(t, size, take(&b, start), "a clock that was put back")
}

// post registers from an address.
func post(s *Server, from string, signed []byte) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodPost, "/v1/descriptor", bytes.NewReader(signed))
	request.RemoteAddr = from
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, request)
	return answer
}

func TestOneAddressBringsOnlySoManyNewNodes(t *testing.T) {
	s, _, now := serve(t, ServerConfig{MaxNewNodes: 4})
	const here, there = "192.0.2.1:1111", "192.0.2.2:1111"
	for n := byte(1); n <= 4; n++ {
		require.Equal(t, http.StatusNoContent, post(s, here, signed(t, n, describe(n))).Code)
	}
	refused := post(s, "192.0.2.1:2222", signed(t, 5, describe(5)))
	require.Equal(t, http.StatusTooManyRequests, refused.Code)
	require.Contains(t, refused.Body.String(), "too many new nodes")
	wait, err := strconv.Atoi(refused.Header().Get("Retry-After"))
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, post(s, there, signed(t, 5, describe(5))).Code, "somebody else's fault")

	for version := uint64(2); version < 20; version++ {
		renewed := describe(1)
		renewed.Version = version
		require.Equal(t, http.StatusNoContent, post(s, here, signed(t, 1, renewed)).Code, "a node that is known")
	}
	now.advance(time.Duration(wait) * time.Second)
	require.Equal(t, http.StatusNoContent, post(s, here, signed(t, 6, describe(6))).Code)
	require.Equal(t, http.StatusTooManyRequests, post(s, here, signed(t, 7, describe(7))).Code)
	now.advance(time.Hour)
	for n := byte(7); n <= 10; n++ {
		d := describe(n)
		d.Expires = now.Now().Add(time.Hour)
		require.Equal(t, http.StatusNoContent, post(s, here, signed(t, n, d)).Code)
	}
}

func TestSources(t *testing.T) {
	for from, want := range map[string]string{
		"192.0.2.1:80":            "192.0.2.1",
		"[::ffff:192.0.2.1]:80":   "192.0.2.1",
		"[2001:db8:1:2:3::4]:80":  "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::]:1": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80":       "fe80::/64",
		"a pipe":                  "a pipe",
		"somewhere:80":            "somewhere",
		"":                        "",
	} {
		require.Equal(t, want, sourceOf(&http.Request{RemoteAddr: from}), from)
	}
}

func TestTooManyRequestsAtOnceAreRefused(t *testing.T) {
	s, client, _ := serve(t, ServerConfig{})
	for range maxServedFromSource {
		require.True(t, s.guard.enter("127.0.0.1"))
	}
	answer, text := ask(t, http.MethodGet, client.URLs[0]+"/v1/view", nil)
	require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	require.Contains(t, text, "too many requests")
	require.Equal(t, "1", answer.Header.Get("Retry-After"))
	require.Equal(t, http.StatusNoContent, post(s, "192.0.2.1:1111", signed(t, 1, describe(1))).Code, "another source")
	s.guard.leave("127.0.0.1")
	for range 3 { // each gives back what it took
		answer, _ = ask(t, http.MethodGet, client.URLs[0]+"/v1/view", nil)
		require.Equal(t, http.StatusOK, answer.StatusCode)
	}

	served := maxServedFromSource - 1
	for i := 0; served < maxServed; i++ {
		if s.guard.enter(fmt.Sprint(i)) {
			served++
		}
	}
	require.Equal(t, http.StatusServiceUnavailable, post(s, "192.0.2.9:1111", signed(t, 2, describe(2))).Code)
}

// Readers who do not read hold a few versions of the view, and then the oldest no more. Those of the newest stay.
func TestSlowReadersHoldOnlyAFewVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := NewServer(ServerConfig{Key: directoryKey, Network: network})
		require.NoError(t, err)
		host := &http.Server{Handler: s}
		l := newPipeListener()
		go host.Serve(l)
		defer host.Close()

		var readers []net.Conn
		for n := byte(1); n <= maxPinned+3; n++ {
			registerLarge(t, s, n)
			for range 2 {
				conn, err := l.dial(t.Context(), "", "")
				require.NoError(t, err)
				defer conn.Close()
				_, err = conn.Write([]byte("GET /v1/view HTTP/1.1\r\nHost: directory\r\n\r\n"))
				require.NoError(t, err)
				readers = append(readers, conn)
			}
			require.Equal(t, min(int(n), maxPinned), held(s))
		}
		last := published(t, s)
		for i, conn := range readers {
			var got bytes.Buffer
			conn.SetReadDeadline(time.Now().Add(time.Second))
			_, _ = got.ReadFrom(conn)
			require.Equal(t, i >= 2*(len(readers)/2-maxPinned), bytes.Contains(got.Bytes(), []byte("\r\n\r\n")), "reader %d", i)
			if i >= len(readers)-2 {
				require.True(t, bytes.HasSuffix(got.Bytes(), last.signed))
			}
		}
		require.Equal(t, 0, held(s))
	})
}

// held returns how many versions of the view are being sent.
func held(s *Server) int {
	synctest.Wait()
	s.pins.mu.Lock()
	defer s.pins.mu.Unlock()
	return len(s.pins.list)
}

// registerLarge makes the view larger than what a server writes without a reader.
func registerLarge(t *testing.T, s *Server, n byte) {
	t.Helper()
	d := full(n)
	d.Expires = time.Now().Add(time.Hour)
	require.NoError(t, s.register(t.Context(), signed(t, n, d), ""))
}

func TestAReaderHasAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := NewServer(ServerConfig{Key: directoryKey, Network: network})
		require.NoError(t, err)
		host := &http.Server{Handler: s}
		l := newPipeListener()
		go host.Serve(l)
		defer host.Close()
		registerLarge(t, s, 1)
		conn, err := l.dial(t.Context(), "", "")
		require.NoError(t, err)
		defer conn.Close()
		_, err = conn.Write([]byte("GET /v1/view HTTP/1.1\r\nHost: directory\r\n\r\n"))
		require.NoError(t, err)
		time.Sleep(viewDeadline - time.Second)
		require.Equal(t, 1, held(s))
		time.Sleep(time.Second)
		require.Equal(t, 0, held(s))
	})
}
