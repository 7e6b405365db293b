package directory

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/sphinx"
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

func TestNewServerRefuses(t *testing.T) {
	good := ServerConfig{Key: directoryKey, Network: network}
	_, err := NewServer(good)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		spoil func(*ServerConfig)
		want  error
	}{
		"no key":              {func(c *ServerConfig) { c.Key = nil }, ErrKey},
		"no network":          {func(c *ServerConfig) { c.Network = Network{} }, sphinx.ErrParams},
		"no epoch":            {func(c *ServerConfig) { c.Network.Epoch = 0 }, ErrNetwork},
		"insecure schedule":   {func(c *ServerConfig) { c.Network.Schedule++ }, ErrInsecureSchedule},
		"lifetime too short":  {func(c *ServerConfig) { c.Lifetime = 2*time.Second - 1 }, nil},
		"lifetime negative":   {func(c *ServerConfig) { c.Lifetime = -time.Hour }, nil},
		"negative node limit": {func(c *ServerConfig) { c.MaxNodes = -1 }, nil},
		"node limit too high": {func(c *ServerConfig) { c.MaxNodes = MaxNodes + 1 }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			c.spoil(&cfg)
			_, err := NewServer(cfg)
			require.Error(t, err)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
		})
	}
}

func TestRegisteredNodesAreInTheView(t *testing.T) {
	_, client, _ := serve(t, ServerConfig{})
	for n := byte(1); n <= 5; n++ {
		require.NoError(t, client.Register(t.Context(), signed(t, n, describe(n))))
	}
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Equal(t, network, v.Network)
	require.Len(t, v.Nodes, 5)
	for n := byte(1); n <= 5; n++ {
		require.Equal(t, describe(n), *mustNode(t, v, n))
	}
}

func TestRefusalsHaveAStatusAndOneLine(t *testing.T) {
	s, client, now := serve(t, ServerConfig{MaxNodes: 2})
	require.NoError(t, client.Register(t.Context(), signed(t, 1, describe(1))))
	require.NoError(t, client.Register(t.Context(), signed(t, 2, describe(2))))
	before := s.publish()

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
		"too large":           {make([]byte, MaxDescriptorSize+1), 413, "18957 bytes"},
		"much too large":      {make([]byte, 1<<20), 413, "18957 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			answer, text := ask(t, http.MethodPost, client.URLs[0]+"/v1/descriptor", c.body)
			require.Equal(t, c.status, answer.StatusCode)
			require.Contains(t, text, c.says)
			require.Equal(t, 1, strings.Count(text, "\n"))
			require.True(t, strings.HasSuffix(text, "\n"))
		})
	}
	require.Same(t, before, s.publish(), "a refused descriptor changed the view")
}

func TestOnlyAHigherVersionReplacesANode(t *testing.T) {
	_, client, _ := serve(t, ServerConfig{})
	first := describe(1)
	moved := describe(1)
	moved.Address = "moved.example:4000"
	moved.Version++
	moved.Expires = moved.Expires.Add(-time.Second)
	require.NoError(t, client.Register(t.Context(), signed(t, 1, first)))
	require.NoError(t, client.Register(t.Context(), signed(t, 1, moved)))
	require.ErrorIs(t, client.Register(t.Context(), signed(t, 1, first)), ErrRefused)
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Equal(t, moved, *mustNode(t, v, 1))
	require.Len(t, v.Nodes, 1)
}

func TestAnOldDescriptorStaysOldAfterTheNodeExpired(t *testing.T) {
	_, client, now := serve(t, ServerConfig{MaxNodes: 1})
	first, last := describe(1), describe(1)
	first.Expires, last.Expires = start.Add(time.Minute), start.Add(2*time.Minute)
	last.Version++
	require.NoError(t, client.Register(t.Context(), signed(t, 1, first)))
	require.NoError(t, client.Register(t.Context(), signed(t, 1, last)))
	now.advance(2 * time.Minute)
	require.NoError(t, client.Register(t.Context(), signed(t, 2, describe(2))), "no room was made")
	require.ErrorIs(t, client.Register(t.Context(), signed(t, 1, first)), ErrRefused)
	require.ErrorIs(t, client.Register(t.Context(), signed(t, 1, last)), ErrRefused)
}

