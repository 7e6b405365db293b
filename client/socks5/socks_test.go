package socks5_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/socks5"
)

func TestAddressesAreHandedOnAsTheyCame(t *testing.T) {
	longest := strings.Repeat("a", 63) + "." + strings.Repeat("b", 63) + "." + strings.Repeat("c", 63) + "." + strings.Repeat("d", 63)
	require.Len(t, longest, 255)
	d := &dials{err: errNotDialled}
	ln, program := onLoopback(t)
	serve(t, &socks5.Server{Dial: d.dial}, ln)
	for _, c := range []struct{ name, request, address string }{
		{"IPv4", "\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50", "192.0.2.1:80"},
		{"loopback, which is the exit's to refuse", "\x05\x01\x00\x01\x7f\x00\x00\x01\xff\xff", "127.0.0.1:65535"},
		{"IPv6", "\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\xbb", "[2001:db8::1]:443"},
		{"IPv4 in IPv6", "\x05\x01\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x00\x00\x01\x01\xbb", "[::ffff:10.0.0.1]:443"},
		{"a name", toName("welcome.mix", 80), "welcome.mix:80"},
		{"a name in its own case", toName("Example_1.ORG.", 22), "Example_1.ORG.:22"},
		{"a name of IDNA", toName("xn--bcher-kva.example", 1), "xn--bcher-kva.example:1"},
		{"the longest name", toName(longest, 443), longest + ":443"},
		{"an IPv4 address for a name", toName("192.0.2.1", 80), "192.0.2.1:80"},
		{"an odd IPv4 address for a name", toName("0x7f.1", 80), "0x7f.1:80"},
		{"an IPv6 address for a name", toName("2001:DB8::01", 80), "[2001:DB8::01]:80"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, noLoginTaken+refused(1), string(say(t, program(), []byte(noLogin+c.request))))
			require.Equal(t, []call{{"", c.address}}, d.taken())
		})
	}
}

// TestNothingIsResolvedHere: the machine's resolver is not even there, and yet names arrive.
func TestNothingIsResolvedHere(t *testing.T) {
	before := net.DefaultResolver
	defer func() { net.DefaultResolver = before }()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("somebody asks the machine's resolver")
		return nil, errors.New("no resolver")
	}}
	d := &dials{err: errNotDialled}
	ln, program := onLoopback(t)
	serve(t, &socks5.Server{Dial: d.dial}, ln)
	say(t, program(), []byte(noLogin+toName("somewhere.example", 443)))
	say(t, program(), []byte(toHTTP("somewhere.example:443", "", "")))
	require.Equal(t, []call{{"", "somewhere.example:443"}, {"", "somewhere.example:443"}}, d.taken())
}

func TestNamesThatAreNoneAreRefused(t *testing.T) {
	d := &dials{err: errNotDialled}
	ln, program := onLoopback(t)
	serve(t, &socks5.Server{Dial: d.dial}, ln)
	for _, name := range []string{
		"", " ", "a b", "a:80", "a\x00b", "a\r\nb", "a\x7fb", "b\xfccher", "bücher.example", "a/b", "a@b", "[::1]", "[", "]", "::1%lo", "fe80::1%25lo",
		"a%00", "a\\b", "a,b",
	} {
		require.Equal(t, noLoginTaken+refused(1), string(say(t, program(), []byte(noLogin+toName(name, 80)))), "%q", name)
	}
	require.Equal(t, noLoginTaken+refused(1), string(say(t, program(), []byte(noLogin+toName("a", 0)))), "port 0")
	require.Empty(t, d.taken())
}

// failures are what Dial may say, and what programs are told.
var failures = []struct {
	err    error
	reply  byte
	status string
	text   string
}{
	{syscall.EACCES, 2, "403 Forbidden", "policy does not allow"},
	{syscall.ENETUNREACH, 3, "502 Bad Gateway", "network cannot be reached"},
	{syscall.EHOSTUNREACH, 4, "502 Bad Gateway", "no such name"},
	{syscall.ECONNREFUSED, 5, "502 Bad Gateway", "refused"},
	{syscall.ETIMEDOUT, 6, "504 Gateway Timeout", "in time"},
	{context.DeadlineExceeded, 6, "504 Gateway Timeout", "too long"},
	{syscall.ECONNRESET, 1, "503 Service Unavailable", "reset"},
	{errors.New("client: no mix offers this service"), 1, "503 Service Unavailable", "no mix offers this service"},
}

func TestEveryFailureHasItsReply(t *testing.T) {
	for _, f := range failures {
		d := &dials{err: fmt.Errorf("client: far away: %w", f.err)}
		ln, program := onLoopback(t)
		serve(t, &socks5.Server{Dial: d.dial}, ln)
		require.Equal(t, noLoginTaken+refused(f.reply), string(say(t, program(), []byte(noLogin+toName("a", 80)))), "%v", f.err)
	}
}

