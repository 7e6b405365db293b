package vectors

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"sphinxmix.example/lioness"
	"sphinxmix.example/sphinx"
	"sphinxmix.example/sphinx/internal/x25519"
	"sphinxmix.example/testvectors"
)

// trip is one packet's way along the path of a case.
type trip struct {
	*setting
	params sphinx.Params
	path   []node
	random *bytes.Reader // what the case draws
}

// newTrip checks the inputs of a case. uses and sizes are the draws that its maker must make.
func (s *setting) newTrip(v testvectors.Inputs, uses []string, padding int) (*trip, error) {
	p, err := s.params(v.Params)
	if err != nil {
		return nil, err
	}
	path, err := nodes(p, v.Nodes)
	if err != nil {
		return nil, err
	}
	if len(v.Seed) != 32 {
		return nil, fmt.Errorf("seed: %d bytes, must be 32", len(v.Seed))
	}
	if len(v.Rand) != len(uses) {
		return nil, fmt.Errorf("rand: %d draws, must be %d", len(v.Rand), len(uses))
	}
	var drawn []byte
	for i, draw := range v.Rand {
		size := 32
		if uses[i] == "beta_padding" {
			size = 32*(p.MaxHops-len(path)) + padding
		}
		if draw.Use != uses[i] || draw.N != size || len(draw.Hex) != size {
			return nil, fmt.Errorf("rand[%d]: %d of %d bytes for %.20q, must be %d for %q", i, len(draw.Hex), draw.N, draw.Use, size, uses[i])
		}
		drawn = append(drawn, draw.Hex...)
	}
	if err := same("rand", keystream((*[32]byte)(v.Seed), len(drawn)), drawn); err != nil {
		return nil, err
	}
	return &trip{s, p, path, bytes.NewReader(drawn)}, nil
}

// drawnAll reports randomness that nobody has read. More than there is cannot be read.
func (t *trip) drawnAll() error {
	if t.random.Len() != 0 {
		return fmt.Errorf("rand: %d bytes were not read", t.random.Len())
	}
	return nil
}

func (s *setting) message(v testvectors.Message) ([]byte, error) {
	switch {
	case v.Text != nil && v.Key == nil:
		return v.Text, nil
	case !s.own || v.Text != nil || len(v.Key) != 32 || v.Length < 0 || v.Length > sphinx.MaxPayloadSize:
		return nil, errors.New("message: missing, or neither itself nor 32 bytes of key and a length")
	}
	return keystream((*[32]byte)(v.Key), v.Length), nil
}

// sameLarge compares a byte string for which its SHA-256 may stand in the project's own files.
func (s *setting) sameLarge(field string, got []byte, whole, hash testvectors.Hex) error {
	if s.own && whole == nil && hash != nil {
		sum := sha256.Sum256(got)
		return same(field+"_sha256", sum[:], hash)
	}
	return same(field, got, whole)
}

func (s *setting) samePacket(field string, got, want testvectors.Packet) error {
	return first(
		sameHeader(field, got.Header, want.Header),
		s.sameLarge(field+".delta", got.Delta, want.Delta, want.DeltaSHA256),
	)
}

func sameHeader(field string, got, want testvectors.Header) error {
	return first(
		same(field+".alpha", got.Alpha, want.Alpha),
		same(field+".beta", got.Beta, want.Beta),
		same(field+".gamma", got.Gamma, want.Gamma),
	)
}

func checkForward(s *setting, rawCase json.RawMessage) error {
	var v testvectors.Forward
	if err := decode(rawCase, &v, s.own); err != nil {
		return err
	}
	t, err := s.newTrip(v.Inputs, []string{"x", "beta_padding"}, 31)
	if err != nil {
		return err
	}
	message, err := s.message(v.Message)
	if err != nil {
		return err
	}
	if longest := t.params.MaxMessage(len(v.Destination)); v.Beyond && len(message) != 0 && len(message) != longest {
		return errors.New("beyond_reference: the reference can carry this message")
	}
	packet, err := t.params.Wrap(nil, t.random, hopsOf(t.path), v.Destination, message)
	if err != nil {
		return err
	}
	if err := first(t.drawnAll(), s.samePacket("packet", split(t.params, packet), v.Packet)); err != nil {
		return err
	}
	if sum := sha256.Sum256(packet); len(packet) != v.RawLen {
		return fmt.Errorf("raw_len: computed %d, the vector has %d", len(packet), v.RawLen)
	} else if err := same("raw_sha256", sum[:], v.RawSHA256); err != nil {
		return err
	}
	filler, _, last, err := t.follow(packet, v.Hops)
	if err != nil {
		return err
	}
	if last.Route != sphinx.Exit {
		return errors.New("hops: the last is not an exit")
	}
	if s.own {
		if err := same("filler", filler, v.Filler); err != nil {
			return err
		}
	}
	return first(same("destination", last.Destination, v.Destination), same("message", last.Message, message))
}

