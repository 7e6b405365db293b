package sphinx

import (
	"encoding/binary"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// memory is every byte, and every integer in big-endian, that can be reached from pointer: through pointers, interfaces
// that hold pointers, structs, arrays, and slices up to their capacity. Maps, which hold no secret here, are left out.
func memory(pointer any) (out []byte) {
	type place struct {
		at   uintptr
		what reflect.Type
	}
	seen := make(map[place]bool)
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if at := (place{v.Pointer(), v.Type()}); !v.IsNil() && !seen[at] {
				seen[at] = true
				walk(v.Elem())
			}
		case reflect.Interface:
			if v.Elem().Kind() == reflect.Pointer {
				walk(v.Elem())
			}
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		case reflect.Slice:
			for all, i := v.Slice(0, v.Cap()), 0; i < v.Cap(); i++ {
				walk(all.Index(i))
			}
		case reflect.Array:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Uint8:
			out = append(out, byte(v.Uint()))
		case reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint:
			out = binary.BigEndian.AppendUint64(out, v.Uint())
		case reflect.Int, reflect.Int64:
			out = binary.BigEndian.AppendUint64(out, uint64(v.Int()))
		}
	}
	walk(reflect.ValueOf(pointer))
	return out
}

// TestUnwrapperForgetsPackets: after each call its memory is that of one that never saw a packet, whatever became of the
// packets. In the middle of a call the same search finds their secrets.
func TestUnwrapperForgetsPackets(t *testing.T) {
	for _, schedule := range schedules {
		m := newMixture(t, Params{3, 100, schedule.KeySchedule}, "wiping "+schedule.name)
		n := m.nodes[0]
		watched := wrap(t, m.p, m.random, m.nodes, []byte("hello"))
		s, keys := n.agreed(m.p, watched)

		var u *Unwrapper
		looked := false
		tags := make(TagSet)
		u = n.unwrapper(t, m.p, replayFunc(func(asked []Tag, fresh []bool) error {
			if !looked {
				require.Contains(t, string(memory(u.w)), string(s[:]))
				require.Contains(t, string(memory(u.w)), string(keys[:]))
				looked = true
			}
			return tags.Fresh(asked, fresh)
		}))
		for _, size := range []int{1, 9, 40, 4, 1} {
			packets := [][]byte{slices.Clone(watched)}
			for len(packets) < size {
				packet, _ := m.next(t)
				packets = append(packets, slices.Clone(packet))
			}
			u.UnwrapBatch(packets, make([]Layer, size), make([]error, size))
			unused := n.unwrapper(t, m.p, acceptAll)
			unused.w.get().grow(max(size, len(u.w.get().hops)))
			require.Equal(t, memory(unused.w), memory(u.w), "after a batch of %d", size)
		}
		require.True(t, looked)
		for range 60 { // each kind of refusal as the last thing that happened
			packet, _ := m.next(t)
			_, err := u.Unwrap(slices.Clone(packet))
			unused := n.unwrapper(t, m.p, acceptAll)
			unused.w.get().grow(len(u.w.get().hops))
			require.Equal(t, memory(unused.w), memory(u.w), "after %v", err)
		}

		require.Contains(t, string(memory(u.w)), string(scalarOf(n.key)[:]))
		u.Wipe()
		require.NotContains(t, string(memory(u.w)), string(scalarOf(n.key)[:]))
		layer, err := u.Unwrap(wrap(t, m.p, m.random, m.nodes, nil))
		require.Error(t, err, "a wiped Unwrapper opens packets")
		require.Equal(t, Layer{}, layer)
	}
}