func TestWhatIsNotOfferedIsRefused(t *testing.T) {
	d := &dials{err: errNotDialled}
	ln, program := onLoopback(t)
	serve(t, &socks5.Server{Dial: d.dial}, ln)
	for _, c := range []struct{ name, sent, answer string }{
		{"BIND", noLogin + "\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50", noLoginTaken + refused(7)},
		{"UDP ASSOCIATE", noLogin + "\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00", noLoginTaken + refused(7)},
		{"Tor's RESOLVE", noLogin + "\x05\xf0\x00\x03\x01a\x00\x00", noLoginTaken + refused(7)},
		{"an unknown type of address", noLogin + "\x05\x01\x00\x02\x7f\x00\x00\x01\x00\x50", noLoginTaken + refused(8)},
		{"another version in the request", noLogin + "\x04\x01\x00\x01\x7f\x00\x00\x01\x00\x50", noLoginTaken + refused(1)},
		{"no method", "\x05\x00", "\x05\xff"},
		{"methods that are not known", "\x05\x03\x01\x03\x80", "\x05\xff"},
		{"another version of the login", "\x05\x01\x02\x02\x01a\x01b", loginWanted + "\x01\x01"},
		{"SOCKS4", "\x04\x01\x00\x50\x7f\x00\x00\x01\x00", "\x00\x5b\x00\x00\x00\x00\x00\x00"},
		{"neither of the two protocols", "\x16\x03\x01\x02\x00\x01", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.answer, string(say(t, program(), []byte(c.sent))))
		})
	}
	require.Empty(t, d.taken())
}

// TestAnswersSurviveWhatTheProgramStillSends: closing a TCP connection with unread bytes resets it, and a program whose
// sending fails may never look for an answer.
func TestAnswersSurviveWhatTheProgramStillSends(t *testing.T) {
	ln, program := onLoopback(t)
	serve(t, &socks5.Server{Dial: new(dials).dial}, ln)
	rest := strings.Repeat("x", 900_000)
	for range 3 {
		conn := program()
		require.NoError(t, conn.SetWriteBuffer(32<<10)) // so that little is on its way, and a write ends when most has been read
		write(t, conn, "\x05\x01\x03"+rest)
		expect(t, conn, "\x05\xff")
		conn = program()
		require.NoError(t, conn.SetWriteBuffer(32<<10))
		write(t, conn, "POST http://site.example/ HTTP/1.1\r\nContent-Length: 900000\r\n\r\n"+rest)
		expect(t, conn, "HTTP/1.1 405 Method Not Allowed\r\n")
	}
}

// TestARefusedProgramMayBeSlow: it has as long as for a handshake to say what it had to say, and to see that it was
// refused.
func TestARefusedProgramMayBeSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := inMemory()
		serve(t, &socks5.Server{Dial: new(dials).dial}, ln)
		program, there := halfClosable()
		ln.conns <- there
		write(t, program, "\x05\x01\x03")
		expect(t, program, "\x05\xff")
		require.Empty(t, toEnd(t, program))
		time.Sleep(patience - time.Second)
		write(t, program, "what it had to say")
		time.Sleep(2 * time.Second)
		_, err := program.Write([]byte("and more"))
		require.ErrorIs(t, err, io.ErrClosedPipe, "nor longer")
	})
}

func TestCredentialsAreAskedForWhereTheyAreOffered(t *testing.T) {
	d := &dials{err: errNotDialled}
	ln, program := onLoopback(t)
	serve(t, &socks5.Server{Dial: d.dial}, ln)
	for _, greeting := range []string{"\x05\x01\x02", "\x05\x02\x00\x02", "\x05\x03\x02\x01\x00"} {
		sent := greeting + "\x01\x05alice\x01x" + toName("a", 80)
		require.Equal(t, loginWanted+loginTaken+refused(1), string(say(t, program(), []byte(sent))))
		calls := d.taken()
		require.Len(t, calls, 1)
		require.NotEmpty(t, calls[0].isolation)
	}
}

func TestDifferentCredentialsNeverShareIsolation(t *testing.T) {
	d := &dials{err: errNotDialled}
	ln, program := onLoopback(t)
	serve(t, &socks5.Server{Dial: d.dial}, ln)
	seen := map[string]string{"": "no credentials"}
	long := strings.Repeat("z", 255)
	for _, pair := range [][2]string{
		{"", ""},
		{"a", ""},
		{"", "a"},
		{"a", "b"},
		{"b", "a"},
		{"ab", ""},
		{"", "ab"},
		{"ab", "c"},
		{"a", "bc"},
		{"A", "b"},
		{"a\x00", "b"},
		{"a", "\x00b"},
		{"a", "b\n"},
		{"1:a", "b"},
		{long, long},
		{long, long[1:]},
		{long[1:], long},
	} {
		var same string
		for range 2 {
			answer := say(t, program(), []byte(login(pair[0], pair[1])+toName("a", 80)))
			require.Equal(t, loginWanted+loginTaken+refused(1), string(answer))
			calls := d.taken()
			require.Len(t, calls, 1)
			isolation := calls[0].isolation
			require.Regexp(t, "^[0-9a-f]{64}$", isolation)
			if same == "" {
				require.NotContains(t, seen, isolation, "%q", pair)
				seen[isolation], same = pair[0], isolation
			}
			require.Equal(t, same, isolation)
		}
		if pair[0] != "" && !strings.Contains(pair[0], ":") {
			say(t, program(), []byte(toHTTP("a:80", pair[0], pair[1])))
			require.Equal(t, []call{{same, "a:80"}}, d.taken(), "over HTTP")
		}
	}
}

// TestCredentialsInPiecesAreTheSame: what has come is not overwritten by what comes.
func TestCredentialsInPiecesAreTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dials{err: errNotDialled}
		ln := inMemory()
		serve(t, &socks5.Server{Dial: d.dial}, ln)
		sent := login("alice", "secret") + toName("a", 80)
		say(t, ln.program(t), []byte(sent))
		whole := d.taken()
		for cut := range len(sent) {
			program := ln.program(t)
			go func() {
				_, _ = program.Write([]byte(sent[:cut]))
				synctest.Wait()
				_, _ = program.Write([]byte(sent[cut:]))
			}()
			say(t, program, nil)
			require.Equal(t, whole, d.taken(), "cut after %d bytes", cut)
		}
	})
}
