package sphinx

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/lioness"
	"sphinxmix.example/sphinx/internal/schedule"
)

var surbParams = Params{MaxHops: 5, PayloadSize: 128}

func newSURB(t testing.TB, p Params, nodes []node) (*SURB, *ReplyKey) {
	t.Helper()
	surb, key, err := p.NewSURB(nil, pathOf(nodes), []byte("alice"), MessageID{1, 2, 3})
	require.NoError(t, err)
	return surb, key
}

// replyThrough sends message through surb and its hops and returns the payload as it comes to the client.
func replyThrough(t testing.TB, p Params, nodes []node, surb *SURB, message []byte) []byte {
	t.Helper()
	first, packet, err := surb.Use(nil, message)
	require.NoError(t, err)
	require.Equal(t, nodes[0].hop.Address, first)
	_, layer := journey(t, p, nodes, packet)
	require.Equal(t, Reply, layer.Route)
	require.Equal(t, "alice", string(layer.Client))
	require.Equal(t, MessageID{1, 2, 3}, layer.MessageID)
	return layer.Payload
}

// TestSURBRoundTrip encodes, parses, uses and opens, for every path length.
func TestSURBRoundTrip(t *testing.T) {
	for _, schedule := range schedules {
		p := Params{5, 128, schedule.KeySchedule}
		nodes := newNodes(t, randomness(t.Name()), 5)
		for n := 1; n <= 5; n++ {
			made, key := newSURB(t, p, nodes[:n])
			encoded, err := made.AppendBinary([]byte("abc"))
			require.NoError(t, err)
			require.Equal(t, "abc", string(encoded[:3]))
			encoded = encoded[3:]
			require.Len(t, encoded, p.SURBSize(), "the length tells the path's")

			parsed, err := p.ParseSURB(encoded)
			require.NoError(t, err)
			again, err := parsed.AppendBinary(nil)
			require.NoError(t, err)
			require.Equal(t, encoded, again)
			clear(encoded) // it was copied
			message, err := key.Open(replyThrough(t, p, nodes[:n], parsed, []byte("hello")))
			require.NoError(t, err)
			require.Equal(t, "hello", string(message))
		}
	}
}

// TestSURBCarriesNoHopKey: with its keys who replies would recognise the reply behind every mix.
func TestSURBCarriesNoHopKey(t *testing.T) {
	for _, sched := range schedules {
		p := Params{5, 128, sched.KeySchedule}
		nodes := newNodes(t, randomness(t.Name()), 4)
		surb, key := newSURB(t, p, nodes)
		encoded, err := surb.AppendBinary(nil)
		require.NoError(t, err)
		_, packet, err := surb.Use(nil, nil)
		require.NoError(t, err)
		arrivals, _ := journey(t, p, nodes, packet)
		for i, n := range nodes {
			s, keys := n.agreed(p, arrivals[i])
			for _, secret := range [][]byte{s[:], keys[:], secretsOf(key).seeds[i][:]} {
				for at := 0; at+16 <= len(secret); at += 8 {
					if part := secret[at : at+16]; !bytes.Equal(part, make([]byte, 16)) { // schedule 0's μ key is half as long
						require.NotContains(t, string(encoded), string(part), "hop %d", i)
					}
				}
			}
			if i > 0 { // nor where the packet goes, but for the first hop
				require.NotContains(t, string(encoded), string(n.hop.Address[1:]))
				require.NotContains(t, string(encoded), string(n.hop.Key[:]))
			}
		}
	}
}

func TestParseSURBRefuses(t *testing.T) {
	p := surbParams
	nodes := newNodes(t, randomness(t.Name()), 3)
	surb, _ := newSURB(t, p, nodes)
	encoded, err := surb.AppendBinary(nil)
	require.NoError(t, err)
	refuse := func(b []byte) {
		t.Helper()
		parsed, err := p.ParseSURB(b)
		require.ErrorIs(t, err, ErrSURB)
		require.Nil(t, parsed)
	}
	refuse(nil)
	for n := range encoded {
		refuse(encoded[:n])
	}
	refuse(append(slices.Clone(encoded), 0))
	refuse(slices.Concat(encoded, encoded))
	for first := range 255 {
		changed := slices.Clone(encoded)
		changed[0] = byte(first)
		refuse(changed)
	}
	other := p
	other.MaxHops++
	_, err = other.ParseSURB(encoded)
	require.ErrorIs(t, err, ErrSURB)
}