func checkSURB(s *setting, rawCase json.RawMessage) error {
	var v testvectors.SURB
	if err := decode(rawCase, &v, s.own); err != nil {
		return err
	}
	t, err := s.newTrip(v.Inputs, []string{"x", "beta_padding", "ktilde"}, 31-len(v.ClientID))
	if err != nil {
		return err
	}
	message, err := s.message(v.Message)
	if err != nil {
		return err
	}
	if v.Beyond && len(message) != 0 && len(message) != t.params.MaxReply() {
		return errors.New("beyond_reference: the reference can carry this message")
	}
	if len(v.MessageID) != sphinx.MessageIDSize {
		return fmt.Errorf("message_id: %d bytes, must be %d", len(v.MessageID), sphinx.MessageIDSize)
	}
	surb, key, err := t.params.NewSURB(t.random, hopsOf(t.path), v.ClientID, sphinx.MessageID(v.MessageID))
	if err != nil {
		return err
	}
	if err := t.drawnAll(); err != nil {
		return err
	}
	if err := same("dest_encoded", append([]byte{byte(len(v.ClientID))}, v.ClientID...), v.DestEncoded); err != nil {
		return err
	}
	packet, err := t.reply(surb, v, message)
	if err != nil {
		return err
	}
	filler, keys, last, err := t.follow(packet, v.Hops)
	if err != nil {
		return err
	}
	if last.Route != sphinx.Reply {
		return errors.New("hops: the last is not a client's")
	}
	if err := first(same("client_id", last.Client, v.ClientID), same("message_id", last.MessageID[:], v.MessageID)); err != nil {
		return err
	}
	if err := t.checkToken(v, filler, keys); err != nil {
		return err
	}

	decrypted, err := key.Open(last.Payload)
	if err != nil {
		return fmt.Errorf("decrypted: %w", err)
	}
	if err := first(s.sameLarge("decrypted", decrypted, v.Decrypted, v.DecryptedSHA256), same("message", decrypted, message)); err != nil {
		return err
	}
	if _, err := key.Open(make([]byte, t.params.PayloadSize)); !errors.Is(err, sphinx.ErrSpent) {
		return fmt.Errorf("the reply key opens a second reply: %v", err)
	}
	return nil
}

// reply checks the SURB and returns the packet that it makes of message.
func (t *trip) reply(surb *sphinx.SURB, v testvectors.SURB, message []byte) ([]byte, error) {
	encoded, err := surb.AppendBinary(nil)
	if err != nil {
		return nil, err
	}
	header := encoded[sphinx.AddressSize : sphinx.AddressSize+t.params.HeaderSize()]
	ktilde := encoded[len(encoded)-32:]
	if err := first(
		same("reply_block.first_hop", encoded[:sphinx.AddressSize], v.ReplyBlock.FirstHop),
		sameHeader("reply_block.header", splitHeader(t.params, header), v.ReplyBlock.Header),
		same("reply_block.ktilde", ktilde, v.ReplyBlock.Ktilde),
	); err != nil {
		return nil, err
	}
	if t.own {
		if err := same("encoded", encoded, v.Encoded); err != nil {
			return nil, err
		}
	}
	parsed, err := t.params.ParseSURB(concat(v.ReplyBlock.FirstHop, rawHeader(v.ReplyBlock.Header), v.ReplyBlock.Ktilde))
	if err != nil {
		return nil, err
	}
	if _, err := t.use(parsed, v, message); err != nil {
		return nil, err
	}
	return t.use(surb, v, message)
}

// use uses surb, which must work once.
func (t *trip) use(surb *sphinx.SURB, v testvectors.SURB, message []byte) ([]byte, error) {
	hop, packet, err := surb.Use(nil, message)
	if err != nil {
		return nil, err
	}
	if _, _, err := surb.Use(nil, message); !errors.Is(err, sphinx.ErrSpent) {
		return nil, fmt.Errorf("a SURB is used a second time: %v", err)
	}
	return packet, first(
		same("nodes[0].id", hop[:], v.Nodes[0].ID),
		t.samePacket("packet", split(t.params, packet), v.Packet),
	)
}

// checkToken checks what the maker of a SURB keeps against the LIONESS keys that the hops have used.
func (t *trip) checkToken(v testvectors.SURB, filler []byte, keys [][]byte) error {
	if err := same("token.message_id", v.MessageID, v.Token.MessageID); err != nil {
		return err
	}
	if len(v.Token.Keys) != 1+len(keys) {
		return fmt.Errorf("token.keys: %d keys, must be %d", len(v.Token.Keys), 1+len(keys))
	}
	if err := same("token.keys[0]", v.ReplyBlock.Ktilde, v.Token.Keys[0]); err != nil {
		return err
	}
	for i, key := range keys {
		if err := same(fmt.Sprintf("token.keys[%d]", i+1), key, v.Token.Keys[i+1]); err != nil {
			return err
		}
	}
	if !t.own {
		return nil
	}
	var key [lioness.KeySize]byte
	ktilde := x25519.Key(v.ReplyBlock.Ktilde)
	newSchedule(t.params).ReplyKey(&key, &ktilde)
	return first(same("reply_key", key[:], v.ReplyKey), same("filler", filler, v.Filler))
}
