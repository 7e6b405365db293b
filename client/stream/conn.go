package stream

import (
	"io"
	"net"
	"os"
	"slices"
	"time"
)

// Conn is one end of a stream. It is a [net.Conn], and safe for concurrent use.
type Conn struct {
	session *Session
	id      uint32

	opened             chan struct{} // closed when the exit is connected, or the stream has failed
	readable, writable chan struct{} // hold one when a reader or a writer is to look again
	readBy, writeBy    deadline

	// What follows is guarded by the session's mu.
	target  string
	isOpen  bool
	out     outgoing
	in      incoming
	err     error // why it was reset
	closed  bool  // by Close
	removed bool  // from the session
	queued  bool  // among those that are ready to send
	lingers time.Time
	abrupt  bool // Close resets
}

// lingering is how long a stream that was closed may take at least to send more of the rest: longer where round trips are.
const lingering = 2 * time.Minute

func newConn(s *Session, id uint32) *Conn {
	return &Conn{
		session: s, id: id,
		opened:   make(chan struct{}),
		readable: make(chan struct{}, 1),
		writable: make(chan struct{}, 1),
		readBy:   deadline{past: make(chan struct{})},
		writeBy:  deadline{past: make(chan struct{})},
		out:      outgoing{limit: firstCredit},
		in:       incoming{size: firstCredit, granted: firstCredit},
	}
}

// Target returns what the client wants to be connected with.
func (c *Conn) Target() string {
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	return c.target
}

// Open tells the client that the exit is connected.
func (c *Conn) Open() {
	s := c.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.removed && !c.isOpen {
		s.control = append(s.control, control{kind: frameOpened, stream: c.id})
		s.signal()
	}
	c.open()
}

// Reset ends the stream at once, in both directions, and tells the other end why. What was written and not yet
// delivered is lost.
func (c *Conn) Reset(code Code) {
	s := c.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.removed {
		s.reset(c, code)
		s.signal()
	}
	if !c.closed && c.err == nil {
		c.err = code.Err()
	}
}

func (c *Conn) open() {
	if !c.isOpen {
		c.isOpen = true
		close(c.opened)
	}
}

// fail makes all calls return err. What has come and was not read is lost.
func (c *Conn) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.removed = true
	c.in, c.out = incoming{}, outgoing{ended: true}
	c.open()
	notify(c.readable)
	notify(c.writable)
}

func (c *Conn) failure() error {
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	return c.err
}

// Read reads what has come, or waits for it. At the end of what the other end wrote it returns [io.EOF], after a reset an
// error that wraps ECONNRESET, after the end of the session that one's.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		n, err := c.tryRead(p)
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
		select {
		case <-c.readable:
		case <-c.readBy.passed():
			return 0, os.ErrDeadlineExceeded
		}
	}
}

func (c *Conn) tryRead(p []byte) (int, error) {
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	var err error
	switch {
	case c.closed:
		err = net.ErrClosed
	case c.readBy.isPast():
		err = os.ErrDeadlineExceeded
	case c.err != nil:
		err = c.err
	case c.in.ready() > 0:
		n := c.read(p, time.Now())
		if c.in.ready() > 0 || c.in.finished() {
			notify(c.readable) // for another reader
		}
		return n, nil
	case c.in.finished():
		err = io.EOF
	default:
		return 0, nil
	}
	notify(c.readable)
	return 0, err
}

// Write hands bytes to the session, and waits while that holds as many as it may. The other end has them some time later,
// or never, where the stream is reset or the session ends.
func (c *Conn) Write(p []byte) (written int, err error) {
	for {
		n, err := c.tryWrite(p)
		written += n
		if p = p[n:]; err != nil || len(p) == 0 {
			return written, err
		}
		select {
		case <-c.writable:
		case <-c.writeBy.passed():
			return written, os.ErrDeadlineExceeded
		}
	}
}

func (c *Conn) tryWrite(p []byte) (int, error) {
	s := c.session
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	switch {
	case c.closed:
		err = net.ErrClosed
	case c.writeBy.isPast():
		err = os.ErrDeadlineExceeded
	case c.err != nil:
		err = c.err
	case c.out.ended:
		err = net.ErrClosed // by CloseWrite
	}
	if err != nil {
		notify(c.writable) // for another writer
		return 0, err
	}
	n := min(len(p), s.room(c))
	if n < len(p) && !slices.Contains(s.blocked, c) {
		s.blocked = append(s.blocked, c)
	}
	if n == 0 {
		return 0, nil
	}
	at := c.out.buf.to
	c.out.buf.put(at, p[:n])
	c.out.todo.add(at, at+uint64(n))
	s.held += n
	s.queue(c)
	s.signal()
	return n, nil
}

// CloseWrite ends the direction to the other end, which reads the rest and then io.EOF. The way back stays open.
func (c *Conn) CloseWrite() error {
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	switch {
	case c.closed:
		return net.ErrClosed
	case c.err != nil:
		return c.err
	}
	c.endWrite()
	return nil
}

func (c *Conn) endWrite() {
	if c.out.ended {
		return
	}
	c.out.ended, c.out.endTodo = true, true
	c.session.queue(c)
	c.session.signal()
	notify(c.writable)
}

// Close ends the stream. What was written is still delivered, as long as there is progress every two minutes; what has come
// and was not read, or comes from now on, resets the stream, as in TCP.
func (c *Conn) Close() error {
	s := c.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	notify(c.readable)
	notify(c.writable)
	if c.removed {
		return nil
	}
	if c.abrupt || !c.isOpen || c.in.ready() > 0 || len(c.in.got) > 0 {
		s.reset(c, Aborted)
		s.signal()
		return nil
	}
	c.endWrite()
	c.linger(time.Now())
	s.signal()
	return nil
}

// SetLinger makes Close reset the stream if seconds is 0, as that of [net.TCPConn] does. Any other value is as good as the
// default.
func (c *Conn) SetLinger(seconds int) error {
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	c.abrupt = seconds == 0
	return nil
}

// LocalAddr and RemoteAddr return names alone: a stream's ends know no addresses of each other.
func (c *Conn) LocalAddr() net.Addr { return Addr("") }

// RemoteAddr returns the target as the client named it.
func (c *Conn) RemoteAddr() net.Addr { return Addr(c.Target()) }

// Addr is a stream's target.
type Addr string

// Network returns "sphinx".
func (Addr) Network() string { return "sphinx" }

func (a Addr) String() string { return string(a) }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	c.readBy.set(t)
	c.writeBy.set(t)
	return nil
}

// SetReadDeadline makes calls of Read, also those that wait, fail with [os.ErrDeadlineExceeded] from t on; never if t is zero.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.readBy.set(t)
	return nil
}

// SetWriteDeadline does the same for Write.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.writeBy.set(t)
	return nil
}
