package vectors

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"sphinxmix.example/lioness"
	"sphinxmix.example/sphinx"
	"sphinxmix.example/testvectors"
)

// checkForward makes the case again of its inputs: the same must come out.
func checkForward(s *setting, rawCase json.RawMessage) error {
	var v testvectors.Forward
	if err := decode(rawCase, &v, s.own); err != nil {
		return err
	}
	made, err := s.forward(v)
	if err != nil {
		return err
	}
	return compare(rawCase, made, s.own)
}

func checkSURB(s *setting, rawCase json.RawMessage) error {
	var v testvectors.SURB
	if err := decode(rawCase, &v, s.own); err != nil {
		return err
	}
	made, err := s.surb(v)
	if err != nil {
		return err
	}
	return compare(rawCase, made, s.own)
}

// forward makes a case of the inputs that v has. It reads nothing else of v.
func (s *setting) forward(v testvectors.Forward) (made testvectors.Forward, err error) {
	p, path, drawn, err := s.prepare(v.Inputs, 31, "x", "beta_padding")
	if err != nil {
		return made, err
	}
	message, err := s.message(v.Message, v.Beyond, p.MaxMessage(len(v.Destination)))
	if err != nil {
		return made, err
	}
	random := bytes.NewReader(drawn)
	packet, err := p.Wrap(nil, random, hopsOf(path), v.Destination, message)
	if err := first(err, allRead(random)); err != nil {
		return made, err
	}
	sum := sha256.Sum256(packet)
	made = testvectors.Forward{
		Inputs: v.Inputs, Destination: v.Destination, Message: v.Message, Beyond: v.Beyond,
		Packet: s.packet(p, packet), RawSHA256: sum[:], RawLen: len(packet),
	}
	var last sphinx.Layer
	if made.Hops, made.Filler, _, last, err = s.travel(p, path, packet); err != nil {
		return made, err
	}
	return made, first(same("destination", last.Destination, v.Destination), same("message", last.Message, message))
}

// surb makes a case of the inputs that v has. It reads nothing else of v.
func (s *setting) surb(v testvectors.SURB) (made testvectors.SURB, err error) {
	p, path, drawn, err := s.prepare(v.Inputs, 31-len(v.ClientID), "x", "beta_padding", "ktilde")
	if err != nil {
		return made, err
	}
	message, err := s.message(v.Message, v.Beyond, p.MaxReply())
	if err != nil {
		return made, err
	}
	surb, key, err := newSURB(p, path, v.ClientID, v.MessageID, drawn)
	if err != nil {
		return made, err
	}
	encoded, packet, err := use(surb, path, message)
	if err != nil {
		return made, err
	}
	parsed, err := p.ParseSURB(encoded)
	if err != nil {
		return made, err
	}
	again, through, err := use(parsed, path, message)
	if err := first(err, same("a parsed SURB", again, encoded), same("its packet", through, packet)); err != nil {
		return made, err
	}

	ktilde := encoded[len(encoded)-32:]
	made = testvectors.SURB{
		Inputs: v.Inputs, MessageID: v.MessageID, ClientID: v.ClientID, Message: v.Message, Beyond: v.Beyond,
		DestEncoded: append([]byte{byte(len(v.ClientID))}, v.ClientID...), Packet: s.packet(p, packet),
		ReplyBlock: testvectors.ReplyBlock{
			FirstHop: encoded[:sphinx.AddressSize],
			Header:   splitHeader(p, encoded[sphinx.AddressSize:len(encoded)-32]),
			Ktilde:   ktilde,
		},
	}
	if s.own {
		var reply [lioness.KeySize]byte
		newSchedule(p).ReplyKey(&reply, (*[32]byte)(ktilde))
		made.Encoded, made.ReplyKey = encoded, reply[:]
	}
	hops, filler, keys, last, err := s.travel(p, path, packet)
	if err != nil {
		return made, err
	}
	made.Hops, made.Filler = hops, filler
	made.Token = testvectors.Token{MessageID: v.MessageID, Keys: append([]testvectors.Hex{ktilde}, keys...)}

	opened, err := key.Open(bytes.Clone(last.Payload))
	if err != nil {
		return made, fmt.Errorf("decrypted: %w", err)
	}
	made.Decrypted, made.DecryptedSHA256 = s.large(opened)
	if _, err := key.Open(last.Payload); !errors.Is(err, sphinx.ErrSpent) {
		return made, fmt.Errorf("the reply key opens a second reply: %v", err)
	}
	return made, first(
		same("client_id", last.Client, v.ClientID),
		same("message_id", last.MessageID[:], v.MessageID),
		same("message", opened, message),
	)
}

