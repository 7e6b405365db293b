package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSilentConnectionsKeepNobodyFromTheDirectory: one address has only so many, each for some seconds.
func TestSilentConnectionsKeepNobodyFromTheDirectory(t *testing.T) {
	const silent, allowed = 600, 512
	n := install(t, 0)
	start(t, "directory", "--config", n.directory).says(t, "the directory runs")
	var reading sync.WaitGroup
	closed := make(chan int, silent) // in the order in which they were
	for i := range silent {
		conn, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		_, _ = conn.Write([]byte("G"))
		reading.Go(func() {
			if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("connection %d stays", i)
			}
			closed <- i
		})
	}
	reading.Wait()
	for range silent - allowed { // the others are closed for their silence, without an end to a header
		require.GreaterOrEqual(t, <-closed, allowed, "what is above the limit stays")
	}
	answer, err := http.Get(n.url)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
}
