package sphinx

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// limitParams are parameters from one end of the ranges to the other.
func limitParams() (all []Params) {
	for r := 1; r <= MaxMaxHops; r++ {
		all = append(all, Params{MaxHops: r, PayloadSize: 64 + 13*r})
	}
	for _, size := range []int{64, 65, 66, 127, 128, 255, 256, 257, 1024, 4096, 32768, 65535, 65536} {
		for _, r := range []int{1, 3} {
			all = append(all, Params{MaxHops: r, PayloadSize: size}, Params{r, size, InsecureReferenceSchedule})
		}
	}
	return all
}

// TestMessageLimits: the longest message arrives as it was sent, the empty one too, and one byte more is refused.
func TestMessageLimits(t *testing.T) {
	random := randomness("message limits")
	nodes := newNodes(t, random, MaxMaxHops)
	for _, p := range limitParams() {
		path := nodes[:1]
		switch {
		case p.MaxHops%25 == 0:
			path = nodes[:p.MaxHops]
		case p.MaxHops > 3:
			path = nodes[:1+p.MaxHops%3]
		}
		for _, destination := range [][]byte{{0}, randomBytes(random, 17), randomBytes(random, 127)} {
			limit := p.MaxMessage(len(destination))
			require.Equal(t, p.PayloadSize-19-len(destination), limit)
			if limit < 0 {
				continue
			}
			for _, length := range []int{0, limit} {
				message := randomBytes(random, length)
				packet, err := p.Wrap(nil, random, pathOf(path), destination, message)
				require.NoError(t, err)
				_, layer := journey(t, p, path, packet)
				require.Equal(t, destination, layer.Destination)
				require.True(t, bytes.Equal(message, layer.Message), "%+v: %d bytes", p, length)
			}
			got, err := p.Wrap([]byte("abc"), unread{t}, pathOf(path), destination, make([]byte, limit+1))
			require.ErrorIs(t, err, ErrMessageSize)
			require.Equal(t, "abc", string(got))
		}
	}
}

// TestReplyLimits: likewise for replies and client ids.
func TestReplyLimits(t *testing.T) {
	random := randomness("reply limits")
	nodes := newNodes(t, random, MaxMaxHops)
	for _, p := range limitParams() {
		for _, n := range slices.Compact([]int{1, (p.MaxHops + 1) / 2, p.MaxHops}) {
			if n > 5 && p.MaxHops%10 != 0 {
				continue
			}
			limit := p.MaxClientID(n)
			require.Equal(t, min(127, 32*(p.MaxHops-n)+31), limit)
			require.Equal(t, p.PayloadSize-18, p.MaxReply())
			for i, length := range []int{1, limit} {
				client := randomBytes(random, length)
				message := randomBytes(random, []int{0, p.MaxReply()}[i])
				surb, key, err := p.NewSURB(random, pathOf(nodes[:n]), client, MessageID{15: 7})
				require.NoError(t, err)
				prefix := []byte("abc")
				_, got, err := surb.Use(prefix, make([]byte, p.MaxReply()+1))
				require.ErrorIs(t, err, ErrMessageSize)
				require.Equal(t, prefix, got)
				_, packet, err := surb.Use(prefix, message)
				require.NoError(t, err, "a message that was too long must leave the SURB")
				require.Equal(t, prefix, packet[:3])
				_, layer := journey(t, p, nodes[:n], packet[3:])
				require.Equal(t, client, layer.Client)
				require.Equal(t, MessageID{15: 7}, layer.MessageID)
				opened, err := key.Open(layer.Payload)
				require.NoError(t, err)
				require.True(t, bytes.Equal(message, opened))
			}
			for _, length := range []int{0, limit + 1, 300} {
				surb, key, err := p.NewSURB(unread{t}, pathOf(nodes[:n]), make([]byte, length), MessageID{})
				require.ErrorIs(t, err, ErrClientID)
				require.Nil(t, surb)
				require.Nil(t, key)
			}
		}
	}
}

// unread is a reader that must not be asked: arguments are refused before randomness is drawn for them.
type unread struct{ t testing.TB }

func (r unread) Read([]byte) (int, error) {
	r.t.Error("randomness drawn for a call that cannot succeed")
	return 0, io.EOF
}

