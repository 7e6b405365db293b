package tpm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// patience is how long a command over a socket may take, and how long one is sent again that the TPM has no time for.
const patience = 30 * time.Second

const (
	headerSize = 10   // tag(2) ‖ size of all(4) ‖ command or response code(4)
	maxSize    = 4096 // of a command and of a response, for every TPM of a PC
)

// connection sends commands to a TPM, one at a time. After a failure it sends nothing any more: what comes next might
// be the response to something else.
type connection struct {
	stream io.ReadWriteCloser
	broken error // by what
}

var errClosed = errors.New("the device is closed")

// Send returns the response to a command. A command that the TPM is too busy for is sent again.
func (c *connection) Send(command []byte) ([]byte, error) {
	if c.broken != nil {
		return nil, c.broken
	}
	if len(command) < headerSize || len(command) > maxSize {
		return nil, fmt.Errorf("a command of %d bytes: it has %d to %d", len(command), headerSize, maxSize)
	}
	start := time.Now()
	for wait := time.Millisecond; ; wait = min(2*wait, time.Second) {
		response, err := c.exchange(command)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = fmt.Errorf("%w (no answer within %v: is another program connected to the TPM?)", err, patience)
		}
		if err != nil {
			c.broken = fmt.Errorf("the connection to the TPM is broken: %w", err)
			_ = c.stream.Close() // the first error says more
			return nil, c.broken
		}
		if !busy(response) || time.Since(start) > patience {
			return response, nil
		}
		time.Sleep(wait)
	}
}

// busy reports whether a response says no more than that the command be sent again.
func busy(response []byte) bool {
	switch tpm2.TPMRC(binary.BigEndian.Uint32(response[6:])) {
	case tpm2.TPMRCRetry, tpm2.TPMRCYielded, tpm2.TPMRCTesting, tpm2.TPMRCNVRate:
		return true
	}
	return false
}

func (c *connection) exchange(command []byte) ([]byte, error) {
	if socket, ok := c.stream.(net.Conn); ok {
		if err := socket.SetDeadline(time.Now().Add(patience)); err != nil {
			return nil, err
		}
	}
	if _, err := c.stream.Write(command); err != nil {
		return nil, err
	}
	// A device gives a response once, to whoever has room for all of it; a socket may give it in parts.
	response := make([]byte, maxSize)
	n, err := io.ReadAtLeast(c.stream, response, headerSize)
	if err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(response[2:]))
	if size < max(n, headerSize) || size > len(response) {
		return nil, fmt.Errorf("a response of %d bytes, as it says, came in one of %d or more", size, n)
	}
	if _, err := io.ReadFull(c.stream, response[n:size]); err != nil {
		return nil, err
	}
	return response[:size], nil
}

func (c *connection) close() error {
	if c.broken != nil {
		return nil // closed before
	}
	c.broken = errClosed
	return c.stream.Close()
}
