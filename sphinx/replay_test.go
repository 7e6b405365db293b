package sphinx

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

var replayParams = Params{MaxHops: 3, PayloadSize: 128}

func clones(packets [][]byte) [][]byte {
	out := make([][]byte, len(packets))
	for i, packet := range packets {
		out[i] = slices.Clone(packet)
	}
	return out
}

// TestReplayIsRefusedUntouched replays each kind of packet, and as a batch.
func TestReplayIsRefusedUntouched(t *testing.T) {
	p, random := replayParams, randomness("replay")
	nodes := newNodes(t, random, 2)
	surb, _, err := p.NewSURB(random, pathOf(nodes[:1]), []byte("alice"), MessageID{})
	require.NoError(t, err)
	_, reply, err := surb.Use(nil, nil)
	require.NoError(t, err)
	packets := [][]byte{
		wrap(t, p, random, nodes, []byte("relay")), wrap(t, p, random, nodes[:1], []byte("exit")), reply,
	}
	u := nodes[0].unwrapper(t, p, make(TagSet))
	for _, packet := range packets {
		_, err := u.Unwrap(slices.Clone(packet))
		require.NoError(t, err)
	}
	for _, packet := range packets {
		again := slices.Clone(packet)
		layer, err := u.Unwrap(again)
		if err != ErrReplay {
			t.Fatal(err)
		}
		require.Equal(t, Layer{}, layer)
		require.Equal(t, packet, again)

		// the payload has no part in what makes a replay
		again[p.HeaderSize()] ^= 1
		changed := slices.Clone(again)
		_, err = u.Unwrap(again)
		require.ErrorIs(t, err, ErrReplay)
		require.Equal(t, changed, again)
	}
	again, layers, errs := clones(packets), make([]Layer, 3), make([]error, 3)
	u.UnwrapBatch(again, layers, errs)
	require.Equal(t, packets, again)
	require.Equal(t, make([]Layer, 3), layers)
	require.Equal(t, []error{ErrReplay, ErrReplay, ErrReplay}, errs)
}

// TestDuplicatesInOneBatch: of copies that come together exactly the first is let in.
func TestDuplicatesInOneBatch(t *testing.T) {
	p, random := replayParams, randomness("duplicates")
	nodes := newNodes(t, random, 2)
	a, b := wrap(t, p, random, nodes, []byte("a")), wrap(t, p, random, nodes, []byte("b"))
	sent := [][]byte{a, b, a, a, b}
	packets, layers, errs := clones(sent), make([]Layer, 5), make([]error, 5)
	nodes[0].unwrapper(t, p, make(TagSet)).UnwrapBatch(packets, layers, errs)
	require.Equal(t, []error{nil, nil, ErrReplay, ErrReplay, ErrReplay}, errs)
	require.Equal(t, sent[2:], packets[2:])
	require.Equal(t, make([]Layer, 3), layers[2:])
	for i, want := range []string{"a", "b"} {
		layer, err := nodes[1].unwrapper(t, p, make(TagSet)).Unwrap(packets[i])
		require.NoError(t, err)
		require.Equal(t, want, string(layer.Message))
	}
}

// TestTagIsStoredOnlyAfterMAC: who saw a packet on the wire cannot have it refused by sending a changed copy before it.
func TestTagIsStoredOnlyAfterMAC(t *testing.T) {
	p, random := replayParams, randomness("poison")
	nodes := newNodes(t, random, 1)
	packet := wrap(t, p, random, nodes, []byte("hello"))
	tags := make(TagSet)
	u := nodes[0].unwrapper(t, p, tags)
	bad := func() []byte { // α as it was, so that s and, but for the MAC, τ are those of the true packet
		changed := slices.Clone(packet)
		changed[p.HeaderSize()-1] ^= 1
		return changed
	}
	_, err := u.Unwrap(bad())
	require.ErrorIs(t, err, ErrMAC)
	require.Empty(t, tags)

	packets, layers, errs := [][]byte{bad(), slices.Clone(packet), bad()}, make([]Layer, 3), make([]error, 3)
	u.UnwrapBatch(packets, layers, errs)
	require.Equal(t, []error{ErrMAC, nil, ErrMAC}, errs)
	require.Equal(t, "hello", string(layers[1].Message))
	require.Equal(t, TagSet{layers[1].Tag: {}}, tags)
}

// TestReplayIsAskedOncePerBatch: about the packets with a valid MAC, in their order, and before any of them is opened.
func TestReplayIsAskedOncePerBatch(t *testing.T) {
	p, random := replayParams, randomness("asked once")
	nodes := newNodes(t, random, 2)
	var sent [][]byte
	var want []Tag
	for i := range 12 {
		packet := wrap(t, p, random, nodes[:1+i%2], []byte("hello"))
		switch i % 4 {
		case 0, 1:
			_, keys := nodes[0].agreed(p, packet)
			want = append(want, Tag(*keys.Tag()))
		case 2:
			packet[p.HeaderSize()-1] ^= 1
		case 3:
			packet = packet[1:]
		}
		sent = append(sent, packet)
	}
	packets, layers, errs := clones(sent), make([]Layer, len(sent)), make([]error, len(sent))
	calls := 0
	u := nodes[0].unwrapper(t, p, replayFunc(func(tags []Tag, fresh []bool) error {
		calls++
		require.Equal(t, want, tags)
		require.Equal(t, make([]bool, len(want)), fresh)
		require.Equal(t, sent, packets, "worked on packets before it was known whether they are new")
		for i := range fresh {
			fresh[i] = i%3 != 0
		}
		clear(tags) // which are Fresh's until it returns
		return nil
	}))
	u.UnwrapBatch(packets, layers, errs)
	require.Equal(t, 1, calls)
	for i, k := 0, 0; i < len(sent); i++ {
		switch i % 4 {
		case 0, 1:
			if k%3 == 0 {
				require.Equal(t, ErrReplay, errs[i])
				require.Equal(t, sent[i], packets[i])
			} else {
				require.NoError(t, errs[i])
				require.Equal(t, want[k], layers[i].Tag)
			}
			k++
		case 2:
			require.Equal(t, ErrMAC, errs[i])
		case 3:
			require.Equal(t, ErrPacketSize, errs[i])
		}
	}

	u.UnwrapBatch(nil, nil, nil)
	u.UnwrapBatch(clones(sent[2:4]), layers[2:4], errs[2:4])
	require.Equal(t, 1, calls, "asked about nothing")
}

