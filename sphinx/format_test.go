package sphinx

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// TestPacketFollowsSpecification compares each packet, at each hop, with what the text of the format gives for the bytes
// that were drawn: the order and the number of those bytes too.
func TestPacketFollowsSpecification(t *testing.T) {
	for _, schedule := range schedules {
		t.Run(schedule.name, func(t *testing.T) {
			random := randomness("specification " + schedule.name)
			for _, r := range []int{1, 2, 3, 5, 8} {
				for n := 1; n <= r; n++ {
					p := Params{r, MinPayloadSize + 7*r + n, schedule.KeySchedule}
					nodes := newNodes(t, random, n)
					destination := randomBytes(random, 1+n)
					message := randomBytes(random, p.MaxMessage(len(destination))*n/r)
					drawn := randomBytes(random, 32+32*(r-n)+31)
					reader := bytes.NewReader(drawn)

					packet, err := p.Wrap(nil, reader, pathOf(nodes), destination, message)
					require.NoError(t, err)
					require.Zero(t, reader.Len(), "bytes left unread")
					want := specWrap(p, drawn[:32], drawn[32:], pathOf(nodes), destination, message)
					require.Equal(t, want[0], packet)
					arrivals, last := journey(t, p, nodes, packet)
					require.Equal(t, want, arrivals)
					require.Equal(t, Exit, last.Route)
					require.Equal(t, destination, last.Destination)
					require.Equal(t, message, last.Message)
					for i, keys := range specChain(p, drawn[:32], pathOf(nodes)) {
						layer, err := nodes[i].unwrapper(t, p, make(TagSet)).Unwrap(arrivals[i])
						require.NoError(t, err)
						require.Equal(t, Tag(keys.tag), layer.Tag)
					}
				}
			}
		})
	}
}

func TestSURBFollowsSpecification(t *testing.T) {
	for _, schedule := range schedules {
		t.Run(schedule.name, func(t *testing.T) {
			random := randomness("specification of SURBs " + schedule.name)
			for _, r := range []int{1, 2, 3, 5, 8} {
				for n := 1; n <= r; n++ {
					p := Params{r, MinPayloadSize + 7*r + n, schedule.KeySchedule}
					nodes := newNodes(t, random, n)
					client := randomBytes(random, p.MaxClientID(n)-3*(r-n))
					id := MessageID(randomBytes(random, MessageIDSize))
					message := randomBytes(random, p.MaxReply()*n/r)
					drawn := randomBytes(random, 32+(32*(r-n)+31-len(client))+32)
					reader := bytes.NewReader(drawn)

					surb, key, err := p.NewSURB(reader, pathOf(nodes), client, id)
					require.NoError(t, err)
					require.Zero(t, reader.Len(), "bytes left unread")
					encoded, err := surb.AppendBinary(nil)
					require.NoError(t, err)
					x, padding, ktilde := drawn[:32], drawn[32:len(drawn)-32], drawn[len(drawn)-32:]
					wantSURB, want, wantPayload := specReply(p, x, padding, ktilde, pathOf(nodes), client, id[:], message)
					require.Equal(t, wantSURB, encoded)

					first, packet, err := surb.Use(nil, message)
					require.NoError(t, err)
					require.Equal(t, nodes[0].hop.Address, first)
					arrivals, last := journey(t, p, nodes, packet)
					require.Equal(t, want, arrivals)
					require.Equal(t, Layer{
						Route: Reply, Tag: last.Tag, Client: client, MessageID: id, Payload: wantPayload,
					}, last)
					opened, err := key.Open(last.Payload)
					require.NoError(t, err)
					require.Equal(t, message, opened)
				}
			}
		})
	}
}

func TestSizes(t *testing.T) {
	require.Equal(t, 1248, Params{MaxHops: 5, PayloadSize: 1024}.PacketSize())
	require.Equal(t, 224, Params{MaxHops: 5, PayloadSize: 1024}.HeaderSize())
	require.Equal(t, 160, Params{MaxHops: 3, PayloadSize: 64}.HeaderSize())
	require.Equal(t, 272, Params{MaxHops: 5, PayloadSize: 1024}.SURBSize())
	for r := 1; r <= MaxMaxHops; r++ {
		p := Params{MaxHops: r, PayloadSize: 64 + r}
		require.Equal(t, 32+(2*r+1)*16+16, p.HeaderSize())
		require.Equal(t, 64+32*r+64+r, p.PacketSize())
		require.Equal(t, 16+64+32*r+32, p.SURBSize())
	}
}

// TestPacketHasNoFingerprint: nothing of who made a packet is in it, neither what its buffer held before nor where in
// the buffer it lies, nor how the reader hands out its bytes.
func TestPacketHasNoFingerprint(t *testing.T) {
	p := Params{MaxHops: 4, PayloadSize: 100}
	random := randomness("fingerprint")
	path := pathOf(newNodes(t, random, 2))
	drawn := randomBytes(random, 32+32*2+31)
	want, err := p.Wrap(nil, bytes.NewReader(drawn), path, []byte("bob"), []byte("hello"))
	require.NoError(t, err)
	require.Len(t, want, p.PacketSize())

	for _, prefix := range []int{0, 1, 33} {
		for _, room := range []int{0, p.PacketSize() - 1, p.PacketSize(), p.PacketSize() + 100} {
			buffer := bytes.Repeat([]byte{0xa5}, prefix+room)
			dst := buffer[:prefix]
			got, err := p.Wrap(dst, iotest.OneByteReader(bytes.NewReader(drawn)), path, []byte("bob"), []byte("hello"))
			require.NoError(t, err)
			require.Equal(t, bytes.Repeat([]byte{0xa5}, prefix), got[:prefix])
			require.Equal(t, want, got[prefix:])
			if room >= p.PacketSize() {
				require.Same(t, &buffer[:1][0], &got[0], "the room in dst was not used")
				require.Equal(t, bytes.Repeat([]byte{0xa5}, room-p.PacketSize()), buffer[prefix+p.PacketSize():],
					"written behind the packet")
			}
		}
	}
}

