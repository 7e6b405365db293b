package socks5

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// halfCloser is a connection of which one direction can end before the other.
type halfCloser interface{ CloseWrite() error }

// silence is how long one direction may carry nothing when the other has ended. A program that has closed its connection
// looks like one that has nothing more to say: without an end to it, destinations that do not close, either, would use
// up all connections.
const silence = 10 * time.Minute

// reset closes a connection that did not end well. The other side of a TCP connection learns that it did not, and does
// not take what it has for the whole.
func reset(conn net.Conn) {
	if c, ok := conn.(interface{ SetLinger(seconds int) error }); ok {
		_ = c.SetLinger(0)
	}
	conn.Close()
}

// join carries bytes between program, which is read through from, and far, until both directions have ended, or one
// fails, or ctx ends. Then both are closed. If one of them knows no CloseWrite, the end of one direction is the end.
func join(ctx context.Context, program, far net.Conn, from *bufio.Reader) {
	j := &joint{program: program, far: far}
	_, programHalf := program.(halfCloser)
	_, farHalf := far.(halfCloser)
	j.halves = programHalf && farHalf
	stop := context.AfterFunc(ctx, j.cut)
	defer stop()
	back := readerOf(far)
	defer release(back)

	var there sync.WaitGroup
	there.Go(func() { j.carry(far, program, from) })
	j.carry(program, far, back)
	there.Wait()
	program.Close()
	far.Close()
}

// A joint is two connections that are one.
type joint struct {
	program, far net.Conn
	halves       bool        // both know CloseWrite
	half         atomic.Bool // one direction has ended
}

// cut ends both directions at once, and not well.
func (j *joint) cut() {
	reset(j.program)
	reset(j.far)
}

// carry is one direction: from source, which is read through r, to sink.
func (j *joint) carry(sink, source net.Conn, r *bufio.Reader) {
	for {
		if j.half.Load() {
			_ = source.SetReadDeadline(time.Now().Add(silence))
		}
		_, err := r.Peek(1)
		if errors.Is(err, io.EOF) {
			j.end(sink)
			return
		}
		if err != nil {
			j.cut()
			return
		}
		b, _ := r.Peek(r.Buffered()) // cannot fail: these bytes are there
		if _, err := sink.Write(b); err != nil {
			j.cut()
			return
		}
		_, _ = r.Discard(len(b))
	}
}

// end tells sink that nothing more will come.
func (j *joint) end(sink net.Conn) {
	if !j.halves {
		j.program.Close()
		j.far.Close()
		return
	}
	if sink.(halfCloser).CloseWrite() != nil {
		j.cut()
		return
	}
	// The mark comes first: the other direction either sees it, or is waiting already and gets the deadline from here.
	j.half.Store(true)
	_ = sink.SetReadDeadline(time.Now().Add(silence))
}
