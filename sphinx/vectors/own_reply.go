package vectors

import (
	"bytes"
	"errors"
	"fmt"

	"sphinxmix.example/sphinx"
	"sphinxmix.example/testvectors"
)

// checkReply opens payload, which is to fail, and then the good one, which is to open unless it has already.
func (s *setting) checkReply(v *testvectors.NegativeReply) error {
	p, path, err := s.network(v.Params, v.Nodes)
	if err != nil {
		return err
	}
	surb, key, err := newSURB(p, path, v.ClientID, v.MessageID, v.Random)
	if err != nil {
		return err
	}
	encoded, err := surb.AppendBinary(nil)
	if err != nil {
		return err
	}
	if err := first(same("surb", encoded, v.SURB), s.checkReplyOrigin(v, p, path, encoded)); err != nil {
		return err
	}

	openGood := func() error {
		message, err := key.Open(bytes.Clone(v.Good))
		if err != nil {
			return fmt.Errorf("good: %w", err)
		}
		return same("message", message, v.Message)
	}
	if v.Stage == testvectors.StageSpent {
		if err := openGood(); err != nil {
			return err
		}
	}
	_, err = key.Open(bytes.Clone(v.Payload))
	stage := stageOf(err)
	if stage == testvectors.StagePayload {
		stage = testvectors.StageReply
	}
	if err := sameStage("stage", stage, v.Stage); err != nil {
		return err
	}
	if v.Stage == testvectors.StageSpent {
		return nil
	}
	return openGood()
}

// checkReplyOrigin requires payload to be the good one with one change, or to decrypt to what was forged, or to be the
// reply through another SURB, or else the good one itself.
func (s *setting) checkReplyOrigin(v *testvectors.NegativeReply, p sphinx.Params, path []node, encoded []byte) error {
	switch {
	case v.Change != nil && v.Forged == nil && v.Other == nil && v.OtherSURB == nil:
		return apply("payload", v.Change, v.Good, v.Payload)
	case v.Forged != nil && v.Change == nil && v.Other == nil && v.OtherSURB == nil:
		if err := fixed("payload", v.Payload, p.PayloadSize); err != nil {
			return err
		}
		return same("forged", openReply(replyKeys(p, path, encoded), v.Payload), v.Forged)
	case v.Other != nil && v.Change == nil && v.Forged == nil:
		surb, other, err := newSURB(p, path, v.ClientID, v.MessageID, v.Other)
		if err != nil {
			return fmt.Errorf("other_random: %w", err)
		}
		encoded, err := surb.AppendBinary(nil)
		if err := first(err, same("other_surb", encoded, v.OtherSURB)); err != nil {
			return err
		}
		message, err := other.Open(bytes.Clone(v.Payload))
		if err != nil {
			return fmt.Errorf("other_random: %w", err)
		}
		return same("message", message, v.Message)
	case v.Change == nil && v.Forged == nil && v.Other == nil && v.OtherSURB == nil:
		return same("payload", v.Good, v.Payload)
	}
	return errors.New("more than one of change, forged, other_random")
}

// checkParse parses a SURB that is none, or uses one twice.
func (s *setting) checkParse(v *testvectors.NegativeParse) error {
	p := s.params(v.Params)
	good, err := p.ParseSURB(v.Good)
	if err != nil {
		return fmt.Errorf("good: %w", err)
	}
	hop, packet, err := good.Use(nil, v.Message)
	if err != nil {
		return fmt.Errorf("good: %w", err)
	}
	if err := first(same("packet", packet, v.Packet), same("good", hop[:], v.Good[:sphinx.AddressSize])); err != nil {
		return err
	}
	if v.Change == nil {
		_, _, err := good.Use(nil, v.Message)
		return first(same("surb", v.Good, v.SURB), sameStage("stage", stageOf(err), v.Stage))
	}
	_, err = p.ParseSURB(v.SURB)
	return first(apply("surb", v.Change, v.Good, v.SURB), sameStage("stage", stageOf(err), v.Stage))
}
