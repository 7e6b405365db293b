package link

import (
	"fmt"
	"io"
)

// Kind says what a frame is for. The link itself looks at [Padding] alone.
type Kind byte

// Padding is the kind of a frame that says nothing: it keeps a link alive, or
// hides when it is idle. The reader skips it, whatever else it holds.
const Padding Kind = 0

const (
	headerSize = 2       // kind (1 byte) ‖ arg (1 byte)
	recordSize = 1 << 14 // plaintext of the longest TLS record, RFC 8446 §5.1
)

// A frameReader takes the frames of one size out of a stream of bytes.
type frameReader struct {
	from   io.Reader
	size   int // of a body
	header [headerSize]byte
	err    error // sticky: past a failure nobody knows where a frame begins
}

// read reads the next frame, whatever its kind. The error is io.EOF only between
// two frames.
func (r *frameReader) read(body []byte) (kind Kind, arg byte, err error) {
	if len(body) != r.size {
		return 0, 0, fmt.Errorf("link: buffer of %d bytes for a frame of %d", len(body), r.size)
	}
	if r.err != nil {
		return 0, 0, r.err
	}
	if _, r.err = io.ReadFull(r.from, r.header[:]); r.err != nil {
		return 0, 0, r.err
	}
	if _, r.err = io.ReadFull(r.from, body); r.err != nil {
		if r.err == io.EOF {
			r.err = io.ErrUnexpectedEOF
		}
		return 0, 0, r.err
	}
	return Kind(r.header[0]), r.header[1], nil
}

// A frameWriter collects frames of one size and writes as many at a time as one
// TLS record holds, or as are waiting at a flush.
type frameWriter struct {
	to   io.Writer
	size int    // of a body
	buf  []byte // whole frames; its capacity is a whole number of them too
	err  error  // sticky: part of a frame may be on the wire
}

func newFrameWriter(to io.Writer, size int) *frameWriter {
	frame := headerSize + size
	return &frameWriter{to: to, size: size, buf: make([]byte, 0, max(1, recordSize/frame)*frame)}
}

func (w *frameWriter) write(kind Kind, arg byte, body []byte) error {
	if len(body) != w.size {
		return fmt.Errorf("link: body of %d bytes for a frame of %d", len(body), w.size)
	}
	if w.err != nil {
		return w.err
	}
	w.buf = append(w.buf, byte(kind), arg)
	w.buf = append(w.buf, body...)
	if len(w.buf) == cap(w.buf) {
		return w.flush()
	}
	return nil
}

func (w *frameWriter) flush() error {
	if w.err == nil && len(w.buf) > 0 {
		_, w.err = w.to.Write(w.buf)
		w.buf = w.buf[:0]
	}
	return w.err
}
