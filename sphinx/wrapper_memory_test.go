package sphinx

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBatchHasNoFingerprint: nothing of the buffer is in the packets, room in it is used, and nothing behind it is
// written; and the letters stay as they are.
func TestBatchHasNoFingerprint(t *testing.T) {
	p := Params{MaxHops: 3, PayloadSize: 64}
	c := newCorrespondence(t, p, "batches' fingerprint")
	w := newTestWrapper(t, p)
	letters, _ := c.letters(18)
	before := slices.Clone(letters)
	for i, l := range before {
		before[i] = Letter{slices.Clone(l.Path), bytes.Clone(l.Destination), bytes.Clone(l.Message)}
	}
	size := 18 * p.PacketSize()
	want, err := w.WrapBatch(nil, randomness("drawn"), letters)
	require.NoError(t, err)
	for _, room := range []int{0, size - 1, size, size + 100} {
		buffer := bytes.Repeat([]byte{0xa5}, 3+room)
		got, err := w.WrapBatch(buffer[:3], randomness("drawn"), letters)
		require.NoError(t, err)
		require.Equal(t, want, got[3:])
		if room >= size {
			require.Same(t, &buffer[0], &got[0], "the room in dst was not used")
			require.Equal(t, bytes.Repeat([]byte{0xa5}, room-size), buffer[3+size:], "written behind the packets")
		}
	}
	require.Equal(t, before, letters)
}

// TestWrapperForgets: what is left in its memory depends on how much was made, and not on what; after errors too. In
// the middle of a call the same search finds secrets.
func TestWrapperForgets(t *testing.T) {
	for _, schedule := range schedules {
		p := Params{4, 100, schedule.KeySchedule}
		c := newCorrespondence(t, p, "forgetting "+schedule.name)
		low := PublicKey(lowOrderAlphas(t)[0])
		work := func(lowAt int) []byte {
			w := newTestWrapper(t, p)
			for _, size := range []int{1, groupSize, 3} {
				letters, _ := c.letters(size)
				addresses, _ := c.addresses(size)
				for i := range size {
					path := pathOf(c.nodes[:4-i%4])
					c.choose.Shuffle(len(path), func(i, j int) { path[i], path[j] = path[j], path[i] })
					letters[i].Path, addresses[i].Path, addresses[i].ClientID = path, path, []byte("alice")
				}
				_, err := w.WrapBatch(nil, c.random, letters)
				require.NoError(t, err)
				surbs, keys, err := w.NewSURBs(c.random, addresses)
				require.NoError(t, err)
				_, _, err = w.Use(nil, surbs[0], randomBytes(c.random, 20))
				require.NoError(t, err)
				_, err = w.Open(keys[0], randomBytes(c.random, p.PayloadSize))
				require.Equal(t, ErrPayload, err)
			}
			if lowAt >= 0 {
				path := pathOf(c.nodes)
				path[lowAt].Key = low
				_, err := w.Wrap(nil, c.random, path, []byte("bob"), nil)
				require.ErrorIs(t, err, ErrKey)
			}
			return memory(w.w)
		}
		left := work(-1)
		require.True(t, bytes.Equal(left, work(-1)), "%s: something of what was made is left", schedule.name)
		for at := range p.MaxHops {
			require.True(t, bytes.Equal(left, work(at)), "%s: something is left after an error at hop %d", schedule.name, at)
		}

		w := newTestWrapper(t, p)
		composer := w.w.get().composing()
		header, path := make([]byte, p.HeaderSize()), pathOf(c.nodes)
		require.NoError(t, p.outline(header, c.random, len(path), nil, MessageID{}))
		x := bytes.Clone(p.alpha(header))
		composer.add(draft{path: path, header: header, delta: make([]byte, p.PayloadSize)})
		_, err := composer.agree()
		require.NoError(t, err)
		require.NotContains(t, string(header), string(x[1:31]), "x is where α is to be")
		composer.expand()
		held := string(memory(w.w))
		secrets := [][]byte{composer.drafts[0].keys[3][:], composer.drafts[0].agreed[:], composer.drafts[0].streams[:64]}
		for i, secret := range secrets {
			secrets[i] = bytes.Clone(secret)
			require.Contains(t, held, string(secret))
		}
		composer.forget()
		held = string(memory(w.w))
		for _, secret := range secrets {
			for at := 0; at+8 <= len(secret); at += 8 {
				if part := secret[at : at+8]; !bytes.Equal(part, make([]byte, 8)) { // schedule 0's μ key is half as long
					require.NotContains(t, held, string(part))
				}
			}
		}
	}
}

// TestWrapperDoesNotAllocate, but for the SURBs and keys that it returns.
func TestWrapperDoesNotAllocate(t *testing.T) {
	for _, schedule := range schedules {
		p := Params{5, 1024, schedule.KeySchedule}
		c := newCorrespondence(t, p, "allocations of a Wrapper "+schedule.name)
		w := newTestWrapper(t, p)
		letters, _ := c.letters(20)
		letters[0].Path = pathOf(c.nodes)
		dst := make([]byte, 0, 20*p.PacketSize())
		none := func(name string, call func()) {
			t.Helper()
			require.Zero(t, testing.AllocsPerRun(5, call), name)
		}
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, random := range []io.Reader{c.random, nil} {
			none("WrapBatch", func() {
				_, err := w.WrapBatch(dst, random, letters)
				must(err)
				_, err = w.WrapBatch(dst, random, letters[:3])
				must(err)
			})
			none("Wrap", func() {
				_, err := w.Wrap(dst, random, letters[0].Path, letters[0].Destination, letters[0].Message)
				must(err)
			})
		}
		addresses, _ := c.addresses(20)
		surbs, keys, err := w.NewSURBs(nil, addresses)
		must(err)
		none("Use", func() {
			_, _, err := w.Use(dst, surbs[0], letters[0].Message[:10])
			must(err)
			surbs = surbs[1:]
		})
		payload := make([]byte, p.PayloadSize)
		none("Open", func() {
			if _, err := w.Open(keys[0], payload); err != ErrPayload {
				t.Fatal(err)
			}
			keys = keys[1:]
		})
		require.LessOrEqual(t, testing.AllocsPerRun(5, func() {
			_, _, err := w.NewSURBs(nil, addresses)
			must(err)
		}), float64(2+9*len(addresses)), "NewSURBs")
	}
}
