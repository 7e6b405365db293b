package sphinx

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/sphinx/internal/wire"
	"sphinxmix.example/sphinx/internal/x25519"
)

// FuzzUnwrapRaw gives a node bytes from outside. It lets in what the sender made, the payload aside, and nothing else;
// alone as in a batch. What it refuses stays as it was.
func FuzzUnwrapRaw(f *testing.F) {
	p := Params{MaxHops: 3, PayloadSize: 64}
	random := randomness("FuzzUnwrapRaw")
	nodes := newNodes(f, random, 3)
	genuine := make(map[string]bool) // headers for nodes[0]
	var seeds [][]byte
	for n := 1; n <= 3; n++ {
		forward := wrap(f, p, random, nodes[:n], []byte("hello"))
		surb, _, err := p.NewSURB(random, pathOf(nodes[:n]), []byte("alice"), MessageID{1})
		require.NoError(f, err)
		_, reply, err := surb.Use(nil, []byte("hello"))
		require.NoError(f, err)
		for _, packet := range [][]byte{forward, reply} {
			genuine[string(packet[:p.HeaderSize()])] = true
			arrivals, _ := journey(f, p, nodes[:n], packet)
			seeds = append(seeds, arrivals...)
			topBit := slices.Clone(packet)
			topBit[31] |= 0x80
			seeds = append(seeds, topBit, packet[:len(packet)-1])
		}
	}
	for _, alpha := range lowOrderAlphas(f) {
		seeds = append(seeds, forge(p, alpha, x25519.Key(nodes[0].hop.Key), x25519.Key{}, exitBeta(p), forwardDelta(p, "bob", "")))
	}
	canonical, plusP := smallU(p, nodes[0], 9)
	genuine[string(canonical[:p.HeaderSize()])] = true
	seeds = append(seeds, plusP)
	require.Len(f, seeds, 39)
	for _, seed := range seeds {
		f.Add(seed)
	}

	f.Fuzz(func(t *testing.T, before []byte) {
		packet, batched := slices.Clone(before), slices.Clone(before)
		layer, err := nodes[0].unwrapper(t, p, make(TagSet)).Unwrap(packet)
		layers, errs := make([]Layer, 2), make([]error, 2)
		second := slices.Clone(before)
		nodes[0].unwrapper(t, p, make(TagSet)).UnwrapBatch([][]byte{batched, second}, layers, errs)
		require.Equal(t, layer, layers[0])
		require.Equal(t, err, errs[0])
		require.Equal(t, packet, batched)
		require.Error(t, errs[1], "a copy was let in")
		require.Equal(t, before, second)

		known := len(before) == p.PacketSize() && genuine[string(before[:p.HeaderSize()])]
		switch err {
		case nil:
			require.True(t, known, "a header that nobody made was let in")
			require.Contains(t, []Route{Relay, Exit, Reply}, layer.Route)
		case ErrPayload:
			require.True(t, known)
			require.Equal(t, Layer{}, layer)
			require.Equal(t, before[:p.HeaderSize()], packet[:p.HeaderSize()])
		default:
			require.Contains(t, []error{ErrPacketSize, ErrGroup, ErrMAC}, err)
			require.False(t, known)
			require.Equal(t, Layer{}, layer)
			require.Equal(t, before, packet)
		}
	})
}

