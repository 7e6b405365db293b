package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node"
	"sphinxmix.example/node/cmd/mixnet/internal/welcome"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/tao"
)

// through returns a client of HTTP that goes by a proxy, each request in a connection of its own.
func through(proxy string) *http.Client {
	return &http.Client{
		Timeout: patience,
		Transport: &http.Transport{
			Proxy:             func(*http.Request) (*url.URL, error) { return url.Parse(proxy) },
			DisableKeepAlives: true,
		},
	}
}

// get asks for a page as a browser does.
func get(t *testing.T, by *http.Client, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	request.Header.Set("User-Agent", "Mozilla/5.0")
	request.Header.Set("Accept", "text/html,*/*;q=0.8")
	answer, err := by.Do(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode, string(body))
	return string(body)
}

// startUp runs 'mixnet up' in this process, and returns what it prints, once it has said what to try next, and what
// ends it and returns its error.
func startUp(t *testing.T, arguments ...string) (printed string, stop func() (string, error)) {
	t.Helper()
	var out output
	root := command()
	root.SetArgs(append([]string{"up", "--network", filepath.Join(t.TempDir(), "network.json")}, arguments...))
	root.SetOut(&out)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(ctx) }()
	end := sync.OnceValues(func() (string, error) {
		cancel()
		err := <-ended
		text, _ := out.now()
		return text, err
	})
	t.Cleanup(func() { _, _ = end() })
	deadline := time.After(patience)
	for {
		printed, more := out.now()
		if strings.Contains(printed, "Stop the network with Ctrl-C") {
			return printed, end
		}
		select {
		case <-more:
		case err := <-ended:
			ended <- err
			require.NoError(t, err, printed)
		case <-deadline:
			require.Fail(t, "up takes too long", printed)
		}
	}
}

// namesOn returns those in the picture of a welcome page.
func namesOn(page string) (names []string) {
	for _, name := range regexp.MustCompile(`<text class="name"[^>]*>([^<]*)</text>`).FindAllStringSubmatch(page, -1) {
		names = append(names, name[1])
	}
	return names
}

var curlLine = regexp.MustCompile(`(?m)^ +(curl --socks5-hostname (\S+) (http://welcome\.mix/))$`)

// TestUpEndsWithAProxyThatWorks: the line that it prints does what it says, in programs of all kinds.
func TestUpEndsWithAProxyThatWorks(t *testing.T) {
	printed, stop := startUp(t, "--socks", "0", "--allow", "127.0.0.1")
	require.Contains(t, printed, "All mixes are attested, but soft: for trying out; proves nothing")
	line := curlLine.FindStringSubmatch(printed)
	require.NotNil(t, line, printed)
	socks := line[2]

	t.Run("curl", func(t *testing.T) {
		if _, err := exec.LookPath("curl"); err != nil {
			t.Skip("there is no curl here")
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(line[1], "curl ", "curl --silent --show-error --max-time 120 ", 1))
		said, err := cmd.CombinedOutput()
		require.NoError(t, err, string(said))
		require.Regexp(t, `│ you │ ─▶ │ mix \d │ ─▶ │ mix \d │ ─▶ │ mix [123] │ ─▶ │ welcome.mix │`, string(said))
		require.NotContains(t, string(said), "<")
		require.Contains(t, string(said), "You came through three attested mixes (soft, which proves nothing).")
		require.Regexp(t, `What is proven:\s+Nothing`, string(said))
	})
	for _, proxy := range []string{"socks5h://" + socks, "socks5h://somebody:else@" + socks} {
		t.Run("browser by "+proxy, func(t *testing.T) {
			names := namesOn(get(t, through(proxy), line[3]))
			require.Len(t, names, 8)
			require.Equal(t, names[1], names[7], "the gateway")
			require.Contains(t, []string{"mix 1", "mix 2", "mix 3"}, names[3], "the exits")
		})
	}

	sent := bytes.Repeat([]byte("what a program sends, "), 10_000)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			slices.Reverse(body)
			_, _ = w.Write(body)
		}
	}))
	defer server.Close()
	for _, proxy := range []string{"socks5h://" + socks, "http://" + socks} { // TLS goes by CONNECT
		t.Run("both ways by "+proxy, func(t *testing.T) {
			by := through(proxy)
			by.Transport.(*http.Transport).TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig
			answer, err := by.Post(server.URL, "text/plain", bytes.NewReader(sent))
			require.NoError(t, err)
			defer answer.Body.Close()
			back, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			slices.Reverse(back)
			require.True(t, bytes.Equal(sent, back))
		})
	}
	for _, refused := range []string{"http://127.0.0.2:80/", "http://10.0.0.1/", "http://[::1]/", "http://localhost/", "http://0x7f.1/"} {
		t.Run("refused: "+refused, func(t *testing.T) {
			_, err := through("socks5h://" + socks).Get(refused)
			require.ErrorContains(t, err, "not allowed")
		})
	}

	left, err := net.Dial("tcp", socks)
	require.NoError(t, err)
	defer left.Close()
	printed, err = stop()
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(printed, "Stopped.\n"), printed)
	require.NoError(t, left.SetDeadline(time.Now().Add(patience)))
	_, err = io.ReadAll(left)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "a connection that stays when the proxy has ended")
}

