package sphinx

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// batchSizes are those of the tests below: none, one, and a group with and without company.
var batchSizes = []int{0, 1, 2, 5, 1, groupSize - 1, groupSize, groupSize + 1, 2*groupSize + 3, 3}

// correspondence makes letters and return addresses of all kinds.
type correspondence struct {
	p      Params
	random *rand.ChaCha8
	choose *rand.Rand
	nodes  []node
}

func newCorrespondence(t testing.TB, p Params, name string) *correspondence {
	random := randomness(name)
	return &correspondence{p, random, rand.New(random), newNodes(t, random, p.MaxHops)}
}

// path is some of the nodes, some of them maybe twice.
func (c *correspondence) path() (path []node) {
	for range 1 + c.choose.IntN(c.p.MaxHops) {
		path = append(path, c.nodes[c.choose.IntN(len(c.nodes))])
	}
	return path
}

func (c *correspondence) letters(n int) (letters []Letter, paths [][]node) {
	for range n {
		path := c.path()
		destination := randomBytes(c.random, 1+c.choose.IntN(min(127, c.p.PayloadSize-19)))
		message := randomBytes(c.random, c.choose.IntN(c.p.MaxMessage(len(destination))+1))
		letters, paths = append(letters, Letter{pathOf(path), destination, message}), append(paths, path)
	}
	return letters, paths
}

func (c *correspondence) addresses(n int) (addresses []ReturnAddress, paths [][]node) {
	for range n {
		path := c.path()
		client := randomBytes(c.random, 1+c.choose.IntN(c.p.MaxClientID(len(path))))
		id := MessageID(randomBytes(c.random, MessageIDSize))
		addresses, paths = append(addresses, ReturnAddress{pathOf(path), client, id}), append(paths, path)
	}
	return addresses, paths
}

var senderParams = []Params{
	{MaxHops: 5, PayloadSize: 300},
	{MaxHops: 1, PayloadSize: 64},
	{MaxHops: 7, PayloadSize: 1024},
	{MaxHops: 3, PayloadSize: 100, Schedule: InsecureReferenceSchedule},
}

func encoded(t testing.TB, s *SURB) []byte {
	t.Helper()
	b, err := s.AppendBinary(nil)
	require.NoError(t, err)
	return b
}

// TestWrapBatchIsALoopOfWrap, byte for byte and with as many bytes of randomness, for letters that have nothing in
// common; and the letters arrive.
func TestWrapBatchIsALoopOfWrap(t *testing.T) {
	for i, p := range senderParams {
		c := newCorrespondence(t, p, "letters "+strconv.Itoa(i))
		for _, size := range batchSizes {
			letters, paths := c.letters(size)
			seed := strconv.Itoa(size)
			loop, batch := randomness(seed), randomness(seed)
			want := []byte("abc")
			for _, l := range letters {
				var err error
				want, err = p.Wrap(want, loop, l.Path, l.Destination, l.Message)
				require.NoError(t, err)
			}
			got, err := p.WrapBatch([]byte("abc"), batch, letters)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got), "%+v: a batch of %d", p, size)
			require.Equal(t, loop.Uint64(), batch.Uint64(), "another number of random bytes was read")

			for i, l := range letters {
				_, layer := journey(t, p, paths[i], got[3+i*p.PacketSize():][:p.PacketSize()])
				require.Equal(t, Exit, layer.Route)
				require.Equal(t, l.Destination, layer.Destination)
				require.True(t, bytes.Equal(l.Message, layer.Message))
			}
		}
	}
}

// TestNewSURBsIsALoopOfNewSURB, likewise; and a reply through each of them comes back and is opened by its key alone.
func TestNewSURBsIsALoopOfNewSURB(t *testing.T) {
	for i, p := range senderParams {
		c := newCorrespondence(t, p, "addresses "+strconv.Itoa(i))
		for _, size := range batchSizes {
			addresses, paths := c.addresses(size)
			loop, batch := randomness("same"), randomness("same")
			surbs, keys, err := p.NewSURBs(batch, addresses)
			require.NoError(t, err)
			require.Len(t, surbs, size)
			require.Len(t, keys, size)
			for i, to := range addresses {
				surb, key, err := p.NewSURB(loop, to.Path, to.ClientID, to.MessageID)
				require.NoError(t, err)
				require.Equal(t, encoded(t, surb), encoded(t, surbs[i]), "%+v: SURB %d of %d", p, i, size)
				require.Equal(t, secretsOf(key), secretsOf(keys[i]))

				first, packet, err := surbs[i].Use([]byte("abc"), []byte("hello"))
				require.NoError(t, err)
				require.Equal(t, to.Path[0].Address, first)
				require.Equal(t, "abc", string(packet[:3]))
				otherFirst, other, err := surb.Use(nil, []byte("hello"))
				require.NoError(t, err)
				require.Equal(t, first, otherFirst)
				require.Equal(t, other, packet[3:])
				_, layer := journey(t, p, paths[i], other)
				require.Equal(t, to.ClientID, layer.Client)
				require.Equal(t, to.MessageID, layer.MessageID)
				if size > 1 {
					_, err = keys[(i+1)%size].Open(slices.Clone(layer.Payload))
					require.Error(t, err, "opened by another one's key")
				}
				message, err := key.Open(slices.Clone(layer.Payload))
				require.NoError(t, err)
				require.Equal(t, "hello", string(message))
				message, err = keys[i].Open(layer.Payload)
				require.NoError(t, err)
				require.Equal(t, "hello", string(message))
				require.Same(t, &layer.Payload[kappa], &message[0])
				_, err = keys[i].Open(layer.Payload)
				require.Equal(t, ErrSpent, err)
			}
			require.Equal(t, loop.Uint64(), batch.Uint64(), "another number of random bytes was read")
		}
	}
}

