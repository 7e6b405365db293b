package link

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A step is a frame and the body that came with it.
type step struct {
	kind Kind
	arg  byte
	body string
}

// readAll reads frames until the first error.
func readAll(from io.Reader, size int) ([]step, error) {
	r := frameReader{from: from, size: size}
	var steps []step
	body := make([]byte, size)
	for {
		kind, arg, err := r.read(body)
		if err != nil {
			return steps, err
		}
		steps = append(steps, step{kind, arg, string(body)})
	}
}

func TestFrameOnTheWire(t *testing.T) {
	var wire bytes.Buffer
	w := newFrameWriter(&wire, 3)
	require.NoError(t, w.write(7, 9, []byte("abc")))
	require.NoError(t, w.write(Padding, 0, []byte("xyz")))
	require.Zero(t, wire.Len(), "frames wait for a flush")
	require.NoError(t, w.flush())
	assert.Equal(t, "\x07\x09abc\x00\x00xyz", wire.String())
	require.NoError(t, w.flush())
	assert.Equal(t, 10, wire.Len(), "a flush of nothing writes nothing")
}

// sizes notes the length of each write.
type sizes []int

func (s *sizes) Write(p []byte) (int, error) {
	*s = append(*s, len(p))
	return len(p), nil
}

func TestWritesAreWholeFramesThatFillARecord(t *testing.T) {
	for _, test := range []struct {
		body, frames int
		want         sizes
	}{
		{body: 1248, frames: 30, want: sizes{13 * 1250, 13 * 1250, 4 * 1250}},
		{body: 8190, frames: 3, want: sizes{16384, 8192}},
		{body: 16384, frames: 2, want: sizes{16386, 16386}}, // one frame, where a record is too short for it
		{body: 1, frames: 5462, want: sizes{16383, 3}},
	} {
		var got sizes
		w := newFrameWriter(&got, test.body)
		for range test.frames {
			require.NoError(t, w.write(1, 0, make([]byte, test.body)))
		}
		require.NoError(t, w.flush())
		assert.Equal(t, test.want, got, "body of %d bytes", test.body)
	}
}

func TestWrongLengthsAreRefusedAndChangeNothing(t *testing.T) {
	var wire bytes.Buffer
	w := newFrameWriter(&wire, 4)
	for _, wrong := range [][]byte{nil, []byte("abc"), []byte("abcde")} {
		require.Error(t, w.write(1, 2, wrong))
	}
	require.NoError(t, w.write(1, 2, []byte("good")))
	require.NoError(t, w.flush())
	require.Equal(t, "\x01\x02good", wire.String())

	r := frameReader{from: &wire, size: 4}
	for _, wrong := range [][]byte{nil, make([]byte, 3), make([]byte, 5)} {
		_, _, err := r.read(wrong)
		require.Error(t, err)
	}
	body := make([]byte, 4)
	kind, arg, err := r.read(body)
	require.NoError(t, err)
	assert.Equal(t, step{1, 2, "good"}, step{kind, arg, string(body)})
}

func TestFailuresAreFinal(t *testing.T) {
	failure := errors.New("no more")

	// Two bytes are missing from the stream; what follows would be misread.
	r := frameReader{size: 4, from: io.MultiReader(
		bytes.NewReader([]byte("\x01\x02go")),
		&once{err: failure},
		bytes.NewReader([]byte("\x01\x02fine")),
	)}
	for range 3 {
		_, _, err := r.read(make([]byte, 4))
		require.ErrorIs(t, err, failure)
	}

	var wire bytes.Buffer
	w := newFrameWriter(io.MultiWriter(&once{err: failure}, &wire), 1)
	require.NoError(t, w.write(1, 1, []byte("a")))
	require.ErrorIs(t, w.flush(), failure)
	require.ErrorIs(t, w.write(1, 1, []byte("b")), failure)
	require.ErrorIs(t, w.flush(), failure)
	assert.Zero(t, wire.Len())
}

// once fails the first time only.
type once struct{ err error }

func (o *once) fail() (int, error) {
	err := o.err
	o.err = nil
	if err == nil {
		return 0, io.EOF
	}
	return 0, err
}

func (o *once) Read([]byte) (int, error) { return o.fail() }

func (o *once) Write(p []byte) (int, error) {
	if o.err == nil {
		return len(p), nil
	}
	return o.fail()
}

func TestFramingAllocatesNothing(t *testing.T) {
	var wire bytes.Buffer
	w := newFrameWriter(&wire, 1248)
	r := frameReader{from: &wire, size: 1248}
	sent, got := bytes.Repeat([]byte("x"), 1248), make([]byte, 1248)
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		_ = w.write(1, 2, sent)
		_ = w.flush()
		_, _, _ = r.read(got)
	}))
	assert.Equal(t, sent, got)
}

// frameSeeds are streams of bytes for bodies of 4 bytes.
var frameSeeds = []string{
	"",
	"\x01",
	"\x01\x02",
	"\x01\x02abc",
	"\x01\x02abcd",
	"\x01\x02abcd\x00\x00\x00\x00\x00\x00\xff\xffwxyz",
	"\x00\xffabcd\x00",
	"\xff\x00\x00\x00\x00\x00\x80\x80",
}

// FuzzFrames holds the reader against its definition: frames are consecutive
// pieces of the stream, however its bytes trickle in, and what is left over is
// an error.
func FuzzFrames(f *testing.F) {
	if len(frameSeeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, seed := range frameSeeds {
		f.Add([]byte(seed), byte(4))
	}
	f.Fuzz(func(t *testing.T, stream []byte, bodySize byte) {
		size := int(bodySize)
		if size == 0 {
			return
		}
		frame := headerSize + size
		var want []step
		rest := stream
		for ; len(rest) >= frame; rest = rest[frame:] {
			want = append(want, step{Kind(rest[0]), rest[1], string(rest[headerSize:frame])})
		}
		wantErr := io.EOF
		if len(rest) > 0 {
			wantErr = io.ErrUnexpectedEOF
		}
		for _, trickle := range []func(io.Reader) io.Reader{
			func(r io.Reader) io.Reader { return r },
			iotest.OneByteReader,
			iotest.HalfReader,
			iotest.DataErrReader,
		} {
			got, err := readAll(trickle(bytes.NewReader(stream)), size)
			require.Equal(t, want, got)
			require.Equal(t, wantErr, err)
		}

		var wire bytes.Buffer
		w := newFrameWriter(&wire, size)
		for _, s := range want {
			require.NoError(t, w.write(s.kind, s.arg, []byte(s.body)))
		}
		require.NoError(t, w.flush())
		require.Equal(t, string(stream[:len(stream)-len(rest)]), wire.String())
	})
}
