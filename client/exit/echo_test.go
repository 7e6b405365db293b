package exit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/client/exit"
	"sphinxmix.example/sphinx"
)

var params = sphinx.Params{MaxHops: 5, PayloadSize: 1024}

// surb makes a SURB for a path of one hop, and what opens the reply through it.
func surb(t *testing.T) (encoded []byte, hop sphinx.Hop, open func(packet []byte) []byte) {
	t.Helper()
	key, err := sphinx.GenerateKey(nil)
	require.NoError(t, err)
	hop = sphinx.Hop{Address: sphinx.Address{0xff, 1}, Key: key.Public()}
	made, reply, err := params.NewSURB(nil, []sphinx.Hop{hop}, []byte("alice"), sphinx.MessageID{7})
	require.NoError(t, err)
	encoded, err = made.AppendBinary(nil)
	require.NoError(t, err)
	unwrapper, err := sphinx.NewUnwrapper(params, key, make(sphinx.TagSet))
	require.NoError(t, err)
	return encoded, hop, func(packet []byte) []byte {
		layer, err := unwrapper.Unwrap(packet)
		require.NoError(t, err)
		require.Equal(t, sphinx.Reply, layer.Route)
		require.Equal(t, sphinx.MessageID{7}, layer.MessageID)
		message, err := reply.Open(layer.Payload)
		require.NoError(t, err)
		return message
	}
}

// sent are the packets that a service sent.
type sent struct {
	first   []sphinx.Address
	packets [][]byte
}

func (s *sent) send(first sphinx.Address, packet []byte) {
	s.first = append(s.first, first)
	s.packets = append(s.packets, packet)
}

func TestEchoAnswersThroughTheFirstSURB(t *testing.T) {
	first, hop, open := surb(t)
	second, _, _ := surb(t)
	for _, test := range []struct {
		name  string
		surbs [][]byte
		data  string
		last  bool
	}{
		{"one", [][]byte{first}, "hello", false},
		{"one, empty", [][]byte{first}, "", true},
		{"two", [][]byte{first, second}, "hello", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			request := cell.Cell{Stream: 3, Sequence: 4, Last: test.last, SURBs: test.surbs, Data: []byte(test.data)}
			var got sent
			require.NoError(t, exit.NewEcho(params).Handle(t.Context(), request.Append(nil), got.send))
			require.Equal(t, []sphinx.Address{hop.Address}, got.first)
			require.Len(t, got.packets, 1)
			require.Len(t, got.packets[0], params.PacketSize())
			if test.name == "one" { // each SURB opens one reply
				reply, err := cell.Parse(open(got.packets[0]), 0)
				require.NoError(t, err)
				require.Equal(t, cell.Cell{Stream: 3, Sequence: 4, Last: test.last, Data: []byte(test.data)}, reply)
			}
		})
	}
}

// TestEchoAnswersNothingElse: what is no cell, or has no SURB that could be used, is an error, and nothing is sent.
func TestEchoAnswersNothingElse(t *testing.T) {
	good, _, _ := surb(t)
	request := cell.Cell{Stream: 3, SURBs: [][]byte{good}, Data: []byte("hello")}
	encoded := request.Append(nil)
	noPrefix := cell.Cell{SURBs: [][]byte{append([]byte{0xfe}, good[1:]...)}, Data: []byte("hello")}
	without := cell.Cell{Data: []byte("hello")}
	messages := map[string][]byte{
		"nothing":                    nil,
		"text":                       []byte("hello, is anybody there?"),
		"a cell and more":            append(request.Append(nil), 0),
		"a cell without a SURB":      without.Append(nil),
		"a SURB that leads nowhere":  noPrefix.Append(nil),
		"more SURBs than there are":  func() []byte { b := request.Append(nil); b[13] = 2; return b }(),
		"fewer SURBs than there are": func() []byte { b := request.Append(nil); b[13] = 0; return b }(),
		"a SURB that is one byte short": func() []byte {
			c := cell.Cell{SURBs: [][]byte{good[1:]}, Data: []byte("hello")}
			return c.Append(nil)
		}(),
	}
	for name, message := range messages {
		t.Run(name, func(t *testing.T) {
			var got sent
			require.Error(t, exit.NewEcho(params).Handle(t.Context(), message, got.send))
			require.Empty(t, got.packets)
		})
	}
	for n := range encoded {
		var got sent
		require.Error(t, exit.NewEcho(params).Handle(t.Context(), encoded[:n], got.send), "cut to %d bytes", n)
		require.Empty(t, got.packets)
	}
}

// TestEchoAnswersTheLongestCell that fits a packet of its network, so no request can be too long to be answered.
func TestEchoAnswersTheLongestCell(t *testing.T) {
	first, _, open := surb(t)
	const destination = 1 // byte, of the shortest name of a service
	data := make([]byte, params.MaxMessage(destination)-cell.HeaderSize-params.SURBSize())
	data[len(data)-1] = 9
	request := cell.Cell{SURBs: [][]byte{first}, Data: data, Last: true}
	var got sent
	require.NoError(t, exit.NewEcho(params).Handle(t.Context(), request.Append(nil), got.send))
	reply, err := cell.Parse(open(got.packets[0]), 0)
	require.NoError(t, err)
	require.Equal(t, data, reply.Data)

	// Even one without a SURB's worth of header, which cannot come in a packet, is an error and no panic.
	request.Data = make([]byte, params.MaxReply())
	require.ErrorIs(t, exit.NewEcho(params).Handle(t.Context(), request.Append(nil), got.send), sphinx.ErrMessageSize)
}

// TestEchoKeepsNothing: the same cell is answered as often as it comes. That a packet is not, is the mix's part.
func TestEchoKeepsNothing(t *testing.T) {
	first, _, _ := surb(t)
	request := cell.Cell{SURBs: [][]byte{first}, Data: []byte("hello")}
	echo := exit.NewEcho(params)
	var got sent
	for range 3 {
		require.NoError(t, echo.Handle(t.Context(), request.Append(nil), got.send))
	}
	require.Len(t, got.packets, 3)
	require.Equal(t, got.packets[0], got.packets[2])
}
