package vectors

import (
	"encoding/binary"
	"fmt"

	"sphinxmix.example/sphinx"
	"sphinxmix.example/sphinx/internal/x25519"
	"sphinxmix.example/testvectors"
)

// forge adds a packet with valid MACs. Its last hop, that of index hop, reads final first, which is filled up with random
// bytes, and then payload; and refuses it at stage.
func (m *negatives) forge(name, comment string, hop int, final, payload []byte, stage string, flags ...string) {
	f := forgery{params: m.params, path: hopsOf(m.path[:hop+1]), payload: payload}
	f.x = x25519.Key(m.bytes(x25519.Size))
	x25519.Clamp(&f.x)
	room := (2*(m.params.MaxHops-len(f.path)) + 3) * kappa
	f.final = append(append([]byte{}, final...), m.bytes(room-len(final))...)
	packet := f.packet()
	steps := peel(m.params, m.path[:hop+1], packet)[hop]
	m.add(name, comment, testvectors.Negative{Unwrap: &testvectors.NegativeUnwrap{
		Params: m.stated(), Nodes: m.nodes[:hop+1],
		Packets: []testvectors.NegativePacket{{
			Packet: packet, Stage: stage, Hop: hop,
			Forged: &testvectors.Forged{Header: steps.header, Payload: steps.payload},
		}},
	}}, flags...)
}

// plaintext is a forward payload in parts, so that each can be wrong.
type plaintext struct {
	zeros       [kappa]byte
	length      byte // of the destination
	destination []byte
	message     []byte
	filled      uint16 // the padding's own count
}

func (m *negatives) plaintext() plaintext {
	v := plaintext{length: 3, destination: []byte("bob"), message: []byte("hello")}
	v.filled = uint16(m.params.PayloadSize - len(v.zeros) - 1 - len(v.destination) - len(v.message))
	return v
}

func (v plaintext) block(size int) []byte {
	block := concat(v.zeros[:], []byte{v.length}, v.destination, v.message)
	block = append(block, make([]byte, size-len(block))...)
	binary.LittleEndian.PutUint16(block[size-2:], v.filled)
	return block
}

func (m *negatives) forgedRouting() {
	for _, network := range []struct {
		r, hop int
		types  []int
	}{
		{1, 0, nil},
		{3, 1, []int{0x80, 0xc3, 0xfe}},
		{3, 2, []int{0x80, 0xc3, 0xfe}},
	} {
		m.network(network.r, 64)
		if network.types == nil {
			for first := 0x80; first <= 0xfe; first++ {
				network.types = append(network.types, first)
			}
		}
		for _, first := range network.types {
			m.forge(fmt.Sprintf("routing-%02x-hop%d-of%d", first, network.hop, network.r),
				"The routing block starts with a byte that the format keeps free, under a valid MAC.",
				network.hop, []byte{byte(first)}, m.plaintext().block(64), testvectors.StageRouting, "ReservedRouting")
		}
	}
	for _, network := range []struct {
		r       int
		lengths []int
	}{
		{1, []int{32, 48, 49, 63, 64, 127}},
		{3, []int{96, 112, 113, 127}},
	} {
		m.network(network.r, 64)
		for _, length := range network.lengths {
			m.forge(fmt.Sprintf("client-id-%d-of-r%d", length, network.r),
				"The client id and the message id behind it do not fit in β. What follows β is zeros that this hop appended.",
				0, []byte{byte(length)}, m.plaintext().block(64), testvectors.StageRouting, "ClientIDOverrun")
		}
	}
}

func (m *negatives) forgedPayloads() {
	m.network(3, 64)
	size := m.params.PayloadSize
	add := func(name, comment string, v plaintext, flag string) {
		final := append([]byte{0}, make([]byte, sphinx.MessageIDSize)...)
		m.forge(name, comment, 0, final, v.block(size), testvectors.StagePayload, flag)
	}
	for i := range kappa {
		v := m.plaintext()
		v.zeros[i] = 1 << (i % 8)
		add(fmt.Sprintf("zeros-%d", i), "The payload does not start with 16 zero bytes.", v, "PayloadZeros")
	}

	for _, length := range []int{0, 0x80, 0x81, 0xc3, 0xfe, 0xff} {
		v := m.plaintext()
		v.length = byte(length)
		add(fmt.Sprintf("destination-length-%02x", length), "The length of the destination is none of 1 to 127.", v, "DestinationLength")
	}
	v := m.plaintext()
	v.length = 127
	add("destination-beyond-payload", "The destination is longer than the payload.", v, "DestinationLength")
	v = m.plaintext()
	v.length = byte(len(v.destination) + len(v.message) + 1)
	add("destination-into-padding", "The destination reaches one byte into the padding.", v, "DestinationLength")

	right := m.plaintext().filled
	for _, filled := range []struct {
		count   uint16
		comment string
	}{
		{0, "The padding's count is 0, which does not hold the count itself."},
		{1, "The padding's count is 1, which does not hold the count itself."},
		{right + 6, "The padding takes the last byte of the destination."},
		{uint16(size - kappa - 1), "The padding leaves the destination's length and nothing of the destination."},
		{uint16(size - kappa), "The padding leaves nothing but the zeros."},
		{uint16(size - kappa + 1), "The padding takes one of the zeros."},
		{uint16(size), "The padding is the whole payload."},
		{uint16(size + 1), "The padding is one byte longer than the payload."},
		{right << 8, "The padding's count is big-endian."},
		{0x8000, "The padding is longer than the payload."},
		{0xffff, "The padding is longer than the payload."},
	} {
		v := m.plaintext()
		v.filled = filled.count
		add(fmt.Sprintf("padding-%d", filled.count), filled.comment, v, "PaddingOffset")
	}
}