// FuzzUnwrapAuthenticated gives a node what a sender can who keeps no rule but the MAC: any β, any payload, under keys
// that both derive. The layer is what the format says for these bytes, read a second time here.
func FuzzUnwrapAuthenticated(f *testing.F) {
	random := randomness("FuzzUnwrapAuthenticated")
	n := newNodes(f, random, 1)[0]
	const payloadSize = 96
	seeds := 0
	add := func(maxHops uint8, beta, delta []byte) {
		seeds++
		f.Add(maxHops, uint8(seeds%2), beta, delta)
	}
	for r := uint8(1); r <= 5; r++ {
		p := Params{MaxHops: int(r), PayloadSize: payloadSize}
		// what honest senders make, decrypted
		exit := wrap(f, p, random, []node{n}, []byte("hello"))
		surb, _, err := p.NewSURB(random, []Hop{n.hop}, bytes.Repeat([]byte("a"), p.MaxClientID(1)), MessageID{1})
		require.NoError(f, err)
		_, reply, err := surb.Use(nil, []byte("hello"))
		require.NoError(f, err)
		for _, packet := range [][]byte{exit, reply} {
			add(r, n.opened(p, packet)[:p.betaSize()], forwardDelta(p, "bob", "hello"))
		}
		// and what they do not: every kind of block, ids that end before, at and behind the end of β
		for _, first := range []int{0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff, p.betaSize() - 18, p.betaSize() - 17, p.betaSize() - 16, p.betaSize() - 1, p.betaSize()} {
			beta := randomBytes(random, p.betaSize())
			beta[0] = byte(first)
			add(r, beta, forwardDelta(p, "bob", "hello"))
		}
	}
	p := Params{MaxHops: 3, PayloadSize: payloadSize}
	for _, offset := range []int{0, 1, 2, 3, payloadSize - 21, payloadSize - 20, payloadSize - 17, payloadSize - 16, payloadSize - 15, payloadSize, payloadSize + 1, 65535} {
		delta := forwardDelta(p, "bob", "hello")
		binary.LittleEndian.PutUint16(delta[payloadSize-2:], uint16(offset))
		add(3, exitBeta(p), delta)
	}
	for _, code := range []byte{0x00, 0x01, 0x7f, 0x80, 0xff} {
		delta := forwardDelta(p, "bob", "hello")
		delta[kappa] = code
		add(3, exitBeta(p), delta)
	}
	add(3, exitBeta(p), append([]byte{0x80}, forwardDelta(p, "bob", "hello")[1:]...))
	require.Equal(f, 5*13+12+5+1, seeds)

	f.Fuzz(func(t *testing.T, maxHops, kind uint8, beta, delta []byte) {
		p := Params{1 + int(maxHops-1)%8, payloadSize, KeySchedule(kind % 2)}
		beta = slices.Concat(beta, make([]byte, p.betaSize()))[:p.betaSize()]
		delta = slices.Concat(delta, make([]byte, p.PayloadSize))[:p.PayloadSize]
		packet := forgeFor(p, randomness("x"), n, beta, delta)
		_, keys := n.agreed(p, packet)
		b := n.opened(p, packet) // the same β, and behind it what the zeros become
		require.Equal(t, beta, b[:len(beta)])
		sent := slices.Clone(packet)
		layer, err := n.unwrapper(t, p, make(TagSet)).Unwrap(packet)

		want := Layer{Tag: Tag(*keys.Tag())}
		var wantErr error
		length := int(b[0])
		switch {
		case b[0] == 0xff:
			want.Route, want.Next = Relay, Address(b[:16])
			alpha := x25519.Key(p.alpha(sent))
			x25519.Shared(&alpha, keys.Blinding(), &alpha)
			require.Equal(t, slices.Concat(alpha[:], b[32:], b[16:32], delta), packet)
		case b[0] == 0x00:
			want.Route = Exit
			want.Destination, want.Message, wantErr = readForward(delta)
		case b[0] < 0x80 && 1+length+MessageIDSize <= len(beta):
			want.Route, want.Client, want.Payload = Reply, b[1:1+length], delta
			want.MessageID = MessageID(b[1+length:])
		default:
			wantErr = ErrRouting
		}
		if wantErr != nil {
			want = Layer{}
		}
		if err != wantErr {
			t.Fatalf("r = %d, routing block %x…: error %v, want %v", p.MaxHops, b[:4], err, wantErr)
		}
		require.Equal(t, want, layer)
		switch err {
		case ErrRouting:
			require.Equal(t, sent, packet)
		case ErrPayload:
			require.Equal(t, sent[:p.HeaderSize()], packet[:p.HeaderSize()])
		}
	})
}

// readForward reads a forward payload (§3.5): 0¹⁶ ‖ len(destination) ‖ destination ‖ message ‖ zeros ‖ offset.
func readForward(delta []byte) (destination, message []byte, err error) {
	content, err := readPadded(delta)
	if err != nil || len(content) == 0 {
		return nil, nil, ErrPayload
	}
	n := int(content[0])
	if n < 1 || n > 127 || 1+n > len(content) {
		return nil, nil, ErrPayload
	}
	return content[1 : 1+n], content[1+n:], nil
}

func readPadded(delta []byte) (content []byte, err error) {
	offset := int(delta[len(delta)-1])<<8 | int(delta[len(delta)-2])
	if !bytes.HasPrefix(delta, make([]byte, 16)) || offset < 2 || len(delta)-offset < 16 {
		return nil, ErrPayload
	}
	return delta[16 : len(delta)-offset], nil
}