// TestSURBIsUsedOnce, also by many at once, and one that was used gives nothing away.
func TestSURBIsUsedOnce(t *testing.T) {
	p := surbParams
	nodes := newNodes(t, randomness(t.Name()), 2)
	for range 20 {
		surb, key := newSURB(t, p, nodes)
		copied := *surb
		packets := make([][]byte, 16)
		var users sync.WaitGroup
		for i := range packets {
			users.Go(func() {
				use := surb.Use
				if i%2 == 1 {
					use = copied.Use
				}
				first, packet, err := use([]byte("abc"), []byte{byte(i)})
				if err == nil {
					packets[i] = packet[3:]
				} else if err != ErrSpent || first != (Address{}) || string(packet) != "abc" {
					t.Errorf("%v, %v, %q", err, first, packet)
				}
			})
		}
		users.Wait()
		winner := slices.IndexFunc(packets, func(packet []byte) bool { return packet != nil })
		require.NotEqual(t, -1, winner)
		_, layer := journey(t, p, nodes, packets[winner])
		message, err := key.Open(layer.Payload)
		require.NoError(t, err)
		require.Equal(t, []byte{byte(winner)}, message)
		packets[winner] = nil
		require.Equal(t, make([][]byte, 16), packets, "used twice")

		_, err = surb.AppendBinary(nil)
		require.Equal(t, ErrSpent, err)
	}
}

// TestSURBIsSafeForConcurrentUse: what is encoded while another goroutine uses the SURB is the whole of it or ErrSpent.
func TestSURBIsSafeForConcurrentUse(t *testing.T) {
	p := surbParams
	nodes := newNodes(t, randomness(t.Name()), 2)
	for range 50 {
		surb, _ := newSURB(t, p, nodes)
		want, err := surb.AppendBinary(nil)
		require.NoError(t, err)
		start := make(chan struct{})
		var users sync.WaitGroup
		for range 4 {
			users.Go(func() {
				<-start
				for {
					encoded, err := surb.AppendBinary(nil)
					if err != nil {
						if err != ErrSpent || encoded != nil {
							t.Errorf("%v, %x", err, encoded)
						}
						return
					}
					if !bytes.Equal(encoded, want) {
						t.Error("half a SURB was encoded")
						return
					}
				}
			})
		}
		users.Go(func() {
			<-start
			if _, _, err := surb.Use(nil, nil); err != nil {
				t.Error(err)
			}
		})
		close(start)
		users.Wait()
	}
}

// TestReplyKeyOutlivesForgeries: who can send the client a payload cannot burn the key of the true reply.
func TestReplyKeyOutlivesForgeries(t *testing.T) {
	for _, schedule := range schedules {
		p := Params{5, 128, schedule.KeySchedule}
		random := randomness("forged replies " + schedule.name)
		nodes := newNodes(t, random, 3)
		surb, key := newSURB(t, p, nodes)
		payload := replyThrough(t, p, nodes, surb, []byte("hello"))

		for _, n := range []int{0, 1, 127, 129} {
			message, err := key.Open(make([]byte, n))
			require.Equal(t, ErrPacketSize, err)
			require.Nil(t, message)
		}
		for bit := range 8 * len(payload) {
			changed := slices.Clone(payload)
			changed[bit/8] ^= 1 << (bit % 8)
			message, err := key.Open(changed)
			if err != ErrPayload || message != nil {
				t.Fatalf("bit %d: %v, %q", bit, err, message)
			}
		}
		otherSURB, otherKey := newSURB(t, p, nodes)
		_, err := key.Open(replyThrough(t, p, nodes, otherSURB, []byte("another reply")))
		require.Equal(t, ErrPayload, err)
		_, err = otherKey.Open(slices.Clone(payload))
		require.Equal(t, ErrPayload, err)

		message, err := key.Open(payload)
		require.NoError(t, err)
		require.Equal(t, "hello", string(message))
		require.Same(t, &payload[kappa], &message[0])
		_, err = key.Open(payload)
		require.Equal(t, ErrSpent, err)
	}
}

