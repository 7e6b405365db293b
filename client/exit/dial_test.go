package exit_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/exit"
	"sphinxmix.example/client/stream"
)

// loopback is the policy of tests that connect to this machine.
var loopback = exit.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func addresses(texts ...string) (list []netip.Addr) {
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

// listen opens a port of this machine, that takes connections and closes them.
func listen(t *testing.T) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	return netip.MustParseAddrPort(listener.Addr().String())
}

// TestTheExitConnectsToNothingOfItsOwn: with the default policy, no way of writing this machine or its network gets a
// connection, nor tells whether something listens there.
func TestTheExitConnectsToNothingOfItsOwn(t *testing.T) {
	port := listen(t).Port()
	names := newNameServer(t, map[string][]netip.Addr{
		"loopback.example.":   addresses("127.0.0.1"),
		"loopback6.example.":  addresses("::1"),
		"private.example.":    addresses("10.0.0.1", "192.168.0.1", "fd00::1"),
		"metadata.example.":   addresses("169.254.169.254", "fd00:ec2::254"),
		"mapped.example.":     addresses("::ffff:127.0.0.1"),
		"translated.example.": addresses("64:ff9b::7f00:1"),
		"any.example.":        addresses("0.0.0.0", "::"),
	})
	d, err := exit.NewDialer(exit.Policy{}, names.address)
	require.NoError(t, err)
	d.SetConnect(func(_ context.Context, address netip.AddrPort) (net.Conn, error) {
		t.Errorf("it tried to connect to %v", address)
		return nil, errors.New("not for tests")
	})
	for _, host := range []string{
		"127.0.0.1", "127.0.0.2", "[::1]", "0.0.0.0", "[::]", "169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.0.1",
		"[fe80::1]", "[fd00::1]", "224.0.0.1", "255.255.255.255",
		"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::1]",
		"localhost", "LOCALHOST", "localhost.", "mixes.localhost", "a.b.localhost.",
		"0x7f.1", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "017700000001", "127.0.0.1.", "0", "0.0",
		"loopback.example", "loopback6.example", "LoopBack.Example.", "private.example", "metadata.example", "mapped.example",
		"translated.example", "any.example",
	} {
		conn, code := d.Dial(soon(t), fmt.Sprintf("%s:%d", host, port))
		require.Nil(t, conn, host)
		require.Equal(t, stream.NotAllowed, code, host)
	}
	for _, question := range names.questions() {
		require.Regexp(t, `^(loopback6?|private|metadata|mapped|translated|any)\.example\. A+$`, question, "asked for nothing else")
	}
}

// TestASocketIsJudgedOnceMore: even what all else let pass does not get a connection.
func TestASocketIsJudgedOnceMore(t *testing.T) {
	d, err := exit.NewDialer(exit.Policy{}, "")
	require.NoError(t, err)
	conn, err := d.Connect(soon(t), listen(t))
	require.Nil(t, conn)
	require.ErrorContains(t, err, "not allowed")
}

// TestRebinding: a name that resolves to a public address first and to a private one when asked again. Only the first
// answer counts, and what was judged is what is connected to.
func TestRebinding(t *testing.T) {
	names := newNameServer(t, map[string][]netip.Addr{"rebind.example.": addresses("198.41.0.4")})
	d, err := exit.NewDialer(exit.Policy{}, names.address)
	require.NoError(t, err)
	d.SetOwn(func(netip.Addr) (bool, error) {
		names.set("rebind.example.", addresses("127.0.0.1")...)
		return false, nil
	})
	var connected []netip.AddrPort
	d.SetConnect(func(_ context.Context, address netip.AddrPort) (net.Conn, error) {
		connected = append(connected, address)
		near, far := net.Pipe()
		far.Close()
		return near, nil
	})
	conn, code := d.Dial(soon(t), "rebind.example:80")
	require.NotNil(t, conn, code)
	require.Equal(t, []netip.AddrPort{netip.MustParseAddrPort("198.41.0.4:80")}, connected)
	require.ElementsMatch(t, []string{"rebind.example. A", "rebind.example. AAAA"}, names.questions())

	// A name that resolves to both at once leads to the public one alone.
	names.set("both.example.", addresses("127.0.0.1", "198.41.0.4", "10.0.0.1")...)
	connected = nil
	conn, code = d.Dial(soon(t), "both.example:80")
	require.NotNil(t, conn, code)
	require.Equal(t, []netip.AddrPort{netip.MustParseAddrPort("198.41.0.4:80")}, connected)
}

