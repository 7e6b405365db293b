package sphinx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/sphinx/internal/x25519"
)

// mixture makes packets of every fate that one can have at nodes[0].
type mixture struct {
	p      Params
	random *rand.ChaCha8
	choose *rand.Rand
	nodes  []node
	sent   [][]byte
	low    []x25519.Key
}

func newMixture(t testing.TB, p Params, name string) *mixture {
	random := randomness(name)
	return &mixture{
		p: p, random: random, choose: rand.New(random),
		nodes: newNodes(t, random, p.MaxHops), low: lowOrderAlphas(t),
	}
}

// next makes one packet, and says which error refuses it unless it is a replay.
func (m *mixture) next(t testing.TB) (packet []byte, err error) {
	p := m.p
	path := m.nodes[:1+m.choose.IntN(p.MaxHops)]
	message := randomBytes(m.random, m.choose.IntN(p.MaxMessage(3)+1))
	packet = wrap(t, p, m.random, path, message)
	switch m.choose.IntN(12) {
	case 0:
		packet[m.choose.IntN(p.HeaderSize())] ^= 1 << m.choose.IntN(7) // bit 255 is free under schedule 0
		err = ErrMAC
	case 1:
		copy(p.alpha(packet), m.low[m.choose.IntN(len(m.low))][:])
		err = ErrGroup
	case 2:
		if packet = append(packet, 0); m.choose.IntN(4) > 0 {
			packet = packet[:m.choose.IntN(p.PacketSize())]
		}
		err = ErrPacketSize
	case 3:
		beta := randomBytes(m.random, p.betaSize())
		beta[0] = byte(0x80 + m.choose.IntN(0x7f))
		packet = forgeFor(p, m.random, m.nodes[0], beta, randomBytes(m.random, p.PayloadSize))
		err = ErrRouting
	case 4:
		packet = forgeFor(p, m.random, m.nodes[0], exitBeta(p), randomBytes(m.random, p.PayloadSize))
		err = ErrPayload
	case 5:
		surb, _, e := p.NewSURB(m.random, pathOf(path), []byte("alice"), MessageID(randomBytes(m.random, MessageIDSize)))
		require.NoError(t, e)
		_, packet, e = surb.Use(nil, message)
		require.NoError(t, e)
	case 6:
		if len(path) > 1 { // the payload of one that goes on is nobody's business here
			packet[p.HeaderSize()+m.choose.IntN(p.PayloadSize)] ^= 1 << m.choose.IntN(8)
		}
	case 7, 8:
		if len(m.sent) > 0 {
			return m.sent[m.choose.IntN(len(m.sent))], nil // whatever that was
		}
	}
	m.sent = append(m.sent, packet)
	return packet, err
}

// scripted is a Replay in memory that answers nothing while it fails.
type scripted struct {
	tags    TagSet
	failing bool
}

var errDisk = errors.New("the disk is full")

func (s *scripted) Fresh(tags []Tag, fresh []bool) error {
	if s.failing {
		_ = acceptAll(tags, fresh) // which must not count
		return errDisk
	}
	return s.tags.Fresh(tags, fresh)
}

// apart copies packets into one piece of memory, at any alignment, each with spare room behind it that is another one's.
func apart(packets [][]byte) (memory []byte, copied [][]byte) {
	size := 64
	for i, packet := range packets {
		size += i%11 + len(packet)
	}
	memory = bytes.Repeat([]byte{0xa5}, size)
	at := 0
	for i, packet := range packets {
		at += i % 11
		copied = append(copied, memory[at:at+copy(memory[at:], packet)])
		at += len(packet)
	}
	return memory, copied
}

// outcome is what became of a batch: all that its caller can see.
type outcome struct {
	memory []byte
	layers []Layer
	errs   []error
}

