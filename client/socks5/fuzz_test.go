package socks5_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"sphinxmix.example/client/socks5"
)

// FuzzHandshakeEnds: whatever a program sends, and in whatever pieces, the proxy answers with something known or nothing,
// dials nothing that is no address, and is done with it by its deadline.
func FuzzHandshakeEnds(f *testing.F) {
	if len(handshakes) == 0 {
		f.Fatal("no seeds")
	}
	for _, h := range handshakes {
		f.Add([]byte(h.sent), uint16(len(h.sent)))
		f.Add([]byte(h.sent), uint16(1))
	}
	for _, s := range []string{"\x04\x01\x00\x50\x7f\x00\x00\x01\x00", "GET / HTTP/1.1\r\n\r\n", "CONNECT a:1 HTTP/1.1\n\n", "\x05\x00", "\x05\xff"} {
		f.Add([]byte(s), uint16(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, piece uint16) {
		synctest.Test(t, func(t *testing.T) {
			ln := inMemory()
			serve(t, &socks5.Server{Dial: func(_ context.Context, isolation, address string) (net.Conn, error) {
				checkAddress(t, address)
				if len(isolation) != 0 && len(isolation) != 64 {
					t.Errorf("isolation %q", isolation)
				}
				return closed(), nil
			}}, ln)
			program := ln.program(t)
			start := time.Now()
			go func() {
				for rest := b; len(rest) > 0; {
					size := min(int(piece)+1, len(rest))
					if _, err := program.Write(rest[:size]); err != nil {
						return
					}
					rest = rest[size:]
				}
			}()
			checkAnswer(t, say(t, program, nil))
			if took := time.Since(start); took > patience {
				t.Fatalf("took %v", took)
			}
		})
	})
}
