// Package loopback finds addresses of this machine for programs that tests start.
package loopback

import (
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"
)

// Free returns an address, "host:port", that is free, and stays so until the test uses it: it is one of the 2²⁴ that
// Linux has, where others take 127.0.0.1, and its port is none that systems give to connections.
func Free(t testing.TB) string {
	t.Helper()
	for range 1000 {
		host := "127.0.0.1"
		if runtime.GOOS == "linux" {
			host = fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
		}
		listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", host, 10_000+rand.IntN(20_000)))
		if err == nil {
			defer listener.Close()
			return listener.Addr().String()
		}
	}
	t.Fatal("no address of loopback is free")
	return ""
}
