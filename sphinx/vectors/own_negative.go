package vectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"sphinxmix.example/sphinx"
	"sphinxmix.example/testvectors"
)

// stages are the errors by the stage that returns them.
var stages = []struct {
	stage string
	err   error
}{
	{testvectors.StageSize, sphinx.ErrPacketSize},
	{testvectors.StageGroup, sphinx.ErrGroup},
	{testvectors.StageMAC, sphinx.ErrMAC},
	{testvectors.StageReplay, sphinx.ErrReplay},
	{testvectors.StageRouting, sphinx.ErrRouting},
	{testvectors.StagePayload, sphinx.ErrPayload},
	{testvectors.StageSURB, sphinx.ErrSURB},
	{testvectors.StageSpent, sphinx.ErrSpent},
}

// stageOf is the stage that err comes from, empty for none.
func stageOf(err error) string {
	if err == nil {
		return ""
	}
	for _, known := range stages {
		if errors.Is(err, known.err) {
			return known.stage
		}
	}
	return err.Error()
}

func sameStage(at string, got, want string) error {
	if got != want {
		return fmt.Errorf("%s: the project says %q, the vector %.40q", at, got, want)
	}
	return nil
}

func checkNegative(s *setting, rawCase json.RawMessage) error {
	var v testvectors.Negative
	if err := decode(rawCase, &v, true); err != nil {
		return err
	}
	if len(v.Flags) == 0 {
		return errors.New("flags: none")
	}
	for _, flag := range v.Flags {
		if _, ok := s.flags[flag]; !ok {
			return fmt.Errorf("flags: %.40q is not explained in the file", flag)
		}
	}
	var check func() error
	for _, part := range []struct {
		present bool
		check   func() error
	}{
		{v.Unwrap != nil, func() error { return s.checkUnwrap(v.Unwrap) }},
		{v.Reply != nil, func() error { return s.checkReply(v.Reply) }},
		{v.Parse != nil, func() error { return s.checkParse(v.Parse) }},
		{v.Build != nil, func() error { return s.checkBuild(v.Build) }},
	} {
		switch {
		case part.present && check != nil:
			return errors.New("more than one of unwrap, reply, parse, build")
		case part.present:
			check = part.check
		}
	}
	if check == nil {
		return errors.New("none of unwrap, reply, parse, build")
	}
	return check()
}

// apply reports where changed is not good with one change.
func apply(field string, change *testvectors.Change, good, changed []byte) error {
	switch end := change.Offset + len(change.From); {
	case change.Offset < 0 || change.Offset > len(good) || end > len(good):
		return fmt.Errorf("%s.change.offset: %d is outside", field, change.Offset)
	case bytes.Equal(change.From, change.To):
		return fmt.Errorf("%s.change: changes nothing", field)
	default:
		return first(
			same(field+".change.from", good[change.Offset:end], change.From),
			same(field, concat(good[:change.Offset], change.To, good[end:]), changed),
		)
	}
}

func (s *setting) checkUnwrap(v *testvectors.NegativeUnwrap) error {
	p, path, err := s.network(v.Params, v.Nodes)
	if err != nil {
		return err
	}
	if len(v.Packets) == 0 {
		return errors.New("packets: none")
	}
	if err := checkGood(p, path, v); err != nil {
		return err
	}
	for i := range v.Packets {
		if err := checkOrigin(p, path, v, i); err != nil {
			return err
		}
	}

	for _, batch := range []bool{false, true} {
		if err := unwrapAll(p, path, v.Packets, batch); err != nil {
			return err
		}
	}
	return nil
}

