package vectors

import (
	"bytes"
	"fmt"

	"sphinxmix.example/sphinx"
	"sphinxmix.example/testvectors"
)

func (m *negatives) surbs() {
	newCase := func() testvectors.NegativeParse {
		surb, _, err := m.params.NewSURB(m, hopsOf(m.path), []byte("alice"), sphinx.MessageID(m.bytes(sphinx.MessageIDSize)))
		must(err)
		encoded, err := surb.AppendBinary(nil)
		must(err)
		v := testvectors.NegativeParse{Params: m.stated(), Message: m.bytes(9), Good: encoded, Stage: testvectors.StageSURB}
		_, v.Packet, err = surb.Use(nil, v.Message)
		must(err)
		return v
	}
	add := func(name, comment string, offset, n int, to []byte, flag string) {
		v := newCase()
		v.Change, v.SURB = change(v.Good, offset, n, to)
		m.add(name, comment, testvectors.Negative{Parse: &v}, flag)
	}
	size := m.params.SURBSize()
	for _, cut := range []int{1, 32, size - sphinx.AddressSize, size} {
		add(fmt.Sprintf("surb-truncated-to-%d", size-cut), "The end of the SURB is missing.", size-cut, cut, nil, "MalformedSURB")
	}
	for _, extra := range []int{1, 32} {
		add(fmt.Sprintf("surb-extended-by-%d", extra), "Bytes follow the SURB.", size, 0, make([]byte, extra), "MalformedSURB")
	}
	add("surb-without-first-hop", "The SURB starts with its header.", 0, sphinx.AddressSize, nil, "MalformedSURB")
	for _, first := range []byte{0x00, 0x01, 0x7f, 0x80, 0xfe} {
		add(fmt.Sprintf("surb-first-byte-%02x", first), "The first hop of the SURB is not the address of a node.",
			0, 1, []byte{first}, "MalformedSURB")
	}
	v := newCase()
	v.SURB, v.Stage = v.Good, testvectors.StageSpent
	m.add("surb-twice", "A SURB is used a second time.", testvectors.Negative{Parse: &v}, "SingleUse")

	// A SURB that parses may still be one that no hop accepts.
	surb, _, err := m.params.NewSURB(m, hopsOf(m.path), []byte("alice"), sphinx.MessageID{})
	must(err)
	_, good, err := surb.Use(nil, []byte("hello"))
	must(err)
	m.alter("surb-header-flip", "One bit of the header in a SURB is flipped before it is used: its MAC fails.",
		good, 0, 50, 1, []byte{good[50] ^ 1}, testvectors.StageMAC, 0, "BitFlip")
	m.alter("surb-alpha-0", "α in a SURB is replaced by zeros before it is used.",
		good, 0, 0, 32, make([]byte, 32), testvectors.StageGroup, 0, "LowOrderAlpha")
	delta := m.params.HeaderSize() + 3
	changed, packet := change(good, delta, 1, []byte{good[delta] ^ 1})
	m.add("reply-flip-on-its-way", "One bit of a reply's δ is flipped on its way: no node can tell, and the client's key refuses it.",
		testvectors.Negative{Unwrap: &testvectors.NegativeUnwrap{
			Params: m.stated(), Nodes: m.nodes, Good: []testvectors.Hex{bytes.Clone(good)},
			Packets: []testvectors.NegativePacket{{Packet: packet, Change: changed, Hop: len(m.path) - 1}},
		}}, "BitFlip")
}