// TestArgumentsAreNotChanged by making a packet or a SURB, nor by using it.
func TestArgumentsAreNotChanged(t *testing.T) {
	p := Params{MaxHops: 4, PayloadSize: 100}
	random := randomness("arguments")
	path := pathOf(newNodes(t, random, 3))
	destination, message := append(make([]byte, 0, 99), "bob"...), append(make([]byte, 0, 99), "hello"...)
	before := []any{slices.Clone(path), slices.Clone(destination[:99]), slices.Clone(message[:99])}
	_, err := p.Wrap(nil, random, path, destination, message)
	require.NoError(t, err)
	surb, _, err := p.NewSURB(random, path, destination, MessageID{})
	require.NoError(t, err)
	_, _, err = surb.Use(nil, message)
	require.NoError(t, err)
	require.Equal(t, before, []any{path, destination[:99], message[:99]})
}

// TestZeroScheduleIsBound, and a node of one schedule takes no packet of the other.
func TestZeroScheduleIsBound(t *testing.T) {
	zero := Params{MaxHops: 2, PayloadSize: 64}
	require.Equal(t, BoundSchedule, zero.Schedule)
	random := randomness("two schedules")
	nodes := newNodes(t, random, 2)
	reference := Params{2, 64, InsecureReferenceSchedule}
	requireRefused(t, zero, nodes[0], wrap(t, reference, random, nodes, nil), ErrMAC)
	requireRefused(t, reference, nodes[0], wrap(t, zero, random, nodes, nil), ErrMAC)
}

// TestRandomnessMustBeRead cuts randomness short, and breaks it, at every byte.
func TestRandomnessMustBeRead(t *testing.T) {
	p := Params{MaxHops: 3, PayloadSize: 64}
	random := randomness("broken")
	path := pathOf(newNodes(t, random, 2))
	client := []byte("alice")
	calls := []struct {
		name  string
		needs int
		call  func(dst []byte, random io.Reader) ([]byte, error)
	}{
		{"Wrap", 32 + 32 + 31, func(dst []byte, random io.Reader) ([]byte, error) {
			return p.Wrap(dst, random, path, []byte("bob"), []byte("hello"))
		}},
		{"NewSURB", 32 + 32 + 31 - len(client) + 32, func(dst []byte, random io.Reader) ([]byte, error) {
			surb, key, err := p.NewSURB(random, path, client, MessageID{})
			if err != nil && (surb != nil || key != nil) {
				return nil, errors.New("a SURB or a key beside an error")
			}
			return dst, err
		}},
		{"GenerateKey", 32, func(dst []byte, random io.Reader) ([]byte, error) {
			key, err := GenerateKey(random)
			if err != nil && key != nil {
				return nil, errors.New("a key beside an error")
			}
			return dst, err
		}},
	}
	broken := errors.New("the device is on fire")
	for _, c := range calls {
		t.Run(c.name, func(t *testing.T) {
			drawn := randomBytes(random, c.needs)
			for have := range c.needs {
				dst := append(make([]byte, 0, 3+p.PacketSize()), "abc"...)
				got, err := c.call(dst, iotest.DataErrReader(io.MultiReader(bytes.NewReader(drawn[:have]), iotest.ErrReader(broken))))
				require.ErrorIs(t, err, broken, "after %d bytes", have)
				require.Equal(t, "abc", string(got))
				require.Equal(t, make([]byte, p.PacketSize()), dst[3:cap(dst)], "half a packet left behind dst")

				got, err = c.call([]byte("abc"), bytes.NewReader(drawn[:have]))
				if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("%d of %d bytes: %v", have, c.needs, err)
				}
				require.Equal(t, "abc", string(got))
			}
			exact := bytes.NewReader(append(slices.Clone(drawn), 1))
			_, err := c.call(nil, exact)
			require.NoError(t, err)
			require.Equal(t, 1, exact.Len(), "bytes read beyond what is documented")

			_, err = c.call(nil, nil)
			require.NoError(t, err, "nil stands for crypto/rand")
		})
	}
}

// TestNilReaderIsRandom: two packets for the same arguments have nothing in common.
func TestNilReaderIsRandom(t *testing.T) {
	p := Params{MaxHops: 3, PayloadSize: 64}
	path := pathOf(newNodes(t, randomness("nil reader"), 2))
	a, err := p.Wrap(nil, nil, path, []byte("bob"), nil)
	require.NoError(t, err)
	b, err := p.Wrap(nil, nil, path, []byte("bob"), nil)
	require.NoError(t, err)
	same := 0
	for i := range a {
		if a[i] == b[i] {
			same++
		}
	}
	require.Less(t, same, 16, "equal bytes of %d", len(a))
}
