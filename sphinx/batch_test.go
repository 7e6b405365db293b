package sphinx

import (
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
	switch m.choose.IntN(10) {
	case 0:
		packet[m.choose.IntN(p.HeaderSize())] ^= 1 << m.choose.IntN(7) // bit 255 is free under schedule 0
		err = ErrMAC
	case 1:
		copy(p.alpha(packet), m.low[m.choose.IntN(len(m.low))][:])
		err = ErrGroup
	case 2:
		packet = packet[:m.choose.IntN(len(packet))]
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
	case 6, 7:
		if len(m.sent) > 0 {
			return m.sent[m.choose.IntN(len(m.sent))], nil // whatever that was
		}
	}
	m.sent = append(m.sent, packet)
	return packet, err
}

// TestUnwrapBatchIsALoopOfUnwrap, for batches of changing sizes through one Unwrapper.
func TestUnwrapBatchIsALoopOfUnwrap(t *testing.T) {
	for _, schedule := range schedules {
		m := newMixture(t, Params{3, 100, schedule.KeySchedule}, "batch "+schedule.name)
		batched, single := m.nodes[0].unwrapper(t, m.p, make(TagSet)), m.nodes[0].unwrapper(t, m.p, make(TagSet))
		seen := make(map[error]int)
		for _, size := range []int{0, 1, 7, 2, 40, 0, 3, 64, 63, 65, 1} {
			var packets [][]byte
			for range size {
				packet, _ := m.next(t)
				packets = append(packets, slices.Clone(packet))
			}
			loop, layers, errs := clones(packets), make([]Layer, size), make([]error, size)
			for i := range layers { // what was there must not stay
				layers[i] = Layer{Route: 99, Tag: Tag{1}, Client: []byte("x"), Next: Address{1}}
				errs[i] = io.EOF
			}
			batched.UnwrapBatch(packets, layers, errs)
			for i := range loop {
				layer, err := single.Unwrap(loop[i])
				if err != errs[i] {
					t.Fatalf("packet %d of %d: %v in the batch, %v alone", i, size, errs[i], err)
				}
				require.Equal(t, layer, layers[i])
				require.Equal(t, loop[i], packets[i])
				seen[err]++
			}
		}
		for _, err := range []error{nil, ErrMAC, ErrGroup, ErrPacketSize, ErrRouting, ErrPayload, ErrReplay} {
			require.GreaterOrEqual(t, seen[err], 5, "too few packets with %v to tell", err)
		}
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