// TestBatchRandomnessMustBeRead cuts it short, and breaks it, at every byte of three letters and three SURBs.
func TestBatchRandomnessMustBeRead(t *testing.T) {
	p := Params{MaxHops: 3, PayloadSize: 64}
	c := newCorrespondence(t, p, "broken batches")
	letters, _ := c.letters(3)
	addresses, _ := c.addresses(3)
	broken := errors.New("the device is on fire")
	needs := [2]int{}
	for i := range letters {
		needs[0] += 32 + 32*(p.MaxHops-len(letters[i].Path)) + 31
		needs[1] += 32 + 32*(p.MaxHops-len(addresses[i].Path)) + 31 - len(addresses[i].ClientID) + 32
	}
	wrap := func(random io.Reader) error {
		dst := append(make([]byte, 0, 3+3*p.PacketSize()), "abc"...)
		got, err := p.WrapBatch(dst, random, letters)
		if err != nil {
			require.Equal(t, "abc", string(got))
			require.Equal(t, make([]byte, 3*p.PacketSize()), dst[3:cap(dst)], "a part of a packet left behind dst")
		}
		return err
	}
	newSURBs := func(random io.Reader) error {
		surbs, keys, err := p.NewSURBs(random, addresses)
		if err != nil {
			require.Nil(t, surbs)
			require.Nil(t, keys)
		}
		return err
	}
	for i, call := range []func(io.Reader) error{wrap, newSURBs} {
		drawn := randomBytes(c.random, needs[i])
		for have := range needs[i] {
			require.ErrorIs(t, call(io.MultiReader(bytes.NewReader(drawn[:have]), iotest.ErrReader(broken))), broken, "after %d bytes", have)
			err := call(iotest.OneByteReader(bytes.NewReader(drawn[:have])))
			require.True(t, errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF), "%d of %d bytes: %v", have, needs[i], err)
		}
		exact := bytes.NewReader(append(slices.Clone(drawn), 1))
		require.NoError(t, call(exact))
		require.Equal(t, 1, exact.Len(), "bytes read beyond what is documented")
		require.NoError(t, call(nil), "nil stands for crypto/rand")
	}
}

// TestOneBadLetterSpoilsTheBatch: nothing is drawn for it, nothing is made, and the error says which one it is.
func TestOneBadLetterSpoilsTheBatch(t *testing.T) {
	p := Params{MaxHops: 3, PayloadSize: 64}
	c := newCorrespondence(t, p, "a bad letter")
	bad := []struct {
		want error
		Letter
	}{
		{ErrPath, Letter{nil, []byte("bob"), nil}},
		{ErrPath, Letter{make([]Hop, 1), []byte("bob"), nil}},
		{ErrPath, Letter{make([]Hop, 4), []byte("bob"), nil}},
		{ErrDestination, Letter{pathOf(c.nodes), nil, nil}},
		{ErrDestination, Letter{pathOf(c.nodes), make([]byte, 128), nil}},
		{ErrMessageSize, Letter{pathOf(c.nodes), []byte("bob"), make([]byte, p.MaxMessage(3)+1)}},
		{ErrMessageSize, Letter{pathOf(c.nodes), make([]byte, 60), nil}},
	}
	for _, b := range bad {
		for _, at := range []int{0, 3, 39} {
			letters, _ := c.letters(40)
			letters[at] = b.Letter
			dst := append(make([]byte, 0, 3+40*p.PacketSize()), "abc"...)
			got, err := p.WrapBatch(dst, unread{t}, letters)
			require.ErrorIs(t, err, b.want)
			require.ErrorContains(t, err, "letter "+strconv.Itoa(at))
			require.Equal(t, "abc", string(got))
			require.Equal(t, make([]byte, 40*p.PacketSize()), dst[3:cap(dst)])
			_, err = p.WrapBatch(nil, unread{t}, []Letter{b.Letter})
			require.ErrorIs(t, err, b.want)
			require.NotContains(t, err.Error(), "letter 0", "there is no other")
		}
	}
	for _, b := range []struct {
		want error
		ReturnAddress
	}{
		{ErrPath, ReturnAddress{ClientID: []byte("alice")}},
		{ErrPath, ReturnAddress{Path: make([]Hop, 1), ClientID: []byte("alice")}},
		{ErrClientID, ReturnAddress{Path: pathOf(c.nodes)}},
		{ErrClientID, ReturnAddress{Path: pathOf(c.nodes), ClientID: make([]byte, 32)}},
	} {
		for _, at := range []int{0, 3, 39} {
			addresses, _ := c.addresses(40)
			addresses[at] = b.ReturnAddress
			surbs, keys, err := p.NewSURBs(unread{t}, addresses)
			require.ErrorIs(t, err, b.want)
			require.ErrorContains(t, err, "address "+strconv.Itoa(at))
			require.Nil(t, surbs)
			require.Nil(t, keys)
		}
	}
}

