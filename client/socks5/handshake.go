package socks5

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// A request is what a program wants, and how it is told what came of it.
type request struct {
	isolation string
	address   string
	granted   []byte                 // the answer when the connection is there
	refused   func(err error) []byte // and when Dial failed
}

// handshake reads what a program wants; w takes what has to be said on the way. If it returns no request, the program is
// wrong or has gone, and answer is what is left to say to it: nothing if empty.
func handshake(r *bufio.Reader, w io.Writer) (wanted *request, answer []byte) {
	first, err := r.Peek(1)
	switch {
	case err != nil:
		return nil, nil
	case first[0] == version5:
		return readSOCKS(r, w)
	case first[0] == version4:
		return nil, refusal4
	case 'A' <= first[0] && first[0] <= 'Z' || 'a' <= first[0] && first[0] <= 'z':
		return readConnect(r)
	}
	return nil, nil
}

// next returns the next n bytes of r, which are valid until r is read again. n is at most bufferSize.
func next(r *bufio.Reader, n int) ([]byte, error) {
	b, err := r.Peek(n)
	if err != nil {
		return nil, err
	}
	_, err = r.Discard(n)
	return b, err
}

// isolationOf returns what stands for a pair of credentials: nobody can read them in it.
func isolationOf(user, password []byte) string {
	hash := sha256.New()
	_ = binary.Write(hash, binary.BigEndian, uint64(len(user))) // "a","bc" is not "ab","c"
	_, _ = hash.Write(user)
	_, _ = hash.Write(password)
	return hex.EncodeToString(hash.Sum(nil))
}

// maxName is the length of the longest name, in bytes: what SOCKS5 can carry.
const maxName = 255

// addressOf returns the address for Dial, if host is a name or an IP address without a zone, and port is not 0.
func addressOf(host string, port uint16) (address string, ok bool) {
	if port == 0 {
		return "", false
	}
	ip, err := netip.ParseAddr(host)
	if err != nil && !isName(host) || ip.Zone() != "" {
		return "", false
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port))), true
}

// isName tells whether host can be a name. Names in other alphabets come in the form of IDNA, which programs know how to
// make. Anything else has a meaning in addresses or URLs, or none, and has no business at an exit.
func isName(host string) bool {
	return 0 < len(host) && len(host) <= maxName && strings.IndexFunc(host, func(c rune) bool {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		return !letter && !('0' <= c && c <= '9') && !strings.ContainsRune(".-_", c)
	}) < 0
}