func TestAnotherIdentityDoesNotTakeANodeID(t *testing.T) {
	s, client, _ := serve(t, ServerConfig{})
	// Two identities with one id take 2⁴⁸ tries, so the server is told that it met the other one before.
	holder := describe(2)
	s.nodes[NodeIDOf(public(identity(1)))] = listed{&holder, signed(t, 2, holder)}
	d := describe(1)
	d.Version++
	answer, text := ask(t, http.MethodPost, client.URLs[0]+"/v1/descriptor", signed(t, 1, d))
	require.Equal(t, http.StatusConflict, answer.StatusCode)
	require.Contains(t, text, ErrTaken.Error())
}

func TestRegisteringTwiceChangesNothing(t *testing.T) {
	s, client, _ := serve(t, ServerConfig{})
	b := signed(t, 1, describe(1))
	require.NoError(t, client.Register(t.Context(), b))
	before := s.publish()
	require.NoError(t, client.Register(t.Context(), b))
	require.Same(t, before, s.publish())
}

func TestViewIsSignedAnewWhenNodesChangeOrHalfItsLifeIsGone(t *testing.T) {
	s, client, now := serve(t, ServerConfig{Lifetime: time.Minute})
	first := s.publish()
	require.Equal(t, start.Add(time.Minute), first.Expires)
	now.advance(30*time.Second - 1)
	require.Same(t, first, s.publish())

	require.NoError(t, client.Register(t.Context(), signed(t, 1, describe(1))))
	second := s.publish()
	require.Greater(t, second.Version, first.Version)
	require.Len(t, second.Nodes, 1)

	now.advance(30 * time.Second)
	third := s.publish()
	require.Greater(t, third.Version, second.Version)
	require.Equal(t, now.Now().Truncate(time.Second).Add(time.Minute), third.Expires)

	now.advance(-time.Hour)
	fourth := s.publish()
	require.Greater(t, fourth.Version, third.Version, "a clock that was put back")
	require.Equal(t, now.Now().Truncate(time.Second), fourth.Published)
}

func TestManyChangesWithinOneInstantHaveManyVersions(t *testing.T) {
	s, client, _ := serve(t, ServerConfig{})
	var last uint64
	for n := byte(1); n < 20; n++ {
		require.NoError(t, client.Register(t.Context(), signed(t, n, describe(n))))
		version := s.publish().Version
		require.Greater(t, version, last)
		last = version
	}
}

func TestVersionsRiseAcrossARestart(t *testing.T) {
	s, client, now := serve(t, ServerConfig{})
	require.NoError(t, client.Register(t.Context(), signed(t, 1, describe(1))))
	before := s.publish()
	now.advance(time.Second)
	restarted, err := NewServer(ServerConfig{Key: directoryKey, Network: network, Now: now.Now})
	require.NoError(t, err)
	require.Greater(t, restarted.publish().Version, before.Version)
}

func TestExpiredNodesLeaveTheDirectory(t *testing.T) {
	s, client, now := serve(t, ServerConfig{MaxNodes: 1})
	require.NoError(t, client.Register(t.Context(), signed(t, 1, describe(1))))
	require.ErrorIs(t, client.Register(t.Context(), signed(t, 2, describe(2))), ErrRefused)
	now.advance(time.Hour - time.Second)
	require.ErrorIs(t, client.Register(t.Context(), signed(t, 2, describe(2))), ErrRefused)
	now.advance(time.Second)
	later := describe(2)
	later.Expires = now.Now().Add(time.Hour)
	require.NoError(t, client.Register(t.Context(), signed(t, 2, later)))
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, v.Nodes, 1)
	require.Equal(t, later, *mustNode(t, v, 2))

	now.advance(time.Hour)
	require.Empty(t, s.publish().Nodes)
	require.Empty(t, s.nodes)
	require.Equal(t, viewHeaderSize, s.size)
}

func TestTheServerKnowsTheSizeOfItsView(t *testing.T) {
	s, _, now := serve(t, ServerConfig{})
	requireSize := func() { t.Helper(); require.Len(t, s.publish().signed, s.size) }
	requireSize()
	for n := byte(1); n <= 3; n++ {
		require.NoError(t, s.register(signed(t, n, describe(n))))
		requireSize()
	}
	larger := full(1)
	larger.Version = 2
	larger.Expires = larger.Expires.Add(time.Second)
	require.NoError(t, s.register(signed(t, 1, larger)))
	requireSize()
	smaller := describe(1)
	smaller.Version = 3
	smaller.Expires = larger.Expires.Add(time.Second)
	require.NoError(t, s.register(signed(t, 1, smaller)))
	requireSize()
	now.advance(time.Hour)
	requireSize()
	require.Len(t, s.publish().Nodes, 1)
}