// inTurn opens packets one after the other.
func inTurn(u *Unwrapper, packets [][]byte) (o outcome) {
	memory, copied := apart(packets)
	o.memory = memory
	for _, packet := range copied {
		layer, err := u.Unwrap(packet)
		o.layers, o.errs = append(o.layers, layer), append(o.errs, err)
	}
	return o
}

// together opens packets as one batch.
func together(u *Unwrapper, packets [][]byte) outcome {
	memory, copied := apart(packets)
	o := outcome{memory, make([]Layer, len(packets)), make([]error, len(packets))}
	for i := range packets { // what was there must not stay
		o.layers[i] = Layer{Route: 99, Tag: Tag{1}, Client: []byte("x"), Next: Address{1}}
		o.errs[i] = io.EOF
	}
	u.UnwrapBatch(copied, o.layers, o.errs)
	return o
}

// requireOutcome compares what two ways made of the same packets.
func requireOutcome(t testing.TB, want, got outcome) {
	t.Helper()
	require.Len(t, got.errs, len(want.errs))
	for i := range want.errs {
		same := want.errs[i] == got.errs[i]
		if errors.Is(want.errs[i], ErrReplayStore) { // wraps the store's
			same = errors.Is(got.errs[i], ErrReplayStore) && errors.Is(got.errs[i], errDisk)
		}
		if !same {
			t.Fatalf("packet %d of %d: %v, want %v", i, len(want.errs), got.errs[i], want.errs[i])
		}
		require.Equal(t, want.layers[i], got.layers[i], "packet %d of %d", i, len(want.errs))
	}
	require.True(t, bytes.Equal(want.memory, got.memory), "the packets of a batch of %d, or what lies between", len(want.errs))
}

// openAll opens batches with one Unwrapper, whose replay set fails and is emptied from time to time.
func openAll(t testing.TB, m *mixture, batches [][][]byte, open func(*Unwrapper, [][]byte) outcome) (all []outcome) {
	replay := &scripted{tags: make(TagSet)}
	u := m.nodes[0].unwrapper(t, m.p, replay)
	for i, packets := range batches {
		replay.failing = i%7 == 3
		if i%3 == 2 {
			clear(replay.tags)
		}
		all = append(all, open(u, packets))
	}
	return all
}

// TestUnwrapBatchIsALoopOfUnwrap: layers, errors and packets are those of opening one after the other, for batches of all
// sizes of packets of every fate, with replays within and across batches and a replay set that fails. What one
// implementation of the kernels makes of them, alone and together, all others make.
func TestUnwrapBatchIsALoopOfUnwrap(t *testing.T) {
	var upTo70 []int
	for n := range 71 {
		upTo70 = append(upTo70, n)
	}
	seen := make(map[error]int)
	for _, c := range []struct {
		p     Params
		sizes []int
	}{
		{Params{3, 100, BoundSchedule}, upTo70},
		{Params{3, 100, InsecureReferenceSchedule}, []int{5, 0, 1, 7, 17, 64, 9, 70}},
		{Params{1, 64, BoundSchedule}, []int{8, 33, 2, 65, 70}},
		{Params{5, 1024, BoundSchedule}, []int{40, 16, 7, 3, 64}},
		{Params{50, 129, BoundSchedule}, []int{20}},
		{Params{2, 40000, BoundSchedule}, []int{11, 20}},
	} {
		m := newMixture(t, c.p, fmt.Sprint("batch ", c.p))
		var batches [][][]byte
		for _, size := range c.sizes {
			var packets [][]byte
			for range size {
				if len(m.sent) < 200 {
					packet, _ := m.next(t)
					packets = append(packets, packet)
				} else {
					packets = append(packets, m.sent[m.choose.IntN(len(m.sent))])
				}
			}
			batches = append(batches, packets)
		}
		want := openAll(t, m, batches, inTurn)
		for _, o := range want {
			for _, err := range o.errs {
				if errors.Is(err, ErrReplayStore) {
					err = ErrReplayStore
				}
				seen[err]++
			}
		}
		t.Run(fmt.Sprintf("r=%d/P=%d/schedule=%d", c.p.MaxHops, c.p.PayloadSize, c.p.Schedule), func(t *testing.T) {
			for i, o := range openAll(t, m, batches, together) {
				requireOutcome(t, want[i], o)
			}
			for i, o := range openAll(t, m, batches[:min(len(batches), 8)], inTurn) {
				requireOutcome(t, want[i], o)
			}
		})
	}
	for _, err := range []error{nil, ErrPacketSize, ErrGroup, ErrMAC, ErrReplay, ErrReplayStore, ErrRouting, ErrPayload} {
		require.GreaterOrEqual(t, seen[err], 20, "too few packets with %v to tell", err)
	}
}