// TestExitsOfUpConnectToPublicAddressesAlone unless they are told more.
func TestExitsOfUpConnectToPublicAddressesAlone(t *testing.T) {
	printed, _ := startUp(t, "--socks", "0", "--nodes", "4")
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, err := through("socks5h://" + curlLine.FindStringSubmatch(printed)[2]).Get(server.URL)
	require.ErrorContains(t, err, "not allowed")
}

// TestWelcomePageShowsTheWayThatTheClientChose, for each of several connections, as the client itself tells.
func TestWelcomePageShowsTheWayThatTheClientChose(t *testing.T) {
	l, err := listenLocal(&localOptions{nodes: 6})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.run(ctx) }()
	defer func() {
		cancel()
		require.NoError(t, <-ended)
	}()
	require.NoError(t, l.ready(ctx, patience))

	var mu sync.Mutex
	var chosen []string // names, in the order of the picture
	c, err := client.New(ctx, client.Config{
		Directory: l.directory,
		Routed: func(address string, out, back []directory.NodeID) {
			mu.Lock()
			defer mu.Unlock()
			chosen = []string{"you"}
			for _, id := range out {
				chosen = append(chosen, l.called(id).Name)
			}
			chosen = append(chosen, "welcome.mix")
			for _, id := range back {
				chosen = append(chosen, l.called(id).Name)
			}
			l.journeys.Routed(address, out, back)
		},
	})
	require.NoError(t, err)
	defer c.Close()
	by := func(dial welcome.Dial) *http.Client {
		return &http.Client{Transport: &http.Transport{
			DialContext:       func(ctx context.Context, _, address string) (net.Conn, error) { return dial(ctx, "", address) },
			DisableKeepAlives: true,
		}}
	}
	for range 5 {
		names := namesOn(get(t, by(l.journeys.Dialer(c.Dial)), "http://welcome.mix/"))
		mu.Lock()
		want := chosen
		mu.Unlock()
		require.Equal(t, want, names)
		require.Equal(t, names[1], names[7], "the gateway")
		require.Contains(t, []string{"mix 1", "mix 2", "mix 3"}, names[3], "the exits")
	}
	require.Contains(t, get(t, by(c.Dial), "http://welcome.mix/"), "does not know which way you came")
}

// TestProxyTakesAnotherPort where the usual one is taken, but none that it was not told where it was told one.
func TestProxyTakesAnotherPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	other, err := (&localOptions{socks: port}).listenSOCKS()
	require.NoError(t, err)
	defer other.Close()
	require.True(t, other.Addr().(*net.TCPAddr).IP.IsLoopback())

	_, err = (&localOptions{socks: port, socksFixed: true}).listenSOCKS()
	require.ErrorContains(t, err, "--socks 0")
}

// TestNextStepsWorkAsTheyStand: however the program was started, and wherever its network is.
func TestNextStepsWorkAsTheyStand(t *testing.T) {
	for name, want := range map[string]string{
		"./mixnet":                          "./mixnet",
		"/tmp/go-build3141/b001/exe/mixnet": "go run ./node/cmd/mixnet",
		"/home/ann o'hara/mixnet":           `'/home/ann o'\''hara/mixnet'`,
		"mixnet":                            "mixnet",
		"/var/folders/x/T/go-build1/b001/exe/mix": "go run ./node/cmd/mixnet",
	} {
		require.Equal(t, want, startedAs(name))
	}
	at := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
	steps := (&localOptions{network: "/a b", elsewhere: true}).nextSteps(at, at, "http://127.0.0.1:2")
	require.Contains(t, steps, " send --network '/a b' \"your message\"\n")
	require.Contains(t, steps, " ping --network '/a b'\n")
	require.Contains(t, steps, "--allow 127.0.0.1")
	allowed, err := parsePrefixes([]string{"127.0.0.1"})
	require.NoError(t, err)
	steps = (&localOptions{network: "/a b", allow: allowed}).nextSteps(at, at, "http://127.0.0.1:2")
	require.NotContains(t, steps, "--network")
	require.NotContains(t, steps, "--allow")
}

