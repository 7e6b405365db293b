package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	"sphinxmix.example/client/stream"
	"sphinxmix.example/node/directory"
)

// dialAttempts is how many exits Dial tries that do not answer, or do not take it.
const dialAttempts = 3

// Dial connects to a TCP address, "host:port", from an exit: a mix that offers [stream.Service]. The exit resolves the name
// of the host. Streams of one isolation share exits, which may see that they belong together; streams of different ones
// share no session, and each chooses its exit by itself. Cells take fresh random paths, all of them.
//
// Dial returns once the exit is connected. The connection has CloseWrite, deadlines, and no addresses but that of the host.
// It outlives ctx; it ends with an error that wraps ECONNRESET when the other end or the exit resets it, and with one that
// wraps ETIMEDOUT when the exit has not been heard of for long. The error of Dial wraps one of those of [stream.Code.Err]
// where it is the exit's, ErrNoService, ErrView or ErrNetwork where there is none to be asked, and ctx's.
func (c *Client) Dial(ctx context.Context, isolation, address string) (net.Conn, error) {
	if err := checkAddress(address); err != nil {
		return nil, err
	}
	var tried []directory.NodeID
	for {
		t, err := c.tunnel(isolation, tried)
		if err != nil {
			return nil, err
		}
		conn, err := c.dial(ctx, t, address)
		switch {
		case err == nil:
			return conn, nil
		case c.ctx.Err() != nil:
			return nil, context.Cause(c.ctx)
		case ctx.Err() != nil:
			return nil, c.waiting(ctx)
		}
		if tried = append(tried, t.exit); len(tried) == dialAttempts || !errors.Is(err, errExit) {
			return nil, err
		}
		t.stale.Store(true)
	}
}

// errExit marks errors after which another exit may do better.
var errExit = errors.New("client: the exit does not take the stream")

var (
	errSilent    = fmt.Errorf("%w: it does not answer: %w", errExit, syscall.ETIMEDOUT)
	errUndecided = fmt.Errorf("%w: it does not say whether the host answers: %w", errExit, syscall.ETIMEDOUT)
)

// connectTime is how long an exit may take to connect, or to say that it cannot.
const connectTime = time.Minute

// dial opens a stream in a tunnel.
func (c *Client) dial(ctx context.Context, t *tunnel, address string) (net.Conn, error) {
	attempt, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// An exit that nothing was ever heard of gets as long as two round trips take, one after the other.
	trips := 2 * c.trips.expected()
	silent := time.AfterFunc(trips+firstTrip, func() {
		if s, _ := c.access.get(); s != nil && !t.Greeted() {
			cancel(errSilent)
		}
	})
	defer silent.Stop()
	undecided := time.AfterFunc(trips+connectTime, func() { cancel(errUndecided) })
	defer undecided.Stop()
	conn, err := t.Dial(attempt, address)
	if err == nil {
		return conn, nil
	}
	if errors.Is(err, stream.ErrFull) || errors.Is(err, stream.ErrOverloaded) || errors.Is(err, ErrClosed) || errors.Is(err, stream.ErrUnknown) {
		return nil, fmt.Errorf("%w: %w", errExit, err)
	}
	return nil, err
}

// checkAddress says what is wrong with an address.
func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("client: %q is no port, which is a number from 1 to 65535", port)
	}
	if host == "" || len(address) > stream.MaxTarget {
		return fmt.Errorf("client: a host's name has 1 to %d bytes", stream.MaxTarget-len(port)-1)
	}
	return nil
}

// waiting says what the client was waiting for when a context ended.
func (c *Client) waiting(ctx context.Context) error {
	err := fmt.Errorf("client: %w", context.Cause(ctx))
	if missing := c.access.missing(); missing != nil {
		return fmt.Errorf("%w (%w)", err, missing)
	}
	return err
}