// TestRefusalsAreTheSentinels: each with no layer; and all but a corrupt payload leave the packet as it was.
func TestRefusalsAreTheSentinels(t *testing.T) {
	m := newMixture(t, Params{MaxHops: 2, PayloadSize: 80}, "sentinels")
	counts := make(map[error]int)
	for range 300 {
		packet, want := m.next(t)
		before, after := slices.Clone(packet), slices.Clone(packet)
		layer, err := m.nodes[0].unwrapper(t, m.p, make(TagSet)).Unwrap(after)
		counts[err]++
		if err == nil {
			continue
		}
		if want != nil && err != want {
			t.Fatalf("%v, want %v", err, want)
		}
		require.Equal(t, Layer{}, layer)
		if err == ErrPayload {
			before, after = before[:m.p.HeaderSize()], after[:m.p.HeaderSize()]
		}
		require.Equal(t, before, after)
	}
	require.Len(t, counts, 6)
	for err := range counts {
		require.Contains(t, []error{nil, ErrMAC, ErrGroup, ErrPacketSize, ErrRouting, ErrPayload}, err)
	}
}

func TestUnwrapBatchPanicsOnUnequalLengths(t *testing.T) {
	u := newNodes(t, randomness("lengths"), 1)[0].unwrapper(t, Params{MaxHops: 1, PayloadSize: 64}, make(TagSet))
	require.Panics(t, func() { u.UnwrapBatch(make([][]byte, 2), make([]Layer, 1), make([]error, 2)) })
	require.Panics(t, func() { u.UnwrapBatch(make([][]byte, 2), make([]Layer, 2), make([]error, 3)) })
	require.Panics(t, func() { u.UnwrapBatch(nil, make([]Layer, 1), nil) })
	require.Panics(t, func() { u.UnwrapBatch(nil, nil, make([]error, 1)) })
}

// TestLayerPointsIntoPacket: a layer holds no copies.
func TestLayerPointsIntoPacket(t *testing.T) {
	p := Params{MaxHops: 2, PayloadSize: 80}
	random := randomness("layer")
	n := newNodes(t, random, 1)[0]
	packet := wrap(t, p, random, []node{n}, []byte("hello"))
	layer, err := n.unwrapper(t, p, make(TagSet)).Unwrap(packet)
	require.NoError(t, err)
	at := p.HeaderSize() + kappa
	require.Same(t, &packet[at+1], &layer.Destination[0])
	require.Same(t, &packet[at+1+3], &layer.Message[0])

	beta := randomBytes(random, p.betaSize())
	beta[0] = 5
	packet = forgeFor(p, random, n, beta, randomBytes(random, p.PayloadSize))
	layer, err = n.unwrapper(t, p, make(TagSet)).Unwrap(packet)
	require.NoError(t, err)
	require.Same(t, &packet[p.HeaderSize()], &layer.Payload[0])
	require.Len(t, layer.Payload, p.PayloadSize)
	within := false
	for i := range packet[:p.HeaderSize()] {
		within = within || &packet[i] == &layer.Client[0]
	}
	require.True(t, within, "the client id is not in the packet's header")
}