// TestWipedUnwrapperRefusesForgeries: without its key an Unwrapper computes with the scalar that a key of zeros is
// clamped to, which everybody knows. What is authenticated under that must be refused, by copies of the Unwrapper too.
func TestWipedUnwrapperRefusesForgeries(t *testing.T) {
	p := Params{MaxHops: 3, PayloadSize: 64}
	random := randomness("wiped")
	n := newNodes(t, random, 1)[0]
	zero, err := NewPrivateKey(make([]byte, KeySize))
	require.NoError(t, err)
	twin := liar(zero, n.key)
	forged := wrap(t, p, random, []node{n}, nil)
	alpha := [32]byte(p.alpha(forged))
	s, _ := twin.agreed(p, forged)
	forged = forge(p, alpha, n.key.public, s, exitBeta(p), forwardDelta(p, "bob", "forged"))

	u := n.unwrapper(t, p, acceptAll)
	copied := *u
	u.Wipe()
	for name, u := range map[string]*Unwrapper{"the Unwrapper": u, "a copy": &copied} {
		layer, err := u.Unwrap(slices.Clone(forged))
		require.Error(t, err, "%s takes a packet from anybody: %q", name, layer.Message)
		require.Equal(t, Layer{}, layer)
	}
}

func TestPrivateKeyWipe(t *testing.T) {
	p := Params{MaxHops: 3, PayloadSize: 64}
	random := randomness("key wipe")
	n := newNodes(t, random, 1)[0]
	secret := n.key.Bytes()
	u := n.unwrapper(t, p, make(TagSet))
	require.Contains(t, string(memory(n.key)), string(secret))
	n.key.Wipe()
	require.NotContains(t, string(memory(n.key)), string(secret[8:16]))
	require.Equal(t, make([]byte, KeySize), n.key.Bytes())

	// an Unwrapper has its own copy
	layer, err := u.Unwrap(wrap(t, p, random, []node{n}, []byte("hello")))
	require.NoError(t, err)
	require.Equal(t, "hello", string(layer.Message))
}

func TestSURBForgetsOnceUsed(t *testing.T) {
	p := surbParams
	surb, _ := newSURB(t, p, newNodes(t, randomness(t.Name()), 3))
	encoded, err := surb.AppendBinary(nil)
	require.NoError(t, err)
	_, _, err = surb.Use(nil, make([]byte, p.MaxReply()+1))
	require.ErrorIs(t, err, ErrMessageSize)
	held := string(memory(surb))
	require.Contains(t, held, string(encoded[AddressSize:AddressSize+p.HeaderSize()]))
	require.Contains(t, held, string(encoded[AddressSize+p.HeaderSize():]))

	_, _, err = surb.Use(nil, nil)
	require.NoError(t, err)
	held = string(memory(surb))
	for at := AddressSize; at < len(encoded); at += 8 {
		require.NotContains(t, held, string(encoded[at:at+8]))
	}
}

func TestReplyKeyForgetsOnceOpened(t *testing.T) {
	p := surbParams
	nodes := newNodes(t, randomness(t.Name()), 3)
	for _, spend := range []func(*ReplyKey, []byte){
		func(key *ReplyKey, payload []byte) {
			_, err := key.Open(payload)
			require.NoError(t, err)
		},
		func(key *ReplyKey, _ []byte) { key.Wipe() },
	} {
		surb, key := newSURB(t, p, nodes)
		held := secretsOf(key)
		require.Len(t, held.seeds, 3)
		secrets := slices.Concat(held.ktilde[:], held.seeds[0][:], held.seeds[1][:], held.seeds[2][:])
		spend(key, replyThrough(t, p, nodes, surb, nil))
		left := string(memory(held))
		for at := 0; at < len(secrets); at += 8 {
			require.NotContains(t, left, string(secrets[at:at+8]))
		}
	}
}

// TestUnwrapperForgetsWhereReplayPanics: who recovers from what their Replay does finds no secret left.
func TestUnwrapperForgetsWhereReplayPanics(t *testing.T) {
	p := Params{MaxHops: 3, PayloadSize: 100}
	m := newMixture(t, p, "panic")
	n := m.nodes[0]
	packet := wrap(t, p, m.random, m.nodes, []byte("hello"))
	u := n.unwrapper(t, p, replayFunc(func([]Tag, []bool) error { panic("of the caller's") }))
	require.Panics(t, func() { u.Unwrap(packet) })
	require.Equal(t, memory(n.unwrapper(t, p, acceptAll).w), memory(u.w))
}