// TestDialConnects to this machine, which a policy allows, by address and by name.
func TestDialConnects(t *testing.T) {
	to := listen(t)
	names := newNameServer(t, map[string][]netip.Addr{
		"here.example.": addresses("127.0.0.1"),
		"both.example.": addresses("127.0.0.2", "127.0.0.1"), // at the first, which programs seldom take, nobody listens
	})
	d, err := exit.NewDialer(loopback, names.address)
	require.NoError(t, err)
	for _, host := range []string{"127.0.0.1", "here.example", "HERE.example.", "both.example"} {
		conn, code := d.Dial(soon(t), fmt.Sprintf("%s:%d", host, to.Port()))
		require.NotNil(t, conn, "%s: %v", host, code.Err())
		require.Equal(t, to.String(), conn.RemoteAddr().String())
		conn.Close()
	}
}

// TestTheMachinesOwnAddresses: a public address that the machine itself has is refused, unless the policy names it.
func TestTheMachinesOwnAddresses(t *testing.T) {
	public := netip.MustParseAddr("198.41.0.4")
	for _, test := range []struct {
		policy exit.Policy
		own    bool
		err    error
		want   stream.Code // stream.Aborted where it connects
	}{
		{exit.Policy{}, false, nil, stream.Aborted},
		{exit.Policy{}, true, nil, stream.NotAllowed},
		{exit.Policy{}, false, syscall.EMFILE, stream.Overloaded},
		{exit.Policy{Allow: []netip.Prefix{netip.PrefixFrom(public, 32)}}, true, nil, stream.Aborted},
	} {
		d, err := exit.NewDialer(test.policy, "")
		require.NoError(t, err)
		d.SetOwn(func(address netip.Addr) (bool, error) {
			require.Equal(t, public, address)
			return test.own, test.err
		})
		d.SetConnect(func(context.Context, netip.AddrPort) (net.Conn, error) {
			near, _ := net.Pipe()
			return near, nil
		})
		conn, code := d.Dial(soon(t), "198.41.0.4:80")
		require.Equal(t, test.want == stream.Aborted, conn != nil)
		require.Equal(t, test.want, code)
	}
}

// TestTheMachineKnowsItsAddresses as it really is.
func TestTheMachineKnowsItsAddresses(t *testing.T) {
	for _, test := range []struct {
		address string
		own     bool
	}{
		{"127.0.0.1", true},
		{"198.41.0.4", false},
		{"2001:500:2::c", false},
	} {
		own, err := exit.Bindable(t.Context(), netip.MustParseAddr(test.address))
		require.NoError(t, err)
		require.Equal(t, test.own, own, test.address)
	}
}

func TestDialSaysWhy(t *testing.T) {
	closed := netip.MustParseAddrPort(refusing(t))
	names := newNameServer(t, map[string][]netip.Addr{
		"empty.example.":  nil,
		"here.example.":   addresses("127.0.0.1"),
		"broken.example.": nil,
	})
	names.fail("broken.example.")
	d, err := exit.NewDialer(loopback, names.address)
	require.NoError(t, err)
	for host, want := range map[string]stream.Code{
		"127.0.0.1":        stream.Refused,
		"here.example":     stream.Refused,
		"none.example":     stream.NotFound,
		"empty.example":    stream.NotFound,
		"broken.example":   stream.Failed,
		"no name":          stream.NotAllowed,
		"secret.onion":     stream.NotAllowed,
		"169.254.169.254":  stream.NotAllowed,
		"intranet":         stream.NotFound, // not in the exit's own domain
		"host.localdomain": stream.NotFound,
	} {
		conn, code := d.Dial(soon(t), fmt.Sprintf("%s:%d", host, closed.Port()))
		require.Nil(t, conn)
		require.Equal(t, want, code, host)
	}
	require.Contains(t, names.questions(), "intranet. A")
	for _, question := range names.questions() {
		require.NotContains(t, question, "onion")
	}
}

// TestErrorsOfTheNetwork is about those that no test could bring about, each as package net wraps it.
func TestErrorsOfTheNetwork(t *testing.T) {
	for want, errs := range map[stream.Code][]error{
		stream.Refused:     {syscall.ECONNREFUSED, syscall.ECONNRESET},
		stream.TimedOut:    {syscall.ETIMEDOUT, os.ErrDeadlineExceeded, context.DeadlineExceeded},
		stream.Unreachable: {syscall.EHOSTUNREACH},
		stream.NoNetwork:   {syscall.ENETUNREACH, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT},
		stream.Overloaded:  {syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS},
		stream.NotAllowed:  {syscall.EACCES, syscall.EPERM},
		stream.Failed:      {errors.New("something else"), context.Canceled},
	} {
		for _, err := range errs {
			wrapped := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
			require.Equal(t, want, exit.CodeOf(wrapped), "%v", err)
			require.Equal(t, want, exit.CodeOf(err), "%v", err)
		}
	}
	require.Equal(t, stream.TimedOut, exit.CodeOf(&net.DNSError{IsTimeout: true}))
	require.Equal(t, stream.NotFound, exit.CodeOf(&net.DNSError{IsNotFound: true}))
	require.Equal(t, stream.Failed, exit.CodeOf(&net.DNSError{IsTemporary: true}))
}

