package vectors

import (
	"bytes"
	"fmt"

	"sphinxmix.example/sphinx"
	"sphinxmix.example/sphinx/internal/x25519"
	"sphinxmix.example/testvectors"
)

// negatives collects negative cases. Most of them are about one small network, so that they stay short.
type negatives struct {
	*source
	params sphinx.Params
	nodes  []testvectors.Node
	path   []node
	cases  []testvectors.Negative
}

func makeNegatives() []testvectors.Negative {
	m := &negatives{source: newSource("negative")}
	m.network(3, 64)
	m.lowOrderAlphas()
	m.equivalentAlphas()
	m.bitFlips()
	m.sizes()
	m.strangers()
	m.replays()
	m.forgedRouting()
	m.forgedPayloads()
	m.network(3, 64)
	m.replies()
	m.surbs()
	m.limits()
	m.lowOrderKeys()
	return m.cases
}

// network starts a network whose paths have r hops, the longest that there may be.
func (m *negatives) network(r, payload int) {
	m.params = sphinx.Params{MaxHops: r, PayloadSize: payload}
	m.nodes = m.source.nodes(r)
	var err error
	m.path, err = nodes(m.params, m.nodes)
	must(err)
}

func (m *negatives) stated() testvectors.Params {
	return testvectors.Params{MaxHops: m.params.MaxHops, PayloadSize: m.params.PayloadSize}
}

func (m *negatives) add(name, comment string, v testvectors.Negative, flags ...string) {
	v.Name, v.Comment, v.Flags = name, comment, flags
	m.cases = append(m.cases, v)
}

// packet returns an honest packet as it arrives at each hop. x is drawn where it is nil.
func (m *negatives) packet(x *x25519.Key) (arrivals [][]byte) {
	random := m.bytes(1024)
	if x != nil {
		copy(random, x[:])
	}
	packet, err := m.params.Wrap(nil, bytes.NewReader(random), hopsOf(m.path), []byte("bob"), m.bytes(m.between(1, 20)))
	must(err)
	stops, _, err := walk(m.params, m.path, packet)
	must(err)
	for _, at := range stops {
		arrivals = append(arrivals, at.arrived)
	}
	return arrivals
}

// change returns good with the n bytes at offset replaced by to.
func change(good []byte, offset, n int, to []byte) (*testvectors.Change, []byte) {
	from := append(testvectors.Hex{}, good[offset:offset+n]...)
	return &testvectors.Change{Offset: offset, From: from, To: append(testvectors.Hex{}, to...)},
		concat(good[:offset], to, good[offset+n:])
}

// alter adds a case of one packet that arrives at hop with the n bytes at offset replaced by to, and is refused at stage
// by the node after that number of nodes.
func (m *negatives) alter(name, comment string, good []byte, hop, offset, n int, to []byte, stage string, after int, flags ...string) {
	changed, packet := change(good, offset, n, to)
	m.add(name, comment, testvectors.Negative{Unwrap: &testvectors.NegativeUnwrap{
		Params: m.stated(), Nodes: m.nodes[hop:], Good: []testvectors.Hex{good},
		Packets: []testvectors.NegativePacket{{Packet: packet, Change: changed, Stage: stage, Hop: after}},
	}}, flags...)
}

func (m *negatives) bitFlips() {
	for hop := range m.path {
		good := m.packet(nil)[hop]
		header := m.params.HeaderSize()
		for _, flip := range []struct {
			part        string
			offset, bit int
		}{
			{"alpha", 0, 0},
			{"alpha", 12, 4},
			{"alpha", 31, 6},
			{"beta", 32, 0},
			{"beta", 32 + kappa, 3},
			{"beta", header - kappa - 1, 7},
			{"gamma", header - kappa, 0},
			{"gamma", header - 1, 7},
			{"delta", header, 0},
			{"delta", header + 32, 5},
			{"delta", len(good) - 1, 7},
		} {
			stage, after := testvectors.StageMAC, 0
			comment := "One bit of the header is flipped: its MAC fails."
			if flip.part == "delta" {
				stage, after = testvectors.StagePayload, len(m.path)-1-hop
				comment = "One bit of δ is flipped: no node before the exit can tell, and there all of it is noise."
			}
			m.alter(fmt.Sprintf("flip-%s-%d.%d-hop%d", flip.part, flip.offset, flip.bit, hop), comment,
				good, hop, flip.offset, 1, []byte{good[flip.offset] ^ 1<<flip.bit}, stage, after, "BitFlip")
		}
	}
}

func (m *negatives) sizes() {
	good := m.packet(nil)[0]
	header, size := m.params.HeaderSize(), len(good)
	for _, cut := range []int{1, m.params.PayloadSize, m.params.PayloadSize + 1, size - 32, size - 1, size} {
		m.alter(fmt.Sprintf("truncated-to-%d", size-cut), "The end of the packet is missing.",
			good, 0, size-cut, cut, nil, testvectors.StageSize, 0, "WrongSize")
	}
	for _, extra := range []int{1, 32, size} {
		m.alter(fmt.Sprintf("extended-by-%d", extra), "Bytes follow the packet.",
			good, 0, size, 0, make([]byte, extra), testvectors.StageSize, 0, "WrongSize")
	}
	m.alter("byte-missing-in-beta", "A byte of β is missing, so that all after it moves.",
		good, 0, header-kappa-1, 1, nil, testvectors.StageSize, 0, "WrongSize")
	m.alter("hop-missing-in-beta", "β has the length of a network with one hop less.",
		good, 0, header-3*kappa, 2*kappa, nil, testvectors.StageSize, 0, "WrongSize")
}

// strangers adds packets that are right, for somebody else.
func (m *negatives) strangers() {
	add := func(name, comment string, p sphinx.Params, path []node, made testvectors.MadeFor, flag string) {
		packet, err := p.Wrap(nil, m, hopsOf(path), []byte("bob"), []byte("hello"))
		must(err)
		m.add(name, comment, testvectors.Negative{Unwrap: &testvectors.NegativeUnwrap{
			Params: m.stated(), Nodes: m.nodes, Good: []testvectors.Hex{packet}, MadeFor: &made,
			Packets: []testvectors.NegativePacket{{Packet: packet, Stage: testvectors.StageMAC}},
		}}, flag)
	}
	other := m.node()
	key, err := sphinx.NewPrivateKey(other.PrivateRaw)
	must(err)
	path := append([]node{{key, sphinx.Hop{Address: m.path[0].hop.Address, Key: key.Public()}}}, m.path[1:]...)
	add("wrong-key", "The packet was made for another key at the first hop.", m.params, path,
		testvectors.MadeFor{PrivateKey: other.PrivateKey}, "WrongKey")

	//lint:ignore SA1019 a packet of this key schedule must be refused
	reference := sphinx.Params{MaxHops: m.params.MaxHops, PayloadSize: m.params.PayloadSize, Schedule: sphinx.InsecureReferenceSchedule}
	number := 0
	add("wrong-schedule", "The packet was made under key schedule 0.", reference, m.path,
		testvectors.MadeFor{Schedule: &number}, "WrongSchedule")

	m.network(3, 128)
	add("wrong-params", "The packet has the size of this network's, and was made for 4 hops and a payload of 96.",
		sphinx.Params{MaxHops: 4, PayloadSize: 96}, m.path,
		testvectors.MadeFor{Params: &testvectors.Params{MaxHops: 4, PayloadSize: 96}}, "WrongParams")
	m.network(3, 64)
}
