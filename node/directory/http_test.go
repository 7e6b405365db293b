package directory

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ask makes one request and returns the answer with its body.
func ask(t *testing.T, method, url string, body []byte, header ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer, string(text)
}

func TestRefusalsHaveAStatusAndOneLine(t *testing.T) {
	s, client, now := serve(t, ServerConfig{MaxNodes: 2})
	require.NoError(t, client.Register(t.Context(), signed(t, 1, describe(1))))
	require.NoError(t, client.Register(t.Context(), signed(t, 2, describe(2))))
	before := published(t, s)

	sameVersion := describe(1)
	sameVersion.Address = "elsewhere.example:4000"
	older := describe(1)
	older.Version--
	older.Expires = older.Expires.Add(time.Second)
	otherNetwork := describe(1)
	otherNetwork.Network[0] ^= 1
	expired := describe(1)
	expired.Expires = now.Now()
	endless := describe(1)
	endless.Expires = now.Now().Add(MaxDescriptorLifetime + time.Second)
	malformed := describe(1)
	malformed.Keys = nil
	for name, c := range map[string]struct {
		body   []byte
		status int
		says   string
	}{
		"nothing":             {nil, 400, "malformed descriptor"},
		"noise":               {bytes.Repeat([]byte("noise"), 100), 403, "wrong signature"},
		"malformed":           {resign(1, malformed), 400, "0 keys"},
		"for somebody else":   {resign(3, describe(1)), 403, "wrong signature"},
		"another network":     {resign(1, otherNetwork), 422, "up to 5 hops and a payload of 1024 bytes"},
		"expired":             {resign(1, expired), 422, "good until 2026-01-01T12:00:00Z"},
		"good for too long":   {resign(1, endless), 422, "at most 168h0m0s"},
		"older":               {resign(1, older), 409, "must have a higher one"},
		"as old, but another": {resign(1, sameVersion), 409, "must have a higher one"},
		"one too many":        {resign(3, describe(3)), 503, "no room"},
		"too large":           {make([]byte, MaxDescriptorSize+1), 413, "18958 bytes"},
		"much too large":      {make([]byte, 1<<20), 413, "18958 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			answer, text := ask(t, http.MethodPost, client.URLs[0]+"/v1/descriptor", c.body)
			require.Equal(t, c.status, answer.StatusCode)
			require.Contains(t, text, c.says)
			require.Equal(t, 1, strings.Count(text, "\n"))
			require.True(t, strings.HasSuffix(text, "\n"))
		})
	}
	require.Same(t, before, published(t, s), "a refused descriptor changed the view")
}

func TestUnchangedViewIsNotSentAgain(t *testing.T) {
	_, client, now := serve(t, ServerConfig{})
	require.NoError(t, client.Register(t.Context(), signed(t, 1, describe(1))))
	url := client.URLs[0] + "/v1/view"
	answer, body := ask(t, http.MethodGet, url, nil)
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Equal(t, "application/octet-stream", answer.Header.Get("Content-Type"))
	_, err := parse([]byte(body))
	require.NoError(t, err)
	tag := answer.Header.Get("ETag")
	require.Len(t, tag, 66)

	answer, body = ask(t, http.MethodGet, url, nil, "If-None-Match", tag)
	require.Equal(t, http.StatusNotModified, answer.StatusCode)
	require.Empty(t, body)

	answer, body = ask(t, http.MethodHead, url, nil)
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Empty(t, body)
	require.Equal(t, tag, answer.Header.Get("ETag"))

	now.advance(30 * time.Minute)
	answer, body = ask(t, http.MethodGet, url, nil, "If-None-Match", tag)
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.NotEqual(t, tag, answer.Header.Get("ETag"))
	require.NotEmpty(t, body)
}

func TestListingIsForPeople(t *testing.T) {
	s, client, now := serve(t, ServerConfig{})
	d := describe(1)
	d.Services = []string{"echo", "tcp"}
	d.Keys = append(d.Keys, EpochKey{8, mixKey(9)})
	d.Evidence = make([]byte, 400)
	bare := describe(2)
	bare.Services = nil
	require.NoError(t, client.Register(t.Context(), signed(t, 1, d)))
	require.NoError(t, client.Register(t.Context(), signed(t, 2, bare)))
	now.advance(10 * time.Minute)

	answer, page := ask(t, http.MethodGet, client.URLs[0]+"/", nil)
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Equal(t, "text/plain; charset=utf-8", answer.Header.Get("Content-Type"))
	t.Log("\n" + page)
	rows := map[string][]string{}
	for line := range strings.Lines(page) {
		if words := strings.Fields(line); len(words) > 0 {
			rows[words[0]] = words[1:]
		}
	}
	require.Equal(t, strings.Fields("mix.example:4000 7 8 4 echo tcp 400 bytes 2026-01-01T13:00:00Z"), rows[d.ID().String()])
	require.Equal(t, strings.Fields("mix.example:4000 7 4 - - 2026-01-01T13:00:00Z"), rows[bare.ID().String()])
	require.Equal(t, []string{"2"}, rows["nodes"])
	require.Same(t, &s.page.of(published(t, s), nil, s.attested)[0], &s.page.of(published(t, s), nil, s.attested)[0], "made anew for each reader")

	now.advance(50 * time.Minute) // the view is past half its life
	_, page = ask(t, http.MethodGet, client.URLs[0]+"/", nil)
	require.NotContains(t, page, d.ID().String())
}

func TestOtherRequestsAreRefused(t *testing.T) {
	_, client, _ := serve(t, ServerConfig{})
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/v1/descriptor", 405},
		{http.MethodDelete, "/v1/descriptor", 405},
		{http.MethodPost, "/v1/view", 405},
		{http.MethodPost, "/", 405},
		{http.MethodGet, "/v2/view", 404},
		{http.MethodGet, "/v1/view/", 404},
	} {
		answer, _ := ask(t, c.method, client.URLs[0]+c.path, nil)
		require.Equal(t, c.status, answer.StatusCode, "%s %s", c.method, c.path)
	}
}