// TestCountsWhatFlows, for the line that 'mixnet up' keeps.
func TestCountsWhatFlows(t *testing.T) {
	var f flow
	far := make(chan net.Conn, 1)
	dial := f.dialer(func(context.Context, string, string) (net.Conn, error) {
		near, other := net.Pipe()
		far <- other
		return near, nil
	})
	conn, err := dial(t.Context(), "", "")
	require.NoError(t, err)
	other := <-far
	go func() {
		defer other.Close()
		_, _ = io.CopyN(other, other, 7)
	}()
	_, err = io.WriteString(conn, "1234567")
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, 7))
	require.NoError(t, err)
	require.EqualValues(t, []uint64{1, 1, 7, 7}, []uint64{uint64(f.open.Load()), f.made.Load(), f.up.Load(), f.down.Load()})
	require.NoError(t, conn.Close())
	conn.Close()
	require.Zero(t, f.open.Load(), "counted once")
	require.EqualValues(t, 1, f.made.Load())

	_, err = f.dialer(func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no") })(t.Context(), "", "")
	require.Error(t, err)
	require.EqualValues(t, 1, f.made.Load())

	before := f.now(&node.Counts{Received: 100})
	f.down.Add(1_234_567)
	counts := node.Counts{Received: 350}
	require.Equal(t, "1 streams, 0 open · 0 kB up, 1.2 MB down, 1.2 MB/s · 250 packets/s", f.now(&counts).since(before))
	counts.Dropped = map[node.Drop]uint64{node.DropReplay: 2, node.DropFrame: 1}
	require.Regexp(t, `, 3 dropped$`, f.now(&counts).since(before))
}

// TestPoliciesOfUpAreRenewed long before they expire: everybody goes by the new one, and nobody is left out by the old.
func TestPoliciesOfUpAreRenewed(t *testing.T) {
	l, err := listenLocal(&localOptions{nodes: 4, policyLife: 8 * time.Second})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.run(ctx) }()
	defer func() {
		cancel()
		require.NoError(t, <-ended)
	}()
	require.NoError(t, l.ready(ctx, patience))
	first, err := l.directory.Fetch(ctx)
	require.NoError(t, err)
	require.Len(t, first.Nodes, 4)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(first.Policy.Expires) {
		<-tick.C
		view, err := l.directory.Fetch(ctx)
		require.NoError(t, err)
		require.Empty(t, view.Refused)
		require.Len(t, view.Nodes, 4)
	}
	c, err := client.New(ctx, client.Config{Directory: l.directory})
	require.NoError(t, err)
	defer c.Close()
	reply, err := c.Request(ctx, client.Message{To: "echo", Body: []byte("still here")})
	require.NoError(t, err)
	require.Equal(t, "still here", string(reply))
	last, err := l.directory.Fetch(ctx)
	require.NoError(t, err)
	require.GreaterOrEqual(t, last.Policy.Version, first.Policy.Version+2)
}

// TestAuthoritySignsANewerPolicy after a quarter of its time.
func TestAuthoritySignsANewerPolicy(t *testing.T) {
	a, err := newLocalAuthority(tao.Soft, nil)
	require.NoError(t, err)
	a.settings = node.Configuration(node.Config{Network: localNet, Mix: localMix()})
	now := time.Now()
	signed, err := a.sign(now)
	require.NoError(t, err)
	p, err := tao.ParsePolicy(signed, a.publicKey())
	require.NoError(t, err)
	require.Equal(t, now.Add(localPolicyLife).Unix(), p.Expires.Unix())
	require.False(t, a.due(now.Add(localPolicyLife/4-time.Second)))
	require.True(t, a.due(now.Round(0).Add(localPolicyLife/4)))
	again, err := a.sign(now)
	require.NoError(t, err)
	next, err := tao.ParsePolicy(again, a.publicKey())
	require.NoError(t, err)
	require.Greater(t, next.Version, p.Version)
}
