package system_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/proxy"
)

// Programs that others wrote go through a network of 'mixnet up' here, to servers on this machine, which listen on
// loopback alone. Where one of the programs is not installed its test is left out, but not under CI.

// onLoopback lets exits of a test connect to its servers.
const onLoopback = "127.0.0.1/32"

// up is a 'mixnet up' that is ready.
type up struct {
	*process
	socks string // address of the proxy
}

var upIsReady = regexp.MustCompile(`(?s)curl --socks5-hostname (127\.0\.0\.1:\d+) http://welcome\.mix/.*Stop the network`)

// startUp starts a whole network, as somebody does who tries it.
func startUp(t *testing.T, flags ...string) *up {
	t.Helper()
	skipIfLeft(t)
	folder := t.TempDir()
	u := &up{process: newProcess(t, "up", folder)}
	printed, err := os.Create(filepath.Join(folder, "printed"))
	require.NoError(t, err)
	defer printed.Close()
	command := exec.Command(mixnet, append([]string{"up", "--network", filepath.Join(folder, "network.json"), "--socks", "0"}, flags...)...)
	command.Stdout = printed
	u.start(command)
	await(t, "the network is there", func() bool {
		require.True(t, u.runs(), "mixnet up ended")
		text, err := os.ReadFile(printed.Name())
		require.NoError(t, err)
		if ready := upIsReady.FindSubmatch(text); ready != nil {
			u.socks = string(ready[1])
		}
		return u.socks != ""
	})
	return u
}

// installed returns where a program is that has one of these names, and leaves the test out if there is none.
func installed(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", names[0])
	}
	t.Skipf("%s is not installed", names[0])
	return ""
}

var programs atomic.Int32 // that were run

// begin starts a program in a folder, with an environment in which nobody has set anything, a proxy least of all.
func begin(t *testing.T, folder string, command *exec.Cmd) *process {
	t.Helper()
	p := newProcess(t, fmt.Sprintf("%s-%d", filepath.Base(command.Path), programs.Add(1)), t.TempDir())
	command.Dir = folder
	command.Env = append(command.Env, "LC_ALL=C.UTF-8", "HOME="+folder, "PATH="+os.Getenv("PATH"))
	p.start(command)
	return p
}

// do runs a program to its end and returns its exit status, what it printed, and what it said on standard error.
func do(t *testing.T, folder string, arguments ...string) (status int, printed, said string) {
	t.Helper()
	command := exec.Command(installed(t, arguments[0]), arguments[1:]...)
	var out bytes.Buffer
	command.Stdout = &out
	p := begin(t, folder, command)
	await(t, strings.Join(arguments, " ")+" ends", func() bool { return !p.runs() })
	status, _ = p.state()
	return status, out.String(), p.said(1 << 16)
}

// mustDo is do of what must succeed.
func mustDo(t *testing.T, folder string, arguments ...string) (printed string) {
	t.Helper()
	status, printed, said := do(t, folder, arguments...)
	require.Zero(t, status, "%v: %s", arguments, said)
	return printed
}

// curl runs curl with nothing but these arguments.
func curl(t *testing.T, arguments ...string) (status int, printed, said string) {
	t.Helper()
	return do(t, t.TempDir(), append([]string{"curl", "-q", "--silent", "--show-error", "--max-time", "240"}, arguments...)...)
}

// noise returns bytes in which nothing repeats, others for each seed.
func noise(seed byte, size int) []byte {
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(content) // never fails
	return content
}

// requireEqual compares contents that are too long to be printed.
func requireEqual(t *testing.T, want, got []byte, what any) {
	t.Helper()
	if !bytes.Equal(want, got) {
		t.Fatalf("%v: %d bytes with SHA-256 %x came as %d bytes with SHA-256 %x", what, len(want), sha256.Sum256(want), len(got), sha256.Sum256(got))
	}
}

// TestProgramsGoThrough what 'mixnet up' starts, in the way that the README shows.
func TestProgramsGoThrough(t *testing.T) {
	t.Parallel()
	u := startUp(t, "--allow", onLoopback)
	for _, c := range []struct {
		program string
		goes    func(t *testing.T, socks string)
	}{
		{"ssh", goesSSH},
		{"curl", goesCurl},
		{"git", goesGit},
		{"WebSocket", goesWebSocket},
		{"curl, welcomed", welcomesCurl},
		{"browser, welcomed", welcomesBrowser},
	} {
		t.Run(c.program, func(t *testing.T) {
			t.Parallel() // as on a user's machine
			c.goes(t, u.socks)
		})
	}
}

