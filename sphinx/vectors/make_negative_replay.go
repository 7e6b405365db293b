package vectors

import "sphinxmix.example/testvectors"

// delivery is one packet of a replay case: which good one it is, and the change to it.
type delivery struct {
	of        int
	offset, n int // of the bytes that to replaces; n is 0 for no change
	to        []byte
	stage     string
}

func (m *negatives) replays() {
	const (
		accepted = ""
		replay   = testvectors.StageReplay
		mac      = testvectors.StageMAC
	)
	header := m.params.HeaderSize()
	first, second, third := m.packet(nil), m.packet(nil), m.packet(nil)

	add := func(name, comment string, hop int, deliveries []delivery, flags ...string) {
		v := &testvectors.NegativeUnwrap{Params: m.stated(), Nodes: m.nodes[hop:]}
		for _, d := range deliveries {
			for len(v.Good) <= d.of {
				v.Good = append(v.Good, [][][]byte{first, second, third}[len(v.Good)][hop])
			}
			packet := testvectors.NegativePacket{Packet: v.Good[d.of], Of: d.of, Stage: d.stage}
			if d.n > 0 {
				packet.Change, packet.Packet = change(v.Good[d.of], d.offset, d.n, d.to)
			}
			if d.stage == accepted {
				packet.Hop = len(v.Nodes) - 1
			}
			v.Packets = append(v.Packets, packet)
		}
		m.add(name, comment, testvectors.Negative{Unwrap: v}, flags...)
	}

	exit := len(m.path) - 1
	flip := func(at int) []byte { return []byte{first[exit][at] ^ 1} }
	add("twice", "The second copy is a replay.", exit,
		[]delivery{{stage: accepted}, {stage: replay}}, "Replay")
	add("twice-at-a-relay", "The second copy is a replay, and does not reach the next node.", 0,
		[]delivery{{stage: accepted}, {stage: replay}}, "Replay")
	add("three-times", "So is the third.", exit,
		[]delivery{{stage: accepted}, {stage: replay}, {stage: replay}}, "Replay")
	add("interleaved", "Copies are replays, whatever lies between them and the original; other packets are none.", exit,
		[]delivery{{of: 0}, {of: 1}, {of: 0, stage: replay}, {of: 2}, {of: 1, stage: replay}, {of: 0, stage: replay}}, "Replay")
	add("payload-changed", "A replay is refused by its header, before its payload is looked at.", exit,
		[]delivery{{stage: accepted}, {offset: header + 7, n: 1, to: flip(header + 7), stage: replay}}, "Replay")
	add("payload-corrupt-first", "A header whose payload was spoiled is used up: the original is a replay of it.", exit,
		[]delivery{{offset: header + 7, n: 1, to: flip(header + 7), stage: testvectors.StagePayload}, {stage: replay}}, "Replay")
	add("bad-gamma-first", "A copy that fails authentication leaves no tag: the original is accepted after it.", exit,
		[]delivery{{offset: header - 1, n: 1, to: flip(header - 1), stage: mac}, {stage: accepted}, {stage: replay}}, "ReplayPoisoning")
	add("bad-beta-first", "A copy that fails authentication leaves no tag: the original is accepted after it.", exit,
		[]delivery{{offset: 40, n: 1, to: flip(40), stage: mac}, {stage: accepted}}, "ReplayPoisoning")
	add("bad-gamma-after", "A copy that fails authentication is no replay either: γ is looked at first.", exit,
		[]delivery{{stage: accepted}, {offset: header - 1, n: 1, to: flip(header - 1), stage: mac}, {stage: replay}}, "ReplayPoisoning")
	add("alpha-bit255-first", "The copy with bit 255 of α flipped has the same s; it fails authentication and leaves no tag.", exit,
		[]delivery{{n: 32, to: flipTop(first[exit][:32]), stage: mac}, {stage: accepted}}, "ReplayPoisoning", "EquivalentAlpha")
	add("alpha-bit255-after", "The copy with bit 255 of α flipped has the same s; it must not pass with a fresh tag.", exit,
		[]delivery{{stage: accepted}, {n: 32, to: flipTop(first[exit][:32]), stage: mac}}, "Replay", "EquivalentAlpha")
	add("alpha-torsion-after", "The copy with a point of order 8 added to α has the same s; it must not pass with a fresh tag.", exit,
		[]delivery{{stage: accepted}, {n: 32, to: addPoint(first[exit][:32], torsionPoints()[0]), stage: mac}}, "Replay", "TorsionAlpha")
	add("truncated-first", "What has the wrong size is no packet and leaves no tag.", exit,
		[]delivery{{offset: len(first[exit]) - 1, n: 1, stage: testvectors.StageSize}, {stage: accepted}}, "ReplayPoisoning", "WrongSize")
	add("low-order-among-others", "A packet with α of low order leaves those beside it alone.", exit,
		[]delivery{{of: 0}, {n: 32, to: make([]byte, 32), stage: testvectors.StageGroup}, {of: 1}}, "LowOrderAlpha")
}