// prepare checks the inputs of a case and returns what is drawn. uses are the draws that its maker must make; the random padding of β has the size
// of the unused hops and padding bytes more.
func (s *setting) prepare(v testvectors.Inputs, padding int, uses ...string) (p sphinx.Params, path []node, drawn []byte, err error) {
	p, path, err = s.network(v.Params, v.Nodes)
	if err := first(err, fixed("seed", v.Seed, 32)); err != nil {
		return p, nil, nil, err
	}
	if len(v.Rand) != len(uses) {
		return p, nil, nil, fmt.Errorf("rand: %d draws, must be %d", len(v.Rand), len(uses))
	}
	for i, draw := range v.Rand {
		size := 32
		if uses[i] == "beta_padding" {
			size = 32*(p.MaxHops-len(path)) + padding
		}
		if draw.Use != uses[i] || draw.N != size || len(draw.Hex) != size {
			return p, nil, nil, fmt.Errorf("rand[%d]: %d of %d bytes for %.20q, must be %d for %q", i, len(draw.Hex), draw.N, draw.Use, size, uses[i])
		}
		drawn = append(drawn, draw.Hex...)
	}
	return p, path, drawn, same("rand", keystream((*[32]byte)(v.Seed), len(drawn)), drawn)
}

// message returns the message of a case. One that is beyond the reference is empty or the longest there is.
func (s *setting) message(v testvectors.Message, beyond bool, longest int) (text []byte, err error) {
	switch {
	case v.Text != nil && v.Key == nil:
		text = v.Text
	case !s.own || v.Text != nil || len(v.Key) != 32 || v.Length < 0 || v.Length > sphinx.MaxPayloadSize:
		return nil, errors.New("message: missing, or neither itself nor 32 bytes of key and a length")
	default:
		text = keystream((*[32]byte)(v.Key), v.Length)
	}
	if beyond && len(text) != 0 && len(text) != longest {
		return nil, errors.New("beyond_reference: the reference can carry this message")
	}
	return text, nil
}

// use uses surb, which must work once, and returns its encoding and the packet.
func use(surb *sphinx.SURB, path []node, message []byte) (encoded, packet []byte, err error) {
	if encoded, err = surb.AppendBinary(nil); err != nil {
		return nil, nil, err
	}
	hop, packet, err := surb.Use(nil, message)
	if err != nil {
		return nil, nil, err
	}
	if _, _, err := surb.Use(nil, message); !errors.Is(err, sphinx.ErrSpent) {
		return nil, nil, fmt.Errorf("a SURB is used a second time: %v", err)
	}
	return encoded, packet, same("the first hop of a SURB", hop[:], path[0].hop.Address[:])
}

// travel opens packet, which it changes, at every node of path. It returns what each computes and finds, the filler φ of
// the header, the LIONESS key of each hop, and what the last one found.
func (s *setting) travel(p sphinx.Params, path []node, packet []byte) (
	hops []testvectors.Hop, filler testvectors.Hex, keys []testvectors.Hex, last sphinx.Layer, err error,
) {
	stops, last, err := walk(p, path, packet)
	if err != nil {
		return nil, nil, nil, last, err
	}
	for i, at := range stops {
		steps, address := open(p, path[i].key, split(p, at.arrived)), path[i].hop.Address
		hop := testvectors.Hop{
			Hop: i, NodeID: address[:], S: steps.s[:], Tau: steps.keys.Tag()[:], BlindingFactor: steps.keys.Blinding()[:],
		}
		keys = append(keys, steps.keys.Payload()[:])
		if s.own {
			hop.PRK, hop.Rho, hop.Mu, hop.Pi = steps.prk[:], steps.keys.Stream()[:], steps.mu, steps.keys.Payload()[:]
		}
		switch at.found.Route {
		case sphinx.Relay:
			next := s.packet(p, stops[i+1].arrived)
			hop.Result, hop.NextHop, hop.Packet = testvectors.ResultNextHop, at.found.Next[:], &next
			filler = growFiller(filler, p, &steps.keys)
		case sphinx.Exit:
			hop.Result, hop.Destination = testvectors.ResultExit, last.Destination
			hop.Message, hop.MessageSHA256 = s.large(last.Message)
		case sphinx.Reply:
			hop.Result, hop.ClientID, hop.MessageID = testvectors.ResultClient, last.Client, last.MessageID[:]
			hop.Delta, hop.DeltaSHA256 = s.large(last.Payload)
		}
		if s.own && i == len(path)-1 {
			hop.Plain = steps.header
		}
		hops = append(hops, hop)

		field := fmt.Sprintf("hops[%d]", i)
		if _, err := at.unwrapper.Unwrap(at.arrived); !errors.Is(err, sphinx.ErrReplay) {
			return nil, nil, nil, last, fmt.Errorf("%s: opens a second time: %v", field, err)
		}
		if err := same(field+".tau", at.found.Tag[:], hop.Tau); err != nil {
			return nil, nil, nil, last, err
		}
	}
	if s.own {
		return hops, append(testvectors.Hex{}, filler...), keys, last, nil
	}
	return hops, nil, keys, last, nil
}

// largeDelta is the size of the payloads from which on the project's own vectors carry a hash in place of δ.
const largeDelta = 2048

// large returns value itself, or its hash where it is large and the file is the project's own.
func (s *setting) large(value []byte) (whole, hash testvectors.Hex) {
	if s.own && len(value) >= largeDelta {
		sum := sha256.Sum256(value)
		return nil, sum[:]
	}
	return append(testvectors.Hex{}, value...), nil
}

func (s *setting) packet(p sphinx.Params, packet []byte) testvectors.Packet {
	v := split(p, bytes.Clone(packet))
	v.Delta, v.DeltaSHA256 = s.large(v.Delta)
	return v
}