// FuzzParseSURB parses bytes from a stranger. What parses is encoded to the same bytes, makes one packet of the right size
// whatever it holds, and is taken by a hop only if its header was made by somebody.
func FuzzParseSURB(f *testing.F) {
	p := Params{MaxHops: 3, PayloadSize: 64}
	random := randomness("FuzzParseSURB")
	nodes := newNodes(f, random, 3)
	genuine := make(map[string]bool)
	seeds := 0
	for n := 1; n <= 3; n++ {
		surb, _, err := p.NewSURB(random, pathOf(nodes[:n]), []byte("alice"), MessageID{1})
		require.NoError(f, err)
		encoded, err := surb.AppendBinary(nil)
		require.NoError(f, err)
		genuine[string(encoded[AddressSize:][:p.HeaderSize()])] = true
		wrongFirst := slices.Clone(encoded)
		wrongFirst[0] = 0
		for _, seed := range [][]byte{encoded, encoded[1:], append(slices.Clone(encoded), 0), wrongFirst} {
			f.Add(seed, []byte("hello"))
			seeds++
		}
	}
	require.Equal(f, 12, seeds)

	f.Fuzz(func(t *testing.T, b, message []byte) {
		before := slices.Clone(b)
		surb, err := p.ParseSURB(b)
		require.Equal(t, before, b)
		if len(b) != p.SURBSize() || b[0] != wire.RelayPrefix {
			require.ErrorIs(t, err, ErrSURB)
			require.Nil(t, surb)
			return
		}
		require.NoError(t, err)
		encoded, err := surb.AppendBinary(nil)
		require.NoError(t, err)
		require.Equal(t, b, encoded)

		first, packet, err := surb.Use(nil, message)
		if len(message) > p.MaxReply() {
			require.ErrorIs(t, err, ErrMessageSize)
			require.Nil(t, packet)
			return
		}
		require.NoError(t, err)
		require.Equal(t, b[:AddressSize], first[:])
		require.Len(t, packet, p.PacketSize())
		require.Equal(t, b[AddressSize:][:p.HeaderSize()], packet[:p.HeaderSize()])
		_, _, err = surb.Use(nil, nil)
		require.Equal(t, ErrSpent, err)
		_, err = nodes[0].unwrapper(t, p, make(TagSet)).Unwrap(packet)
		require.Equal(t, genuine[string(b[AddressSize:][:p.HeaderSize()])], err == nil, "%v", err)
	})
}

// FuzzReplyOpen gives a client a payload as it comes, and one that decrypts to the bytes chosen. What the reply key opens
// is what the format says for these bytes, and spends it; the rest leaves it as it was.
func FuzzReplyOpen(f *testing.F) {
	const hops = 3
	p := Params{MaxHops: hops, PayloadSize: 64}
	random := randomness("FuzzReplyOpen")
	nodes := newNodes(f, random, hops)
	surb, made, err := p.NewSURB(random, pathOf(nodes), []byte("alice"), MessageID{1, 2, 3}) // the same in each process
	require.NoError(f, err)
	secrets := *secretsOf(made)
	fresh := func() *ReplyKey {
		copied := secrets
		copied.seeds = slices.Clone(secrets.seeds)
		return keyOf(copied)
	}
	genuine := replyThrough(f, p, nodes, surb, []byte("hello"))
	seeds := 0
	add := func(payload []byte, sealed bool) {
		f.Add(payload, sealed)
		seeds++
	}
	add(genuine, false)
	add(genuine[1:], false)
	add(append([]byte{genuine[0] ^ 1}, genuine[1:]...), false)
	for _, message := range []string{"", "hello", string(bytes.Repeat([]byte("m"), p.MaxReply()))} {
		add(replyPlaintext(p, message), true)
	}
	for _, offset := range []int{0, 1, 2, 47, 48, 49, 64, 65, 65535} {
		plaintext := replyPlaintext(p, "hello")
		binary.LittleEndian.PutUint16(plaintext[p.PayloadSize-2:], uint16(offset))
		add(plaintext, true)
	}
	add(append([]byte{1}, replyPlaintext(p, "hello")[1:]...), true)
	require.Equal(f, 16, seeds)

	f.Fuzz(func(t *testing.T, payload []byte, sealed bool) {
		key, payload := fresh(), slices.Clone(payload)
		var want []byte
		wantErr := ErrPayload
		if sealed {
			plaintext := slices.Concat(payload, make([]byte, p.PayloadSize))[:p.PayloadSize]
			want, wantErr = readPadded(plaintext)
			payload = sealReply(&secrets, plaintext)
		} else if len(payload) != p.PayloadSize {
			wantErr = ErrPacketSize
		}
		if bytes.Equal(payload, genuine) {
			want, wantErr = []byte("hello"), nil
		}
		before := slices.Clone(payload)
		message, err := key.Open(payload)
		if err != wantErr || string(message) != string(want) {
			t.Fatalf("%q, %v; want %q, %v", message, err, want, wantErr)
		}
		if err != nil {
			require.Nil(t, message)
			if err == ErrPacketSize {
				require.Equal(t, before, payload)
			}
			message, err = key.Open(slices.Clone(genuine))
			require.NoError(t, err, "a forgery burnt the key")
			require.Equal(t, "hello", string(message))
		}
		_, err = key.Open(slices.Clone(genuine))
		require.Equal(t, ErrSpent, err)
	})
}