// unwrapAll gives packets to the first node of path, and what it relays to the nodes after it.
func unwrapAll(p sphinx.Params, path []node, wants []testvectors.NegativePacket, batch bool) (err error) {
	unwrappers := make([]*sphinx.Unwrapper, len(path))
	for i := range path {
		if unwrappers[i], err = sphinx.NewUnwrapper(p, path[i].key, make(sphinx.TagSet)); err != nil {
			return err
		}
	}
	packets := make([][]byte, len(wants))
	for i := range packets {
		packets[i] = bytes.Clone(wants[i].Packet)
	}
	layers, errs := make([]sphinx.Layer, len(packets)), make([]error, len(packets))
	if batch {
		unwrappers[0].UnwrapBatch(packets, layers, errs)
	}
	for i, want := range wants {
		at := fmt.Sprintf("packets[%d]", i)
		if !batch {
			layers[i], errs[i] = unwrappers[0].Unwrap(packets[i])
		}
		arrived, hop := want.Packet, 0
		for errs[i] == nil && layers[i].Route == sphinx.Relay && hop+1 < len(path) {
			if layers[i].Next != path[hop+1].hop.Address {
				return fmt.Errorf("%s: goes to %v, which is not the next node", at, layers[i].Next)
			}
			hop++
			arrived = bytes.Clone(packets[i])
			layers[i], errs[i] = unwrappers[hop].Unwrap(packets[i])
		}
		if err := sameStage(at+".stage", stageOf(errs[i]), want.Stage); err != nil {
			return err
		}
		if hop != want.Hop {
			return fmt.Errorf("%s.hop: ends at %d, the vector has %d", at, hop, want.Hop)
		}
		if err := untouched(p, arrived, packets[i], layers[i], errs[i]); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	return nil
}

// untouched reports where a refused packet was changed, or the layer tells something of it.
func untouched(p sphinx.Params, before, after []byte, layer sphinx.Layer, refused error) error {
	if refused == nil {
		return nil
	}
	if layer.Route != 0 || layer.Tag != (sphinx.Tag{}) || layer.Destination != nil || layer.Client != nil || layer.Payload != nil {
		return errors.New("the layer of a refused packet is not empty")
	}
	if errors.Is(refused, sphinx.ErrPayload) {
		before, after = before[:p.HeaderSize()], after[:p.HeaderSize()]
	}
	return same("a refused packet", after, append(testvectors.Hex{}, before...))
}

// checkGood requires every good packet to go through all nodes; where the case says what it was made for, through nodes
// that are so.
func checkGood(p sphinx.Params, path []node, v *testvectors.NegativeUnwrap) error {
	path = append([]node{}, path...)
	if made := v.MadeFor; made != nil {
		switch {
		case made.PrivateKey != nil && made.Params == nil && made.Schedule == nil:
			key, err := sphinx.NewPrivateKey(made.PrivateKey)
			if err != nil {
				return err
			}
			if err := same("made_for.private_key", key.Bytes(), made.PrivateKey); err != nil {
				return err
			}
			path[0].key = key
		case made.Params != nil && made.PrivateKey == nil && made.Schedule == nil:
			p.MaxHops, p.PayloadSize = made.Params.MaxHops, made.Params.PayloadSize
		case made.Schedule != nil && *made.Schedule == 0 && made.Params == nil && made.PrivateKey == nil:
			//lint:ignore SA1019 a packet of this key schedule must be refused
			p.Schedule = sphinx.InsecureReferenceSchedule
		default:
			return errors.New("made_for: must be one of private_key, params, schedule 0")
		}
	}
	for i, good := range v.Good {
		if _, _, err := walk(p, path, bytes.Clone(good)); err != nil {
			return fmt.Errorf("good[%d]: %w", i, err)
		}
	}
	return nil
}

// checkOrigin requires packet i to be a good one, with one change or none, or to decrypt to what was forged.
func checkOrigin(p sphinx.Params, path []node, v *testvectors.NegativeUnwrap, i int) error {
	packet, field := v.Packets[i], fmt.Sprintf("packets[%d]", i)
	if packet.Forged != nil {
		if packet.Change != nil || packet.Of != 0 || len(v.Good) != 0 || packet.Hop < 0 || packet.Hop >= len(path) {
			return fmt.Errorf("%s: forged, and changed or at no node", field)
		}
		if len(packet.Packet) != p.PacketSize() {
			return fmt.Errorf("%s.packet: %d bytes, must be %d", field, len(packet.Packet), p.PacketSize())
		}
		all := peel(p, path[:packet.Hop+1], packet.Packet)
		steps := all[len(all)-1]
		return first(
			same(field+".forged.header", steps.header, packet.Forged.Header),
			same(field+".forged.payload", steps.payload, packet.Forged.Payload),
		)
	}
	if packet.Of < 0 || packet.Of >= len(v.Good) {
		return fmt.Errorf("%s.of: %d, with %d good packets", field, packet.Of, len(v.Good))
	}
	good := v.Good[packet.Of]
	if packet.Change == nil {
		return same(field, good, packet.Packet)
	}
	return apply(field, packet.Change, good, packet.Packet)
}
