package socks5

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// maxHead is how long the head of a request of HTTP may be, in bytes.
const maxHead = 8 << 10

var errHeadTooLong = errors.New("socks5: the head of the request is too long")

// connected is the answer to CONNECT when the connection is there.
const connected = "HTTP/1.1 200 Connection established\r\n\r\n"

// What is said to a program that speaks HTTP and is wrong.
const (
	sayProxy = "This is a SOCKS5 and CONNECT proxy. It passes connections on and does not fetch pages: have the program\n" +
		"use it for SOCKS5, with names resolved by the proxy (socks5h://), or for CONNECT (curl: --proxytunnel)."
	sayMalformed = "The request is malformed."
	sayTooLong   = "The head of the request is too long."
	sayTarget    = "CONNECT wants a host name or an IP address, with a port: CONNECT example.org:443 HTTP/1.1."
	sayBasic     = "Credentials must be Basic: a user and a password, of your choice, to keep connections apart by."
)

// readConnect is handshake for a program that speaks HTTP.
func readConnect(r *bufio.Reader) (wanted *request, answer []byte) {
	head, err := readHead(r)
	if errors.Is(err, errHeadTooLong) {
		return nil, page(http.StatusRequestHeaderFieldsTooLarge, sayTooLong)
	} else if err != nil {
		return nil, nil
	}
	source := bytes.NewReader(head)
	lines := bufio.NewReader(source)
	req, err := http.ReadRequest(lines)
	// It has to end where the head was seen to end: what comes after is the connection's.
	if err != nil || lines.Buffered()+source.Len() > 0 {
		return nil, page(http.StatusBadRequest, sayMalformed)
	}
	if _, err := r.Discard(len(head)); err != nil {
		return nil, nil
	}
	if req.Method != http.MethodConnect {
		return nil, page(http.StatusMethodNotAllowed, sayProxy)
	}
	address, ok := targetOf(req.RequestURI)
	if !ok {
		return nil, page(http.StatusBadRequest, sayTarget)
	}
	isolation, ok := authorization(req.Header.Values("Proxy-Authorization"))
	if !ok {
		return nil, page(http.StatusProxyAuthRequired, sayBasic)
	}
	return &request{
		isolation: isolation,
		address:   address,
		granted:   []byte(connected),
		refused: func(err error) []byte {
			f := failureOf(err)
			return page(f.status, f.says(err))
		},
	}, nil
}

// readHead returns the head of a request, up to and with the empty line, and leaves it in r.
func readHead(r *bufio.Reader) ([]byte, error) {
	seen := 0
	for {
		if _, err := r.Peek(seen + 1); err != nil {
			return nil, err
		}
		head, err := r.Peek(min(r.Buffered(), maxHead))
		if err != nil {
			return nil, err
		}
		if end := headEnd(head, max(seen-2, 0)); end > 0 {
			return head[:end], nil
		}
		if len(head) == maxHead {
			return nil, errHeadTooLong
		}
		seen = len(head)
	}
}

// headEnd returns where the first empty line ends whose preceding line ends at from or later; 0 if there is none. Lines
// end in LF or CR LF.
func headEnd(b []byte, from int) int {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return 0
		}
		from += i + 1
		switch rest := b[from:]; {
		case bytes.HasPrefix(rest, []byte("\n")):
			return from + 1
		case bytes.HasPrefix(rest, []byte("\r\n")):
			return from + 2
		}
	}
}

// targetOf returns the address for Dial of what a CONNECT asks for.
func targetOf(target string) (address string, ok bool) {
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return "", false
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", false
	}
	return addressOf(host, uint16(number))
}

// authorization returns the isolation that the Proxy-Authorization fields of a request ask for. To ignore one that cannot
// be read would link what its program wants to be kept apart.
func authorization(fields []string) (isolation string, ok bool) {
	if len(fields) == 0 {
		return "", true
	}
	scheme, encoded, _ := strings.Cut(fields[0], " ")
	pair, err := base64.StdEncoding.DecodeString(strings.TrimLeft(encoded, " "))
	user, password, colon := bytes.Cut(pair, []byte(":"))
	if len(fields) > 1 || !strings.EqualFold(scheme, "Basic") || err != nil || !colon {
		return "", false
	}
	return isolationOf(user, password), true
}

// page returns an answer with a text in it, after which the connection is closed.
func page(status int, text string) []byte {
	extra := ""
	switch status {
	case http.StatusMethodNotAllowed:
		extra = "Allow: CONNECT\r\n"
	case http.StatusProxyAuthRequired:
		extra = "Proxy-Authenticate: Basic realm=\"isolation\"\r\n"
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\n%sContent-Type: text/plain; charset=utf-8\r\n"+
		"X-Content-Type-Options: nosniff\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n",
		status, http.StatusText(status), extra, len(text)+1, text)
}