// TestSpentReplyKeyIsSpentInEveryCopy: a copy shares the secrets, which are zeros once the reply was opened. To open a
// payload with those would be to take a reply from anybody.
func TestSpentReplyKeyIsSpentInEveryCopy(t *testing.T) {
	p := surbParams
	nodes := newNodes(t, randomness(t.Name()), 2)
	surb, key := newSURB(t, p, nodes)
	copied := *key
	payload := replyThrough(t, p, nodes, surb, []byte("hello"))
	_, err := key.Open(payload)
	require.NoError(t, err)

	forged := sealReply(&replyKey{params: p, seeds: make([]schedule.Seed, 2)}, replyPlaintext(p, "forged"))
	message, err := copied.Open(forged)
	require.Equal(t, ErrSpent, err, "a reply of zero keys: %q", message)
}

// TestZeroValuesAreSpent and do not panic.
func TestZeroValuesAreSpent(t *testing.T) {
	var surb SURB
	first, packet, err := surb.Use([]byte("abc"), nil)
	require.Equal(t, ErrSpent, err)
	require.Equal(t, Address{}, first)
	require.Equal(t, "abc", string(packet))
	_, _, err = surb.Use(nil, make([]byte, 1<<17))
	require.Equal(t, ErrSpent, err)
	encoded, err := surb.AppendBinary([]byte("abc"))
	require.Equal(t, ErrSpent, err)
	require.Equal(t, "abc", string(encoded))

	var key ReplyKey
	for _, payload := range [][]byte{nil, make([]byte, 128)} {
		message, err := key.Open(payload)
		require.Equal(t, ErrSpent, err)
		require.Nil(t, message)
	}
	key.Wipe()
	key.Wipe()

	_, made := newSURB(t, surbParams, newNodes(t, randomness(t.Name()), 1))
	made.Wipe()
	_, err = made.Open(make([]byte, surbParams.PayloadSize))
	require.Equal(t, ErrSpent, err)
}

// TestRepliesLookLikeForwardPackets to every hop but the last: one size, and a relay layer with nothing else in it.
func TestRepliesLookLikeForwardPackets(t *testing.T) {
	p := surbParams
	nodes := newNodes(t, randomness(t.Name()), 3)
	surb, _ := newSURB(t, p, nodes)
	_, reply, err := surb.Use(nil, []byte("hello"))
	require.NoError(t, err)
	forward := wrap(t, p, nil, nodes, []byte("hello"))
	require.Len(t, reply, len(forward))
	for i := range 2 {
		a, err := nodes[i].unwrapper(t, p, make(TagSet)).Unwrap(reply)
		require.NoError(t, err)
		b, err := nodes[i].unwrapper(t, p, make(TagSet)).Unwrap(forward)
		require.NoError(t, err)
		a.Tag, b.Tag = Tag{}, Tag{}
		require.Equal(t, b, a)
	}
}

// replyPlaintext is the payload of a reply before any encryption.
func replyPlaintext(p Params, message string) []byte {
	return specPad(p, slices.Concat(make([]byte, kappa), []byte(message)))
}

// sealReply returns the payload that a key with these secrets opens to plaintext.
func sealReply(key *replyKey, plaintext []byte) []byte {
	derive := schedule.New(key.params.insecure())
	var secret [lioness.KeySize]byte
	derive.ReplyKey(&secret, &key.ktilde)
	payload := slices.Clone(plaintext)
	errs := []error{lioness.New(&secret).Encrypt(payload)}
	for i := range key.seeds {
		derive.PayloadKey(&secret, &key.seeds[i])
		errs = append(errs, lioness.New(&secret).Decrypt(payload))
	}
	if err := errors.Join(errs...); err != nil {
		panic(err)
	}
	return payload
}