// goesCurl: curl with TLS, whose two ends alone can read what it fetches and sends, by SOCKS5 and by CONNECT.
func goesCurl(t *testing.T, socks string) {
	const up = 500_000
	content := noise(1, 5_000_000)
	received := make(chan []byte, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			body, _ := io.ReadAll(r.Body) // what is missing shows
			received <- body
			return
		}
		size, err := strconv.Atoi(r.URL.Path[1:])
		assert.NoError(t, err)
		_, _ = w.Write(content[:size])
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	folder := t.TempDir()
	roots, file, back := filepath.Join(folder, "roots.pem"), filepath.Join(folder, "file"), filepath.Join(folder, "back")
	require.NoError(t, os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	require.NoError(t, os.WriteFile(file, content[:up], 0o600))

	for _, c := range []struct {
		by   []string
		down int // bytes
	}{
		{[]string{"--socks5-hostname", socks}, len(content)},
		{[]string{"--proxytunnel", "--proxy", "http://" + socks}, len(content) / 5},
	} {
		began := time.Now()
		status, _, said := curl(t, append(c.by, "--cacert", roots, "--output", back, fmt.Sprintf("%s/%d", server.URL, c.down))...)
		took := time.Since(began)
		require.Zero(t, status, "%v: %s", c.by, said)
		got, err := os.ReadFile(back)
		require.NoError(t, err)
		requireEqual(t, content[:c.down], got, c.by)

		began = time.Now()
		status, _, said = curl(t, append(c.by, "--cacert", roots, "--upload-file", file, server.URL)...)
		t.Logf("%s: %d bytes down in %v, %d up in %v", c.by[0], c.down, took, up, time.Since(began))
		require.Zero(t, status, "%v: %s", c.by, said)
		requireEqual(t, content[:up], <-received, c.by)
	}

	status, _, said := curl(t, "--socks5-hostname", socks, server.URL)
	require.Equal(t, 60, status, "who does not know the server's root finds out: %s", said)
	status, _, said = curl(t, "--socks5-hostname", socks, "http://"+refusing(t)+"/")
	require.Equal(t, 97, status)
	require.Contains(t, said, "(5)", "connection refused")
}

// goesWebSocket: messages both ways in one connection, as many as there are, without waiting for one another.
func goesWebSocket(t *testing.T, socks string) {
	server := webSocketEcho(t)
	dialer, err := proxy.SOCKS5("tcp", socks, nil, proxy.Direct)
	require.NoError(t, err)
	conn, err := dialer.Dial("tcp", server)
	require.NoError(t, err)
	defer conn.Close()
	echoes(t, conn, server, 100)
}

// goesSSH: a shell at the other end, as somebody uses it who types a line and waits for the answer.
func goesSSH(t *testing.T, socks string) {
	nc := installed(t, "nc.openbsd", "nc")
	if _, _, said := do(t, t.TempDir(), nc, "-h"); !strings.Contains(said, "-X") {
		installed(t, "nc.openbsd") // other programs of that name know no proxies
	}
	s := newShellServer(t)
	shell := exec.Command(installed(t, "ssh"), "-F", "/dev/null", "-T", "-i", s.key, "-o", "UserKnownHostsFile="+s.known,
		"-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", fmt.Sprintf("ProxyCommand=%s -X 5 -x %s %%h %%p", nc, socks),
		"-p", s.port, "somebody@127.0.0.1")
	keyboard, err := shell.StdinPipe()
	require.NoError(t, err)
	screen, shown, err := os.Pipe()
	require.NoError(t, err)
	defer screen.Close()
	shell.Stdout = shown
	p := begin(t, t.TempDir(), shell)
	require.NoError(t, shown.Close())
	lines := make(chan string, 1)
	go func() {
		defer close(lines)
		for text := bufio.NewScanner(screen); text.Scan(); {
			lines <- text.Text()
		}
	}()
	ask := func(line string) (answer string) {
		_, err := fmt.Fprintln(keyboard, line)
		require.NoError(t, err)
		select {
		case answer = <-lines:
		case <-p.ended:
			require.Fail(t, "ssh ended", p.said(1000))
		case <-time.After(patience):
			require.Fail(t, "no answer", line)
		}
		return answer
	}
	began := time.Now()
	require.Equal(t, "here", ask("echo here"))
	t.Logf("ssh was there after %v", time.Since(began))
	count := 50
	if long {
		count = 100
	}
	var trips []time.Duration
	for i := range count {
		began := time.Now()
		require.Equal(t, strconv.Itoa(i*7919), ask(fmt.Sprintf("echo $((%d * 7919))", i)))
		trips = append(trips, time.Since(began))
	}
	slices.Sort(trips)
	t.Logf("%d round trips: median %v, longest %v", count, trips[count/2], trips[count-1])
	require.NoError(t, keyboard.Close())
	await(t, "ssh ends with its input", func() bool { return !p.runs() })
	status, _ := p.state()
	require.Zero(t, status, p.said(1000))
	require.Empty(t, <-lines, "nothing was said that nobody asked for")
}

var (
	threeMixes = regexp.MustCompile(`│ you │ ─▶ │ (mix \d) │ ─▶ │ (mix \d) │ ─▶ │ (mix [123]) │ ─▶ │ welcome.mix │`)
	threeBack  = regexp.MustCompile(`│ (mix \d) │ ◀─ │ (mix \d) │ ◀─ │ (mix \d) │ ◀─`)
)

// requireThreeMixes checks that two ways of three different mixes each begin and end at the same gateway.
func requireThreeMixes(t *testing.T, out, back []string) {
	t.Helper()
	require.Len(t, out, 3)
	require.Len(t, back, 3)
	for _, way := range [][]string{out, back} {
		require.NotEqual(t, way[0], way[1])
		require.NotEqual(t, way[1], way[2])
		require.NotEqual(t, way[0], way[2])
	}
	require.Equal(t, out[0], back[2], "the gateway")
}

// welcomesCurl: the line that 'mixnet up' prints.
func welcomesCurl(t *testing.T, socks string) {
	began := time.Now()
	status, page, said := curl(t, "--socks5-hostname", socks, "http://welcome.mix/")
	t.Logf("the page was there after %v", time.Since(began))
	require.Zero(t, status, said)
	out, back := threeMixes.FindStringSubmatch(page), threeBack.FindStringSubmatch(page)
	require.NotNil(t, out, page)
	require.NotNil(t, back, page)
	requireThreeMixes(t, out[1:], []string{back[3], back[2], back[1]})
}

// TestExitsRefuseWhatIsNotPublic unless they were told otherwise: with the reply that says so, and without as much as a
// connection.
func TestExitsRefuseWhatIsNotPublic(t *testing.T) {
	t.Parallel()
	u := startUp(t, "--nodes", "4")
	var reached atomic.Int32
	trap, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer trap.Close()
	port := strconv.Itoa(trap.Addr().(*net.TCPAddr).Port)
	traps := []net.Listener{trap}
	if other, err := net.Listen("tcp", "[::1]:"+port); err == nil { // where there is IPv6
		defer other.Close()
		traps = append(traps, other)
	}
	for _, listener := range traps {
		go func() {
			for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
				reached.Add(1)
				conn.Close()
			}
		}()
	}
	var slowest time.Duration
	for _, host := range []string{
		"127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "localhost", "LOCALHOST.", "0x7f.1", "2130706433", "0",
		"[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[fe80::1]", "[fd00::1]", "192.168.0.1", "224.0.0.1", "255.255.255.255",
	} {
		began := time.Now()
		status, _, said := curl(t, "--socks5-hostname", u.socks, "http://"+host+":"+port+"/")
		slowest = max(slowest, time.Since(began))
		require.Equal(t, 97, status, host)
		require.Contains(t, said, "(2)", "not allowed: "+host)
	}
	status, _, said := curl(t, "--proxytunnel", "--proxy", "http://"+u.socks, "http://127.0.0.1:"+port+"/")
	require.Equal(t, 56, status)
	require.Contains(t, said, "403")

	// curl writes such addresses anew before it sends them; others hand on what they were given.
	dialer, err := proxy.SOCKS5("tcp", u.socks, nil, proxy.Direct)
	require.NoError(t, err)
	for _, host := range []string{"127.0.0.1", "::ffff:127.0.0.1", "127.1", "0x7f.1", "0177.0.0.1", "2130706433", "localhost", "a.localhost"} {
		began := time.Now()
		_, err := dialer.Dial("tcp", net.JoinHostPort(host, port))
		slowest = max(slowest, time.Since(began))
		require.ErrorContains(t, err, "not allowed", host)
	}
	require.Zero(t, reached.Load())
	t.Logf("the slowest of these answers took %v", slowest)
}
