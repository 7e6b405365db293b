package vectors

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"sphinxmix.example/sphinx"
	"sphinxmix.example/testvectors"
)

func (m *negatives) replies() {
	random := func(clientID []byte) []byte { return m.bytes(32 + 31 - len(clientID) + 32) }
	clientID, id := m.bytes(5), m.bytes(sphinx.MessageIDSize)
	newCase := func() (v testvectors.NegativeReply, encoded []byte) {
		v = testvectors.NegativeReply{
			Params: m.stated(), Nodes: m.nodes, ClientID: clientID, MessageID: id,
			Random: random(clientID), Message: m.bytes(20), Stage: testvectors.StageReply,
		}
		surb, _, err := newSURB(m.params, m.path, v.ClientID, v.MessageID, v.Random)
		must(err)
		encoded, err = surb.AppendBinary(nil)
		must(err)
		_, packet, err := surb.Use(nil, v.Message)
		must(err)
		_, last, err := walk(m.params, m.path, packet)
		must(err)
		v.SURB, v.Good = encoded, bytes.Clone(last.Payload)
		return v, encoded
	}
	add := func(name, comment string, v testvectors.NegativeReply, flag string) {
		m.add(name, comment, testvectors.Negative{Reply: &v}, flag)
	}

	size := m.params.PayloadSize
	for _, at := range []int{0, 15, 16, 32, size - 1} {
		v, _ := newCase()
		v.Change, v.Payload = change(v.Good, at, 1, []byte{v.Good[at] ^ 0x10})
		add(fmt.Sprintf("reply-flip-%d", at), "One bit of the reply is flipped: all of it is noise.", v, "TamperedReply")
	}
	v, _ := newCase()
	v.Change, v.Payload = change(v.Good, size-1, 1, nil)
	v.Stage = testvectors.StageSize
	add("reply-truncated", "The last byte of the reply is missing.", v, "WrongSize")
	v, _ = newCase()
	v.Change, v.Payload = change(v.Good, size, 0, []byte{0})
	v.Stage = testvectors.StageSize
	add("reply-extended", "A byte follows the reply.", v, "WrongSize")
	v, _ = newCase()
	v.Change, v.Payload = change(v.Good, 0, size, nil)
	v.Stage = testvectors.StageSize
	add("reply-empty", "There is no reply.", v, "WrongSize")

	v, _ = newCase()
	v.Other = random(clientID)
	other, _, err := newSURB(m.params, m.path, clientID, id, v.Other)
	must(err)
	v.OtherSURB, err = other.AppendBinary(nil)
	must(err)
	_, packet, err := other.Use(nil, v.Message)
	must(err)
	_, last, err := walk(m.params, m.path, packet)
	must(err)
	v.Payload = bytes.Clone(last.Payload)
	add("reply-wrong-key", "The reply came through another SURB for the same client id and message id.", v, "WrongReplyKey")

	v, _ = newCase()
	v.Payload, v.Stage = v.Good, testvectors.StageSpent
	add("reply-twice", "A key opens one reply: the same again is refused.", v, "SingleUse")

	forge := func(name, comment string, block []byte, flag string) {
		v, encoded := newCase()
		v.Forged, v.Payload = block, forgeReply(replyKeys(m.params, m.path, encoded), block)
		add(name, comment, v, flag)
	}
	for _, at := range []int{0, 7, 15} {
		block := make([]byte, size)
		block[at], block[size-2] = 0x80, byte(size-kappa)
		forge(fmt.Sprintf("reply-zeros-%d", at), "The reply does not start with 16 zero bytes.", block, "PayloadZeros")
	}
	for _, filled := range []int{0, 1, size - kappa + 1, size, size + 1, 0xffff} {
		block := make([]byte, size)
		binary.LittleEndian.PutUint16(block[size-2:], uint16(filled))
		forge(fmt.Sprintf("reply-padding-%d", filled),
			"The padding's count does not hold the count itself, or takes more than there is behind the zeros.", block, "PaddingOffset")
	}
}