// TestSeveralAddresses: those of a name are tried in their order, each for its share of the time and eight at most, and
// the answer that says most is given.
func TestSeveralAddresses(t *testing.T) {
	v6, v4, other := "2001:500:2::c", "198.41.0.4", "192.33.4.12"
	var nine []netip.Addr
	for i := range 9 {
		nine = append(nine, netip.AddrFrom4([4]byte{8, 8, 8, byte(i)}))
	}
	for _, test := range []struct {
		name      string
		addresses []netip.Addr
		errs      map[string]error // that connecting gives; nil never answers
		want      stream.Code
		tried     int
		took      time.Duration
	}{
		{"no IPv6", addresses(v6, v4), map[string]error{v6: syscall.ENETUNREACH, v4: syscall.ECONNREFUSED}, stream.Refused, 2, 0},
		{"no network", addresses(v6, v4), map[string]error{v6: syscall.ENETUNREACH, v4: syscall.ENETUNREACH}, stream.NoNetwork, 2, 0},
		{"refused first", addresses(v4, other), map[string]error{v4: syscall.ECONNREFUSED, other: syscall.EHOSTUNREACH}, stream.Refused, 2, 0},
		{"silent first", addresses(v4, other), map[string]error{other: syscall.ECONNREFUSED}, stream.Refused, 2, 10 * time.Second},
		{"all silent", addresses(v4, other, v6), nil, stream.TimedOut, 3, 20 * time.Second},
		{"some private", addresses("10.0.0.1", v6), map[string]error{v6: syscall.ENETUNREACH}, stream.NotAllowed, 1, 0},
		{"one twice", addresses(v4, v4, "::ffff:"+v4), map[string]error{v4: syscall.ECONNREFUSED}, stream.Refused, 1, 0},
		{"many", nine, nil, stream.TimedOut, 8, 20 * time.Second},
		{"none", nil, nil, stream.NotFound, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, err := exit.NewDialer(exit.Policy{}, "")
				require.NoError(t, err)
				d.SetOwn(func(netip.Addr) (bool, error) { return false, nil })
				d.SetLookup(func(context.Context, string) ([]netip.Addr, error) { return test.addresses, nil })
				tried := 0
				d.SetConnect(func(ctx context.Context, address netip.AddrPort) (net.Conn, error) {
					tried++
					if err := test.errs[address.Addr().String()]; err != nil {
						return nil, err
					}
					<-ctx.Done()
					return nil, ctx.Err()
				})
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				began := time.Now()
				conn, code := d.Dial(ctx, "many.example:80")
				require.Nil(t, conn)
				require.Equal(t, test.want, code)
				require.Equal(t, test.tried, tried)
				require.Equal(t, test.took, time.Since(began))
			})
		})
	}
}

// TestASlowNameServer takes no longer than the dial may.
func TestASlowNameServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := exit.NewDialer(exit.Policy{}, "")
		require.NoError(t, err)
		d.SetLookup(func(ctx context.Context, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, &net.DNSError{Err: "i/o timeout", IsTimeout: true}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		conn, code := d.Dial(ctx, "slow.example:80")
		require.Nil(t, conn)
		require.Equal(t, stream.TimedOut, code)
	})
}

func TestDialerRefusesSettings(t *testing.T) {
	for text, set := range map[string]struct {
		policy   exit.Policy
		resolver string
	}{
		"Policy.Allow":    {exit.Policy{Allow: make([]netip.Prefix, 1)}, ""},
		"Policy.Deny":     {exit.Policy{Deny: []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")}}, ""},
		"Policy.Ports":    {exit.Policy{Ports: []exit.PortRange{{80, 79}}}, ""},
		"80 to 79":        {exit.Policy{Ports: []exit.PortRange{{443, 443}, {80, 79}}}, ""},
		"0 to 79":         {exit.Policy{Ports: []exit.PortRange{{0, 79}}}, ""},
		"Config.Resolver": {exit.Policy{}, "dns.example:53"},
		`"9.9.9.9"`:       {exit.Policy{}, "9.9.9.9"},
	} {
		_, err := exit.NewDialer(set.policy, set.resolver)
		require.ErrorContains(t, err, text)
	}
}