// TestFailingReplayRefusesAll, whatever Fresh set before it failed.
func TestFailingReplayRefusesAll(t *testing.T) {
	p, random := replayParams, randomness("failing store")
	nodes := newNodes(t, random, 1)
	cause := errors.New("the disk is full")
	u := nodes[0].unwrapper(t, p, replayFunc(func(tags []Tag, fresh []bool) error {
		_ = acceptAll(tags, fresh)
		return cause
	}))
	sent := [][]byte{wrap(t, p, random, nodes, nil), nil, wrap(t, p, random, nodes, nil)}
	packets, layers, errs := clones(sent), make([]Layer, 3), make([]error, 3)
	u.UnwrapBatch(packets, layers, errs)
	require.Equal(t, ErrPacketSize, errs[1])
	for _, i := range []int{0, 2} {
		require.ErrorIs(t, errs[i], ErrReplayStore)
		require.ErrorIs(t, errs[i], cause)
		require.NotErrorIs(t, errs[i], ErrReplay)
		require.Equal(t, sent[i], packets[i])
	}
	require.Equal(t, make([]Layer, 3), layers)

	packet := slices.Clone(sent[0])
	layer, err := u.Unwrap(packet)
	require.ErrorIs(t, err, ErrReplayStore)
	require.ErrorIs(t, err, cause)
	require.Equal(t, Layer{}, layer)
	require.Equal(t, sent[0], packet)

	// the store's failure burnt nothing
	layer, err = nodes[0].unwrapper(t, p, make(TagSet)).Unwrap(packet)
	require.NoError(t, err)
	require.Equal(t, "bob", string(layer.Destination))
}

// TestNewIsOnlyWhatReplaySaysIsNew: one that sets nothing lets nothing in, whatever an earlier one set.
func TestNewIsOnlyWhatReplaySaysIsNew(t *testing.T) {
	p, random := replayParams, randomness("unset")
	nodes := newNodes(t, random, 1)
	packet := wrap(t, p, random, nodes, nil)
	answer := acceptAll
	u := nodes[0].unwrapper(t, p, replayFunc(func(tags []Tag, fresh []bool) error { return answer(tags, fresh) }))
	_, err := u.Unwrap(slices.Clone(packet))
	require.NoError(t, err)
	answer = func([]Tag, []bool) error { return nil }
	_, err = u.Unwrap(packet)
	require.ErrorIs(t, err, ErrReplay)
}

func TestTagSet(t *testing.T) {
	s := make(TagSet)
	fresh := []bool{false, true, true, false}
	require.NoError(t, s.Fresh([]Tag{{1}, {2}, {1}, {3}}, fresh))
	require.Equal(t, []bool{true, true, false, true}, fresh)
	require.NoError(t, s.Fresh([]Tag{{3}, {4}, {31: 1}, {4}}, fresh))
	require.Equal(t, []bool{false, true, true, false}, fresh)
	require.Equal(t, TagSet{{1}: {}, {2}: {}, {3}: {}, {4}: {}, {31: 1}: {}}, s)
	require.NoError(t, s.Fresh(nil, nil))
}

// TestUnwrappersShareReplay: of many goroutines, each with its own Unwrapper for one key and all with the same packets,
// one lets a packet in.
func TestUnwrappersShareReplay(t *testing.T) {
	p, random := replayParams, randomness("shared")
	nodes := newNodes(t, random, 2)
	sent := make([][]byte, 40)
	for i := range sent {
		sent[i] = wrap(t, p, random, nodes, []byte{byte(i)})
	}
	tags := make(TagSet)
	var guard sync.Mutex
	shared := replayFunc(func(asked []Tag, fresh []bool) error {
		guard.Lock()
		defer guard.Unlock()
		return tags.Fresh(asked, fresh)
	})
	var opened [40]atomic.Int32
	var workers sync.WaitGroup
	for worker := range 4 {
		u := nodes[0].unwrapper(t, p, shared)
		exit := nodes[1].unwrapper(t, p, acceptAll)
		workers.Go(func() {
			packets, layers, errs := clones(sent), make([]Layer, len(sent)), make([]error, len(sent))
			for from := 0; from < len(sent); from += worker + 1 {
				to := min(from+worker+1, len(sent))
				u.UnwrapBatch(packets[from:to], layers[from:to], errs[from:to])
			}
			for i, err := range errs {
				if err == ErrReplay {
					continue
				}
				if layer, exitErr := exit.Unwrap(packets[i]); err != nil || exitErr != nil || layer.Message[0] != byte(i) {
					t.Errorf("packet %d: %v, %v, %v", i, err, exitErr, layer.Message)
				}
				opened[i].Add(1)
			}
		})
	}
	workers.Wait()
	for i := range opened {
		require.Equal(t, int32(1), opened[i].Load(), "times that packet %d was opened", i)
	}
}