func TestTheViewNeverOutgrowsItsLimit(t *testing.T) {
	s, _, _ := serve(t, ServerConfig{})
	require.NoError(t, s.register(signed(t, 1, full(1))))
	s.size = MaxViewSize - (nodePrefixSize + MaxDescriptorSize) // as if many others were listed
	s.cfg.MaxNodes = MaxNodes
	require.NoError(t, s.register(signed(t, 2, full(2))))
	require.Equal(t, MaxViewSize, s.size)
	require.ErrorIs(t, s.register(signed(t, 3, describe(3))), ErrFull)

	renewed := full(2)
	renewed.Version = 2
	require.NoError(t, s.register(signed(t, 2, renewed)), "a node that is listed needs no more room")
	require.Equal(t, MaxViewSize, s.size)
	smaller := describe(2)
	smaller.Version = 3
	require.NoError(t, s.register(signed(t, 2, smaller)))
	larger := full(2)
	larger.Version = 4
	require.NoError(t, s.register(signed(t, 3, describe(3))))
	require.ErrorIs(t, s.register(signed(t, 2, larger)), ErrFull, "a node that is listed grows over the limit")

	// The largest view of the largest nodes can be encoded.
	nodes := make([][]byte, (MaxViewSize-viewHeaderSize)/(nodePrefixSize+MaxDescriptorSize))
	for i := range nodes {
		nodes[i] = make([]byte, MaxDescriptorSize)
	}
	rest := MaxViewSize - viewHeaderSize - len(nodes)*(nodePrefixSize+MaxDescriptorSize)
	nodes = append(nodes, make([]byte, rest-nodePrefixSize))
	b := sign(directoryKey, viewContext, headerOf(1).encode(nodes))
	require.Len(t, b, MaxViewSize)
	_, err := parse(b)
	require.ErrorContains(t, err, "node 0")
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
	_, client, now := serve(t, ServerConfig{})
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
	require.Equal(t, strings.Fields("mix.example:4000 7 8 echo tcp 400 bytes in 50m0s"), rows[d.ID().String()])
	require.Equal(t, strings.Fields("mix.example:4000 7 - - in 50m0s"), rows[bare.ID().String()])
	require.Equal(t, []string{"2"}, rows["nodes"])

	now.advance(50 * time.Minute) // the view is past half its life
	_, page = ask(t, http.MethodGet, client.URLs[0]+"/", nil)
	require.NotContains(t, page, d.ID().String())

	brief := describe(3)
	brief.Expires = now.Now().Add(time.Minute)
	require.NoError(t, client.Register(t.Context(), signed(t, 3, brief)))
	ask(t, http.MethodGet, client.URLs[0]+"/", nil)
	now.advance(time.Minute)
	_, page = ask(t, http.MethodGet, client.URLs[0]+"/", nil)
	require.Regexp(t, brief.ID().String()+".*  expired\n", page)
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

func TestDirectoryUnderLoad(t *testing.T) {
	_, client, now := serve(t, ServerConfig{Lifetime: 4 * time.Minute})
	const nodes, rounds = 8, 10
	var running sync.WaitGroup
	for n := byte(1); n <= nodes; n++ {
		running.Go(func() {
			for round := range rounds {
				d := describe(n)
				d.Version += uint64(round)
				d.Expires = d.Expires.Add(time.Duration(round) * time.Minute)
				b, err := SignDescriptor(identity(n), d)
				if err == nil {
					err = client.Register(context.Background(), b)
				}
				if err != nil {
					t.Errorf("node %d, round %d: %v", n, round, err)
				}
				now.advance(time.Second)
			}
		})
		running.Go(func() {
			var last uint64
			for range rounds {
				v, err := client.Fetch(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				if v.Version < last {
					t.Errorf("version %d after %d", v.Version, last)
				}
				last = v.Version
				v.WithService("echo")
			}
		})
	}
	running.Wait()
	v, err := client.Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, v.Nodes, nodes)
	for _, d := range v.Nodes {
		require.Equal(t, start.Add(time.Hour+(rounds-1)*time.Minute), d.Expires)
	}
}
