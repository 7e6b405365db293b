package socks5

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
)

// The first byte of each message, and that of the messages of RFC 1929.
const (
	version4     = 4
	version5     = 5
	loginVersion = 1
)

// Methods of authentication, RFC 1928, section 3.
const (
	methodNone  = 0x00
	methodLogin = 0x02 // user name and password
	methodNo    = 0xff // none of those that were offered
)

// The only command that is carried out, RFC 1928, section 4.
const commandConnect = 1

// Types of addresses, RFC 1928, section 5.
const (
	typeIPv4 = 1
	typeName = 3
	typeIPv6 = 4
)

// Replies, RFC 1928, section 6.
const (
	replyGranted     = 0
	replyFailure     = 1
	replyNotAllowed  = 2
	replyNetwork     = 3 // unreachable
	replyHost        = 4 // unreachable
	replyRefused     = 5
	replyExpired     = 6 // "TTL expired": what Tor says, too, when a connection takes too long
	replyCommand     = 7 // not supported
	replyAddressType = 8 // not supported
)

// refusal4 tells a program that speaks SOCKS4 that its request was rejected.
var refusal4 = []byte{0, 0x5b, 0, 0, 0, 0, 0, 0}

// reply returns the answer to a SOCKS5 request. The address in it, which is the exit's business, is 0.0.0.0:0.
func reply(code byte) []byte { return []byte{version5, code, 0, typeIPv4, 0, 0, 0, 0, 0, 0} }

// readSOCKS is handshake for a program that speaks SOCKS5: methods, credentials, request.
func readSOCKS(r *bufio.Reader, w io.Writer) (wanted *request, answer []byte) {
	head, err := next(r, 2)
	if err != nil {
		return nil, nil
	}
	methods, err := next(r, int(head[1]))
	if err != nil {
		return nil, nil
	}
	isolation := ""
	switch {
	case bytes.IndexByte(methods, methodLogin) >= 0:
		if _, err := w.Write([]byte{version5, methodLogin}); err != nil {
			return nil, nil
		}
		if isolation, answer = readLogin(r); isolation == "" {
			return nil, answer
		}
		if _, err := w.Write([]byte{loginVersion, 0}); err != nil {
			return nil, nil
		}
	case bytes.IndexByte(methods, methodNone) >= 0:
		if _, err := w.Write([]byte{version5, methodNone}); err != nil {
			return nil, nil
		}
	default:
		return nil, []byte{version5, methodNo}
	}
	address, answer := readRequest(r)
	if address == "" {
		return nil, answer
	}
	return &request{
		isolation: isolation,
		address:   address,
		granted:   reply(replyGranted),
		refused:   func(err error) []byte { return reply(failureOf(err).reply) },
	}, nil
}

// readLogin reads credentials, RFC 1929. User and password may be empty, against the letter of it: programs that have
// none, and still offer to send them, do.
func readLogin(r *bufio.Reader) (isolation string, answer []byte) {
	head, err := next(r, 2)
	if err != nil {
		return "", nil
	}
	if head[0] != loginVersion {
		return "", []byte{loginVersion, 1}
	}
	length := int(head[1])
	user, err := next(r, length+1)
	if err != nil {
		return "", nil
	}
	user, length = bytes.Clone(user[:length]), int(user[length])
	password, err := next(r, length)
	if err != nil {
		return "", nil
	}
	return isolationOf(user, password), nil
}

// readRequest reads a request of RFC 1928, section 4.
func readRequest(r *bufio.Reader) (address string, answer []byte) {
	head, err := next(r, 4)
	switch {
	case err != nil:
		return "", nil
	case head[0] != version5:
		return "", reply(replyFailure)
	case head[1] != commandConnect:
		return "", reply(replyCommand)
	}
	length := 0
	kind := head[3]
	switch kind {
	case typeIPv4:
		length = 4
	case typeIPv6:
		length = 16
	case typeName:
		size, err := r.ReadByte()
		if err != nil {
			return "", nil
		}
		length = int(size)
	default:
		return "", reply(replyAddressType)
	}
	b, err := next(r, length+2)
	if err != nil {
		return "", nil
	}
	host, port := string(b[:length]), binary.BigEndian.Uint16(b[length:])
	if kind != typeName {
		ip, _ := netip.AddrFromSlice(b[:length])
		host = ip.String()
	}
	address, ok := addressOf(host, port)
	if !ok {
		return "", reply(replyFailure)
	}
	return address, nil
}
