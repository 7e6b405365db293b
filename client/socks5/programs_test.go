package socks5_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/socks5"
)

// The destinations that an exit of these tests knows; it refuses all others.
const (
	plainSite = "site.example:80"
	tlsSite   = "example.com:443" // which the certificate of httptest is for
)

// An exit connects to local servers in place of what it is asked for, and keeps what it was asked for.
type exit struct {
	dials
	sites map[string]string
}

func (e *exit) dial(ctx context.Context, isolation, address string) (net.Conn, error) {
	_, _ = e.dials.dial(ctx, isolation, address)
	local, known := e.sites[address]
	if !known {
		return nil, fmt.Errorf("exit: %w", syscall.ECONNREFUSED)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", local)
}

// sites serves a page without TLS and with it, through a proxy whose address is returned.
func sites(t *testing.T) (e *exit, proxy string, roots *x509.CertPool) {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, io.MultiReader(strings.NewReader("the page for "+r.Host+": "), r.Body))
	})
	plain, secure := httptest.NewServer(page), httptest.NewTLSServer(page)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	address := plain.Listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	e = &exit{sites: map[string]string{
		plainSite: address, tlsSite: secure.Listener.Addr().String(), address: address, "[::1]:" + port: address,
	}}
	ln, _ := onLoopback(t)
	serve(t, &socks5.Server{Dial: e.dial}, ln)
	roots = x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	return e, ln.Addr().String(), roots
}

// TestGoProgram: the client of the standard library, which others wrote.
func TestGoProgram(t *testing.T) {
	e, proxy, roots := sites(t)
	seen := make(map[string]string)
	for _, c := range []struct{ proxy, site string }{
		{"socks5://" + proxy, "http://site.example"},
		{"socks5h://" + proxy, "https://example.com"},
		{"socks5://alice:secret@" + proxy, "https://example.com"},
		{"http://" + proxy, "https://example.com"},
		{"http://alice:secret@" + proxy, "https://example.com"},
		{"socks5://bob:secret@" + proxy, "http://site.example"},
	} {
		through, err := url.Parse(c.proxy)
		require.NoError(t, err)
		transport := &http.Transport{Proxy: http.ProxyURL(through), TLSClientConfig: &tls.Config{RootCAs: roots}}
		res, err := (&http.Client{Transport: transport, Timeout: longEnough}).Post(c.site, "", strings.NewReader("hello"))
		require.NoError(t, err, c)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Equal(t, "the page for "+strings.TrimPrefix(strings.TrimPrefix(c.site, "http://"), "https://")+": hello", string(body))
		transport.CloseIdleConnections()
		calls := e.taken()
		require.Len(t, calls, 1)
		user := through.User.String()
		if isolation, known := seen[user]; known {
			require.Equal(t, isolation, calls[0].isolation)
		}
		seen[user] = calls[0].isolation
	}
	require.Len(t, seen, 3)
	require.Empty(t, seen[""])
	require.NotEqual(t, seen["alice:secret"], seen["bob:secret"])

	through := &url.URL{Scheme: "socks5", Host: proxy}
	transport := &http.Transport{Proxy: http.ProxyURL(through)}
	_, err := (&http.Client{Transport: transport, Timeout: longEnough}).Get("http://unknown.example")
	require.ErrorContains(t, err, "connection refused")
}

