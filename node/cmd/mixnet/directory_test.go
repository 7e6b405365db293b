package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSilentConnectionsKeepNobodyFromTheDirectory: one address has only so many, each for some seconds.
func TestSilentConnectionsKeepNobodyFromTheDirectory(t *testing.T) {
	const silent, allowed = 1000, 512
	n := install(t, 0)
	start(t, "directory", "--config", n.directory).says(t, "the directory runs")
	conns := make([]net.Conn, silent)
	for i := range conns {
		conn, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		_, _ = conn.Write([]byte("G"))
		conns[i] = conn
	}
	began, closed := time.Now(), 0
	for _, conn := range conns[allowed:] {
		require.NoError(t, conn.SetReadDeadline(began.Add(3*time.Second)))
		if _, err := conn.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			closed++
		}
	}
	require.Equal(t, silent-allowed, closed, "what is above the limit stays")
	for _, conn := range conns[:allowed] { // the others are closed for their silence, without an end to a header
		require.NoError(t, conn.SetReadDeadline(began.Add(patience)))
		_, err := io.ReadAll(conn)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	}
	require.Less(t, time.Since(began), 8*time.Second)
	answer, err := http.Get(n.url)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
}