// TestArgumentErrors: each mistake has its sentinel, draws nothing and leaves dst alone.
func TestArgumentErrors(t *testing.T) {
	good := Params{MaxHops: 3, PayloadSize: 64}
	path := pathOf(newNodes(t, randomness("arguments"), 4))
	badAddress := slices.Clone(path[:3])
	badAddress[2].Address[0] = 0xfe
	bob, client := []byte("bob"), []byte("alice")
	for _, c := range []struct {
		name        string
		p           Params
		path        []Hop
		destination []byte
		message     []byte
		want        error
		both        bool // NewSURB refuses it too
	}{
		{"no hops allowed", Params{MaxHops: 0, PayloadSize: 64}, path[:1], bob, nil, ErrParams, true},
		{"negative hops", Params{MaxHops: -1, PayloadSize: 64}, path[:1], bob, nil, ErrParams, true},
		{"51 hops", Params{MaxHops: 51, PayloadSize: 64}, path[:1], bob, nil, ErrParams, true},
		{"payload of 63", Params{MaxHops: 3, PayloadSize: 63}, path[:1], bob, nil, ErrParams, true},
		{"payload of 65537", Params{MaxHops: 3, PayloadSize: 65537}, path[:1], bob, nil, ErrParams, true},
		{"negative payload", Params{MaxHops: 3, PayloadSize: -1}, path[:1], bob, nil, ErrParams, true},
		{"no such schedule", Params{3, 64, 2}, path[:1], bob, nil, ErrParams, true},
		{"no hop", good, nil, bob, nil, ErrPath, true},
		{"too many hops", good, path, bob, nil, ErrPath, true},
		{"address of no relay", good, badAddress, bob, nil, ErrPath, true},
		{"zero hop", good, make([]Hop, 1), bob, nil, ErrPath, true},
		{"no destination", good, path[:3], nil, nil, ErrDestination, false},
		{"long destination", good, path[:3], make([]byte, 128), nil, ErrDestination, false},
		{"long message", good, path[:3], bob, make([]byte, good.MaxMessage(3)+1), ErrMessageSize, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dst := append(make([]byte, 0, 4096), "abc"...)
			got, err := c.p.Wrap(dst, unread{t}, c.path, c.destination, c.message)
			require.ErrorIs(t, err, c.want)
			require.True(t, strings.HasPrefix(err.Error(), c.want.Error()), err.Error())
			require.Equal(t, "abc", string(got))
			require.Equal(t, make([]byte, 4093), dst[3:cap(dst)])
			if c.both {
				surb, key, err := c.p.NewSURB(unread{t}, c.path, client, MessageID{})
				require.ErrorIs(t, err, c.want)
				require.Nil(t, surb)
				require.Nil(t, key)
			}
			if c.want == ErrParams {
				require.ErrorIs(t, c.p.Validate(), ErrParams)
				_, err = c.p.ParseSURB(make([]byte, 272))
				require.ErrorIs(t, err, ErrParams)
				key, err := GenerateKey(nil)
				require.NoError(t, err)
				_, err = NewUnwrapper(c.p, key, make(TagSet))
				require.ErrorIs(t, err, ErrParams)
				_, err = c.p.WrapBatch(nil, nil, nil)
				require.ErrorIs(t, err, ErrParams)
				_, _, err = c.p.NewSURBs(nil, nil)
				require.ErrorIs(t, err, ErrParams)
			}
		})
	}
	for _, p := range limitParams() {
		require.NoError(t, p.Validate())
	}
}

func TestKeyErrors(t *testing.T) {
	p := Params{MaxHops: 3, PayloadSize: 64}
	for _, n := range []int{0, 31, 33, 64} {
		key, err := NewPrivateKey(make([]byte, n))
		require.ErrorIs(t, err, ErrKey)
		require.Nil(t, key)
	}
	wiped, err := GenerateKey(nil)
	require.NoError(t, err)
	wiped.Wipe()
	for _, key := range []*PrivateKey{nil, {}, wiped} {
		u, err := NewUnwrapper(p, key, make(TagSet))
		require.ErrorIs(t, err, ErrKey)
		require.Nil(t, u)
	}
	key, err := GenerateKey(nil)
	require.NoError(t, err)
	u, err := NewUnwrapper(p, key, nil)
	require.Error(t, err)
	require.Nil(t, u)
}

// TestPrivateKey: the key pairs of RFC 7748 §6.1, and that a key shares no memory with its caller.
func TestPrivateKey(t *testing.T) {
	for _, pair := range [][2]string{
		{"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"},
		{"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"},
	} {
		raw := mustKey(t, pair[0])
		clamped := specClamp(raw[:])
		key, err := NewPrivateKey(raw[:])
		require.NoError(t, err)
		require.Equal(t, clamped, key.Bytes())
		require.Equal(t, pair[1], key.Public().String())

		clear(key.Bytes())
		drawn, err := GenerateKey(bytes.NewReader(raw[:]))
		require.NoError(t, err)
		clear(raw[:])
		require.Equal(t, clamped, key.Bytes())
		require.True(t, key.Equal(drawn))
		other, err := GenerateKey(nil)
		require.NoError(t, err)
		require.False(t, key.Equal(other))
	}
	require.Equal(t, "ff"+strings.Repeat("00", 14)+"07", Address{0: 0xff, 15: 7}.String())
}