// curl runs curl with nothing but args, and returns what it printed and its exit status.
func curl(t *testing.T, args ...string) (printed string, status int) {
	path, err := exec.LookPath("curl")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("curl is not installed")
		}
		t.Skip("curl is not installed")
	}
	cmd := exec.CommandContext(t.Context(), path, append([]string{"-q", "--silent", "--show-error", "--max-time", strconv.Itoa(int(longEnough.Seconds()))}, args...)...)
	cmd.Env = []string{"LC_ALL=C"} // and no variable that names another proxy
	out, err := cmd.CombinedOutput()
	if _, failed := err.(*exec.ExitError); err != nil && !failed {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestCurl(t *testing.T) {
	e, proxy, _ := sites(t)
	local := e.sites[plainSite]
	_, port, _ := net.SplitHostPort(local)
	var alice, bob string
	for _, c := range []struct {
		args    []string
		site    string
		address string
		user    *string
	}{
		{[]string{"--socks5-hostname", proxy}, "http://site.example/", plainSite, nil},
		{[]string{"--socks5", proxy}, "http://" + local + "/", local, nil},
		{[]string{"--socks5", proxy}, "http://[::1]:" + port + "/", "[::1]:" + port, nil},
		{[]string{"--socks5-hostname", proxy}, "http://[::1]:" + port + "/", "[::1]:" + port, nil},
		{[]string{"--socks5-hostname", proxy, "--proxy-user", "alice:secret"}, "http://site.example/", plainSite, &alice},
		{[]string{"-x", "socks5h://alice:secret@" + proxy}, "http://site.example/", plainSite, &alice},
		{[]string{"-x", "socks5h://bob:secret@" + proxy}, "http://site.example/", plainSite, &bob},
		{[]string{"--proxytunnel", "-x", "http://" + proxy}, "http://site.example/", plainSite, nil},
		{[]string{"--proxytunnel", "-x", "http://alice:secret@" + proxy}, "http://site.example/", plainSite, &alice},
		{[]string{"--proxytunnel", "-x", "http://" + proxy}, "http://[::1]:" + port + "/", "[::1]:" + port, nil},
		{[]string{"-x", "http://bob:secret@" + proxy, "--insecure"}, "https://example.com/", tlsSite, &bob},
	} {
		printed, status := curl(t, append(c.args, "--data-binary", "hello", c.site)...)
		require.Zero(t, status, "%v: %s", c.args, printed)
		require.Contains(t, printed, "the page for ", c.args)
		require.Contains(t, printed, ": hello")
		calls := e.taken()
		require.Len(t, calls, 1)
		require.Equal(t, c.address, calls[0].address)
		if c.user == nil {
			require.Empty(t, calls[0].isolation)
			continue
		}
		if *c.user == "" {
			*c.user = calls[0].isolation
		}
		require.Equal(t, *c.user, calls[0].isolation, c.args)
	}
	require.NotEqual(t, alice, bob)
}

// TestCurlSaysWhatFailed: curl shows the reply's code, and a page where it was asked to fetch one.
func TestCurlSaysWhatFailed(t *testing.T) {
	_, proxy, _ := sites(t)
	printed, status := curl(t, "--socks5-hostname", proxy, "http://unknown.example/")
	require.Equal(t, 97, status, "CURLE_PROXY")
	require.Contains(t, printed, "(5)")
	printed, status = curl(t, "--proxytunnel", "-x", "http://"+proxy, "http://unknown.example/")
	require.NotZero(t, status)
	require.Contains(t, printed, "502")
	printed, _ = curl(t, "-x", "http://"+proxy, "http://site.example/")
	require.Contains(t, printed, "This is a SOCKS5 and CONNECT proxy.")
	_, status = curl(t, "-x", "socks4://"+proxy, "http://"+strings.TrimPrefix(proxy, "http://")+"/")
	require.Equal(t, 97, status)
}

// TestTwoHundredProgramsAtOnce: each gets its own bytes back, whatever the others do.
func TestTwoHundredProgramsAtOnce(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer echo.Close()
	var running sync.WaitGroup
	defer running.Wait()
	go func() {
		for {
			conn, err := echo.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
				_ = conn.(*net.TCPConn).CloseWrite()
			})
		}
	}()
	ln, connect := onLoopback(t)
	stop := serve(t, &socks5.Server{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", echo.Addr().String())
	}}, ln)
	var programs sync.WaitGroup
	for i := range 200 {
		program := connect()
		programs.Go(func() {
			content := make([]byte, 1+i*1000)
			_, _ = rand.NewChaCha8([32]byte{byte(i)}).Read(content)
			request, answer := noLogin+toName("echo.example", 7), noLoginTaken+granted
			if i%2 == 1 {
				request, answer = toHTTP("echo.example:7", "user", "x"), connected
			}
			var sending sync.WaitGroup
			sending.Go(func() {
				_, _ = program.Write(append([]byte(request), content...))
				_ = program.CloseWrite()
			})
			got, err := io.ReadAll(program)
			sending.Wait()
			if err != nil || !bytes.Equal(got, append([]byte(answer), content...)) {
				t.Errorf("program %d: %d bytes of %d, %v", i, len(got)-len(answer), len(content), err)
			}
		})
	}
	programs.Wait()
	stop()
}