// TestOneLowOrderKeySpoilsTheBatch, though it is found when packets before it are complete; the next batch is as good
// as any.
func TestOneLowOrderKeySpoilsTheBatch(t *testing.T) {
	p := Params{MaxHops: 3, PayloadSize: 64}
	c := newCorrespondence(t, p, "a low-order key")
	low := lowOrderAlphas(t)
	for i, at := range []int{0, 3, 17, 38, 39} {
		letters, _ := c.letters(40)
		path := pathOf(c.nodes)
		path[i%3].Key = PublicKey(low[i%len(low)])
		letters[at].Path = path
		letters[at].Destination, letters[at].Message = []byte("bob"), nil
		dst := append(make([]byte, 0, 3+40*p.PacketSize()), "abc"...)
		got, err := p.WrapBatch(dst, c.random, letters)
		require.ErrorIs(t, err, ErrKey)
		require.ErrorContains(t, err, "hop "+strconv.Itoa(i%3))
		require.ErrorContains(t, err, "letter "+strconv.Itoa(at))
		require.Equal(t, "abc", string(got))
		require.Equal(t, make([]byte, 40*p.PacketSize()), dst[3:cap(dst)], "a part of a packet left behind dst")

		addresses, _ := c.addresses(40)
		addresses[at] = ReturnAddress{path, []byte("alice"), MessageID{}}
		surbs, keys, err := p.NewSURBs(c.random, addresses)
		require.ErrorIs(t, err, ErrKey)
		require.ErrorContains(t, err, "address "+strconv.Itoa(at))
		require.Nil(t, surbs)
		require.Nil(t, keys)

		used, fresh := newComposer(p), newComposer(p)
		packets := make([]byte, 40*p.PacketSize())
		require.ErrorIs(t, used.wrap(packets, c.random, letters), ErrKey)
		letters, _ = c.letters(20)
		packets = packets[:20*p.PacketSize()]
		require.NoError(t, used.wrap(packets, randomness("after"), letters))
		want := make([]byte, len(packets))
		require.NoError(t, fresh.wrap(want, randomness("after"), letters))
		require.True(t, bytes.Equal(want, packets))
	}
}

// TestSendersShareNothing: many at once, of several networks, make what each would make alone.
func TestSendersShareNothing(t *testing.T) {
	var senders sync.WaitGroup
	for i := range 8 {
		p := senderParams[i%len(senderParams)]
		c := newCorrespondence(t, p, "at once "+strconv.Itoa(i))
		letters, _ := c.letters(5)
		addresses, _ := c.addresses(5)
		path := c.path()
		surb, key := newSURB(t, p, path)
		payload := replyThrough(t, p, path, surb, []byte("hello"))
		wantPackets := make([]byte, 5*p.PacketSize())
		require.NoError(t, newComposer(p).wrap(wantPackets, randomness("letters"), letters))
		wantSURBs, _, err := p.NewSURBs(randomness("addresses"), addresses)
		require.NoError(t, err)
		senders.Go(func() {
			for range 10 {
				packets, err := p.WrapBatch(nil, randomness("letters"), letters)
				assert.NoError(t, err)
				assert.True(t, bytes.Equal(wantPackets, packets))
				surbs, _, err := p.NewSURBs(randomness("addresses"), addresses)
				assert.NoError(t, err)
				for i := range surbs {
					assert.Equal(t, encoded(t, wantSURBs[i]), encoded(t, surbs[i]))
				}
				_, err = key.Open(make([]byte, p.PayloadSize))
				assert.Equal(t, ErrPayload, err)
			}
			message, err := key.Open(payload)
			assert.NoError(t, err)
			assert.Equal(t, "hello", string(message))
		})
	}
	senders.Wait()
}
