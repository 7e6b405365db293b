package socks5

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// errGone ends a Dial whose program has gone.
var errGone = errors.New("socks5: the program has gone")

// dial calls Dial, and meanwhile waits for program to go away: then it cancels. What the program sends meanwhile stays
// in from, up to its size; a program that has filled it up is not seen to go.
func (p *proxy) dial(ctx context.Context, program net.Conn, from *bufio.Reader, wanted *request) (net.Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var watching sync.WaitGroup
	watching.Go(func() {
		if gone(from) {
			cancel(errGone)
		}
	})
	far, err := p.Dial(ctx, wanted.isolation, wanted.address)
	_ = program.SetReadDeadline(time.Unix(1, 0)) // ends the wait
	watching.Wait()
	_ = program.SetReadDeadline(time.Time{})
	if err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		reset(far)
		return nil, err
	}
	return far, nil
}

// gone reads ahead until the program has gone (true), or can be seen no longer: from is full, its deadline has passed, or
// the program has sent all that it had to say, which is something, and may still listen.
func gone(from *bufio.Reader) bool {
	for {
		_, err := from.Peek(from.Buffered() + 1)
		switch {
		case err == nil:
		case errors.Is(err, bufio.ErrBufferFull), isTimeout(err):
			return false
		case errors.Is(err, io.EOF):
			return from.Buffered() == 0
		default:
			return true
		}
	}
}

func isTimeout(err error) bool {
	failure, ok := errors.AsType[net.Error](err)
	return ok && failure.Timeout()
}

// dismissBytes is how much of what a program that is refused still sends is read while it takes its answer.
const dismissBytes = 1 << 20

// dismiss sends the last that a program gets, if it is not empty, and closes the connection. To close one of TCP before
// what the program still sends has been read is to reset it, and the answer may be lost.
func (p *proxy) dismiss(program net.Conn, answer []byte) {
	defer program.Close()
	if len(answer) == 0 {
		return
	}
	_ = program.SetDeadline(time.Now().Add(p.HandshakeTimeout))
	if _, err := program.Write(answer); err != nil {
		return
	}
	if half, ok := program.(halfCloser); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, program, dismissBytes)
	}
}
