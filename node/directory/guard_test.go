package directory

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestABucketPacesWhatItAllows(t *testing.T) {
	const every, size = time.Second, 3
	pace := rate{every, size}
	take := func(b *bucket, now time.Time) int {
		n := 0
		for ; n < 100 && b.has(1, now, pace); n++ {
			b.take(1, now, pace)
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
		b.take(1, start.Add(time.Hour), pace) // of an empty one
	}
	require.Equal(t, 1, take(&b, start.Add(time.Hour+every)))
	require.Equal(t, size, take(&b, start), "a clock that was put back")

	b = bucket{}
	b.take(2, start, pace)
	require.False(t, b.has(2, start, pace))
	require.True(t, b.has(1, start, pace))
	require.True(t, b.has(2, start.Add(every), pace))
	require.False(t, new(bucket).has(size+1, start, pace), "more than it holds")
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

	for version := uint64(2); version < 8; version++ {
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
		require.Equal(t, want, sourceOf(from), from)
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
