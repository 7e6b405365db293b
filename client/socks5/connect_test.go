package socks5_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/socks5"
)

// parsed reads an answer of HTTP as a program does.
func parsed(t testing.TB, answer []byte) (status string, header http.Header, body string) {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(answer))
	res, err := http.ReadResponse(r, &http.Request{Method: http.MethodGet})
	require.NoError(t, err, "%q", answer)
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.True(t, res.Close, "%q", answer)
	require.Zero(t, r.Buffered(), "more than one answer")
	return res.Status, res.Header, string(b)
}

func TestConnectTargets(t *testing.T) {
	d := &dials{err: errNotDialled}
	ln, program := onLoopback(t)
	serve(t, &socks5.Server{Dial: d.dial}, ln)
	for target, address := range map[string]string{
		"welcome.mix:80":                 "welcome.mix:80",
		"192.0.2.1:443":                  "192.0.2.1:443",
		"[2001:db8::1]:443":              "[2001:db8::1]:443",
		"a:65535":                        "a:65535",
		"a:0080":                         "a:80",
		"a":                              "",
		"a:":                             "",
		":80":                            "",
		"a:0":                            "",
		"a:65536":                        "",
		"a:-1":                           "",
		"a:+1":                           "",
		"a:http":                         "",
		"2001:db8::1:443":                "",
		"[fe80::1%25lo]:80":              "",
		"[a:80":                          "",
		"a/b:80":                         "",
		"u@a:80":                         "",
		"http://a:80":                    "",
		"/":                              "",
		"*":                              "",
		"b\xfccher:80":                   "",
		strings.Repeat("a", 256) + ":80": "",
	} {
		status, _, _ := parsed(t, say(t, program(), []byte(toHTTP(target, "", ""))))
		if address == "" {
			require.Equal(t, "400 Bad Request", status, "%q", target)
			require.Empty(t, d.taken(), "%q", target)
			continue
		}
		require.Equal(t, "503 Service Unavailable", status, "%q", target)
		require.Equal(t, []call{{"", address}}, d.taken())
	}
}

func TestEveryFailureIsExplainedOverHTTP(t *testing.T) {
	for _, f := range failures {
		d := &dials{err: fmt.Errorf("client: %w", f.err)}
		ln, program := onLoopback(t)
		serve(t, &socks5.Server{Dial: d.dial}, ln)
		status, header, text := parsed(t, say(t, program(), []byte(toHTTP("a:80", "", ""))))
		require.Equal(t, f.status, status, "%v", f.err)
		require.Contains(t, text, f.text)
		require.Equal(t, "text/plain; charset=utf-8", header.Get("Content-Type"))
	}
}

// TestErrorsCannotForgeAnswers: the text of an error may come from far away.
func TestErrorsCannotForgeAnswers(t *testing.T) {
	d := &dials{err: errors.New("x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\x1b[2J\xff" + strings.Repeat("ü", 5000))}
	ln, program := onLoopback(t)
	serve(t, &socks5.Server{Dial: d.dial}, ln)
	status, _, text := parsed(t, say(t, program(), []byte(toHTTP("a:80", "", ""))))
	require.Equal(t, "503 Service Unavailable", status)
	require.NotContains(t, strings.TrimSuffix(text, "\n"), "\n")
	require.NotContains(t, text, "\x1b")
	require.Less(t, len(text), 500)
}

func TestOtherRequestsOfHTTPAreToldWhatThisIs(t *testing.T) {
	d := &dials{err: errNotDialled}
	ln, program := onLoopback(t)
	serve(t, &socks5.Server{Dial: d.dial}, ln)
	for _, request := range []string{
		"GET http://welcome.mix/ HTTP/1.1\r\nHost: welcome.mix\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n",
		"POST http://welcome.mix/ HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
		"POST /x HTTP/1.1\r\nContent-Length: 13\r\n\r\n" + noLogin + toName("a", 80), // SOCKS5 from a web page's form
		"OPTIONS * HTTP/1.1\r\n\r\n",
		"connect a:80 HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\n\n",
	} {
		status, header, text := parsed(t, say(t, program(), []byte(request)))
		require.Equal(t, "405 Method Not Allowed", status, "%q", request)
		require.Equal(t, "CONNECT", header.Get("Allow"))
		require.Contains(t, text, "This is a SOCKS5 and CONNECT proxy.")
	}
	require.Empty(t, d.taken())
}

func TestMalformedRequestsOfHTTPAreRefused(t *testing.T) {
	d := &dials{err: errNotDialled}
	ln, program := onLoopback(t)
	serve(t, &socks5.Server{Dial: d.dial}, ln)
	for request, want := range map[string]string{
		"CONNECT a:80\r\n\r\n":                                                                                "400 Bad Request",
		"CONNECT a:80 HTTP/9\r\n\r\n":                                                                         "400 Bad Request",
		"CONNECT a:80 HTTP/1.1\r\nno colon\r\n\r\n":                                                           "400 Bad Request",
		"CONNECT a:80 HTTP/1.1\r\n\r\r\nthe end, or not: x\r\n\r\n":                                           "400 Bad Request",
		"CONNECT a:80 HTTP/1.1\r\n folded: x\r\n\r\n":                                                         "400 Bad Request",
		"CONNECT a:80 HTTP/1.1\r\nProxy-Authorization: Basic YQ==\r\n\r\n":                                    "407 Proxy Authentication Required",
		"CONNECT a:80 HTTP/1.1\r\nProxy-Authorization: Basic ?\r\n\r\n":                                       "407 Proxy Authentication Required",
		"CONNECT a:80 HTTP/1.1\r\nProxy-Authorization: Digest YTpi\r\n\r\n":                                   "407 Proxy Authentication Required",
		"CONNECT a:80 HTTP/1.1\r\nProxy-Authorization:\r\n\r\n":                                               "407 Proxy Authentication Required",
		"CONNECT a:80 HTTP/1.1\r\nProxy-Authorization: Basic YTpi\r\nproxy-authorization: Basic YTpj\r\n\r\n": "407 Proxy Authentication Required",
		"CONNECT a:80 HTTP/1.1\r\nX: " + strings.Repeat("x", 8<<10) + "\r\n\r\n":                              "431 Request Header Fields Too Large",
		"A" + strings.Repeat("a", 100_000):                                                                    "431 Request Header Fields Too Large",
	} {
		status, _, _ := parsed(t, say(t, program(), []byte(request)))
		require.Equal(t, want, status, "%.80q", request)
	}
	require.Empty(t, d.taken())
}

// TestAHeadOfTheLongestSizeIsRead: with its last byte the head may come in any pieces.
func TestAHeadOfTheLongestSizeIsRead(t *testing.T) {
	d := &dials{err: errNotDialled}
	ln := inMemory()
	serve(t, &socks5.Server{Dial: d.dial}, ln)
	head := "CONNECT a:80 HTTP/1.1\r\nX: \r\n\r\n"
	head = strings.Replace(head, "X: ", "X: "+strings.Repeat("x", 8<<10-len(head)), 1)
	require.Len(t, head, 8<<10)
	for _, piece := range []int{1, 2, 3, 1000, len(head)} {
		program := ln.program(t)
		go func() {
			for b := []byte(head); len(b) > 0; b = b[min(piece, len(b)):] {
				_, _ = program.Write(b[:min(piece, len(b))])
			}
		}()
		status, _, _ := parsed(t, say(t, program, nil))
		require.Equal(t, "503 Service Unavailable", status, "pieces of %d", piece)
		require.Len(t, d.taken(), 1)
	}
}
