package sphinx

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBatchHasNoFingerprint: nothing of the buffer is in the packets, room in it is used, and nothing behind it is
// written; and the letters stay as they are.
func TestBatchHasNoFingerprint(t *testing.T) {
	p := Params{MaxHops: 3, PayloadSize: 64}
	c := newCorrespondence(t, p, "batches' fingerprint")
	letters, _ := c.letters(18)
	before := slices.Clone(letters)
	for i, l := range before {
		before[i] = Letter{slices.Clone(l.Path), bytes.Clone(l.Destination), bytes.Clone(l.Message)}
	}
	size := 18 * p.PacketSize()
	want, err := p.WrapBatch(nil, randomness("drawn"), letters)
	require.NoError(t, err)
	for _, room := range []int{0, size - 1, size, size + 100} {
		buffer := bytes.Repeat([]byte{0xa5}, 3+room)
		got, err := p.WrapBatch(buffer[:3], randomness("drawn"), letters)
		require.NoError(t, err)
		require.Equal(t, want, got[3:])
		if room >= size {
			require.Same(t, &buffer[0], &got[0], "the room in dst was not used")
			require.Equal(t, bytes.Repeat([]byte{0xa5}, room-size), buffer[3+size:], "written behind the packets")
		}
	}
	require.Equal(t, before, letters)
}

// TestSendersForget: what is left in a composer depends on how much was made, and not on what; after errors too. In the
// middle of a call the same search finds secrets.
func TestSendersForget(t *testing.T) {
	for _, schedule := range schedules {
		p := Params{4, 100, schedule.KeySchedule}
		c := newCorrespondence(t, p, "forgetting "+schedule.name)
		low := PublicKey(lowOrderAlphas(t)[0])
		work := func(lowAt int) []byte {
			made := newComposer(p)
			for _, size := range []int{1, groupSize, 3} {
				letters, _ := c.letters(size)
				addresses, _ := c.addresses(size)
				for i := range size {
					path := pathOf(c.nodes[:4-i%4])
					c.choose.Shuffle(len(path), func(i, j int) { path[i], path[j] = path[j], path[i] })
					letters[i].Path, addresses[i].Path, addresses[i].ClientID = path, path, []byte("alice")
				}
				require.NoError(t, made.wrap(make([]byte, size*p.PacketSize()), c.random, letters))
				surbs, keys := p.blanks(addresses)
				require.NoError(t, made.newSURBs(surbs, keys, c.random, addresses))
				made.closeReply(randomBytes(c.random, p.PayloadSize), &surbs[0].s.get().ktilde)
				made.openReply(randomBytes(c.random, p.PayloadSize), keys[0].k.get())
			}
			if lowAt >= 0 {
				path := pathOf(c.nodes)
				path[lowAt].Key = low
				letters := []Letter{{path, []byte("bob"), nil}}
				require.ErrorIs(t, made.wrap(make([]byte, p.PacketSize()), c.random, letters), ErrKey)
			}
			return memory(made)
		}
		left := work(-1)
		require.True(t, bytes.Equal(left, work(-1)), "%s: something of what was made is left", schedule.name)
		for at := range p.MaxHops {
			require.True(t, bytes.Equal(left, work(at)), "%s: something is left after an error at hop %d", schedule.name, at)
		}

		composer := newComposer(p)
		header, path := make([]byte, p.HeaderSize()), pathOf(c.nodes)
		require.NoError(t, p.outline(header, c.random, len(path), nil, MessageID{}))
		x := bytes.Clone(p.alpha(header))
		composer.add(draft{path: path, header: header, delta: make([]byte, p.PayloadSize)})
		_, err := composer.agree()
		require.NoError(t, err)
		require.NotContains(t, string(header), string(x[1:31]), "x is where α is to be")
		composer.expand()
		held := string(memory(composer))
		secrets := [][]byte{composer.drafts[0].keys[3][:], composer.drafts[0].agreed[:], composer.drafts[0].streams[:64]}
		for i, secret := range secrets {
			secrets[i] = bytes.Clone(secret)
			require.Contains(t, held, string(secret))
		}
		composer.forget()
		held = string(memory(composer))
		for _, secret := range secrets {
			for at := 0; at+8 <= len(secret); at += 8 {
				if part := secret[at : at+8]; !bytes.Equal(part, make([]byte, 8)) { // schedule 0's μ key is half as long
					require.NotContains(t, held, string(part))
				}
			}
		}
	}
}

// TestPanicSpoilsNoOtherCall: what a call leaves that panics, as its caller has changed a letter meanwhile, is in nobody's way.
func TestPanicSpoilsNoOtherCall(t *testing.T) {
	p := Params{MaxHops: 3, PayloadSize: 300}
	c := newCorrespondence(t, p, "panic")
	for range 10 {
		letters, _ := c.letters(groupSize)
		left := groupSize * 2 // reads of random
		longer := readerFunc(func(b []byte) (int, error) {
			if left--; left == 0 {
				letters[groupSize-1].Message = make([]byte, 1000)
			}
			return c.random.Read(b)
		})
		spoilt := make([]byte, groupSize*p.PacketSize())
		require.Panics(t, func() { p.WrapBatch(spoilt[:0], longer, letters) })
		before := bytes.Clone(spoilt)
		letters, paths := c.letters(2)
		packets, err := p.WrapBatch(nil, nil, letters)
		require.NoError(t, err)
		require.Equal(t, before, spoilt)
		for i, path := range paths {
			_, layer := journey(t, p, path, packets[i*p.PacketSize():][:p.PacketSize()])
			require.Equal(t, letters[i].Destination, layer.Destination)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
