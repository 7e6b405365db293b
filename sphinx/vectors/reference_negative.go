package vectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"sphinxmix.example/lioness"
	"sphinxmix.example/sphinx"
	"sphinxmix.example/testvectors"
)

// referenceNegative is a case of the reference's negative.json, in one of three forms: good and bad, a single packet,
// or a sequence for one node.
type referenceNegative struct {
	Name   string             `json:"name"`
	Params testvectors.Params `json:"params"`
	Nodes  []testvectors.Node `json:"nodes"`

	MutateHop *int                `json:"mutate_hop,omitzero"`
	Good      *testvectors.Packet `json:"good,omitzero"`
	Bad       *testvectors.Packet `json:"bad,omitzero"`
	Packet    *testvectors.Packet `json:"packet,omitzero"`
	TokenKeys []testvectors.Hex   `json:"token_keys,omitzero"`

	Error    *string         `json:"error,omitzero"`
	ErrorHop json.RawMessage `json:"error_hop,omitzero"`
	Exit     *struct {
		Destination testvectors.Hex `json:"destination"`
		Message     testvectors.Hex `json:"message"`
	} `json:"exit,omitzero"`
	Client *struct {
		ClientID  testvectors.Hex `json:"client_id"`
		MessageID testvectors.Hex `json:"message_id"`
		Delta     testvectors.Hex `json:"delta"`
	} `json:"client,omitzero"`

	Sequence []struct {
		Step   string             `json:"step"`
		Packet testvectors.Packet `json:"packet"`
		Error  *string            `json:"error,omitzero"`
	} `json:"sequence,omitzero"`
}

// packets are all packets of the case.
func (v *referenceNegative) packets() (all []*testvectors.Packet) {
	for _, packet := range []*testvectors.Packet{v.Good, v.Bad, v.Packet} {
		if packet != nil {
			all = append(all, packet)
		}
	}
	for i := range v.Sequence {
		all = append(all, &v.Sequence[i].Packet)
	}
	return all
}

func checkReferenceNegative(s *setting, rawCase json.RawMessage) error {
	var v referenceNegative
	if err := decode(rawCase, &v, false); err != nil {
		return err
	}
	w, err := newJourney(s, &v)
	if err != nil {
		return err
	}
	switch {
	case v.Sequence != nil:
		return w.checkSequence()
	case len(v.TokenKeys) > 0:
		if len(v.TokenKeys) != 1+len(w.path) {
			return fmt.Errorf("token_keys: %d keys, must be %d", len(v.TokenKeys), 1+len(w.path))
		}
		for i, key := range v.TokenKeys {
			if err := fixed(fmt.Sprintf("token_keys[%d]", i), key, tokenKeySize(i)); err != nil {
				return err
			}
		}
	}
	switch {
	case v.Bad != nil && v.Good != nil && v.MutateHop != nil:
		return w.checkAltered()
	case v.Good != nil && v.Bad == nil && v.MutateHop == nil: // forged from the start
		return w.checkStated(w.walk(*v.Good, 0))
	case v.Packet != nil && v.Good == nil && v.Bad == nil:
		return w.checkStated(w.walk(*v.Packet, 0))
	}
	return errors.New("neither good and bad with mutate_hop, nor good alone, nor packet, nor sequence")
}

func tokenKeySize(i int) int {
	if i == 0 {
		return 32 // k̃
	}
	return lioness.KeySize
}

// journey takes packets along the path of a negative case.
type journey struct {
	*setting
	*referenceNegative
	params sphinx.Params
	path   []node
	other  *sphinx.PrivateKey // that nodes[mutate_hop] uses in place of its own
}

// newJourney checks the nodes of a case. One of them, the one at mutate_hop, may use another private key than its own.
func newJourney(s *setting, v *referenceNegative) (*journey, error) {
	for _, packet := range v.packets() {
		if packet.Delta == nil {
			return nil, errors.New("a packet without delta")
		}
	}
	w := &journey{setting: s, referenceNegative: v}
	list := append([]testvectors.Node(nil), v.Nodes...)
	if v.MutateHop != nil {
		hop := *v.MutateHop
		if hop < 0 || hop >= len(list) {
			return nil, fmt.Errorf("mutate_hop: %d, with %d nodes", hop, len(list))
		}
		own, err := sphinx.NewPrivateKey(list[hop].PrivateRaw)
		if err != nil {
			return nil, fmt.Errorf("nodes[%d].private_raw: %w", hop, err)
		}
		if !bytes.Equal(own.Bytes(), list[hop].PrivateKey) {
			if w.other, err = sphinx.NewPrivateKey(list[hop].PrivateKey); err != nil {
				return nil, fmt.Errorf("nodes[%d].private_key: %w", hop, err)
			}
			list[hop].PrivateKey = own.Bytes()
		}
	}
	var err error
	w.params, w.path, err = s.network(v.Params, list)
	return w, err
}

// outcome is what becomes of a packet on its way: at which hop it ends, and how.
type outcome struct {
	hop int
	verdict
	err    error        // what the project returns
	layer  sphinx.Layer // what the project finds
	client bool         // it was refused at the client, after its last hop
}

// walk opens packet from node hop on, each with an empty replay set, until it ends.
func (w *journey) walk(packet testvectors.Packet, hop int) (o outcome, err error) {
	for ; hop < len(w.path); hop++ {
		key := w.path[hop].key
		if w.other != nil && hop == *w.MutateHop {
			key = w.other
		}
		o.hop = hop
		o.verdict = referenceUnwrap(w.params, key, make(sphinx.TagSet), packet)
		unwrapper, err := sphinx.NewUnwrapper(w.params, key, make(sphinx.TagSet))
		if err != nil {
			return o, err
		}
		if err := o.unwrap(unwrapper, packet); err != nil {
			return o, err
		}
		if o.code.name != "mix" || o.raised != "" {
			return o, nil
		}
		if hop+1 == len(w.path) || !bytes.Equal(o.code.value, w.path[hop+1].hop.Address[:]) {
			return o, fmt.Errorf("hop %d: goes to %x, which is not the next node", hop, o.code.value)
		}
		packet = o.next
	}
	return o, nil
}

// unwrap gives packet to the library and compares what comes of it with the verdict.
func (o *outcome) unwrap(unwrapper *sphinx.Unwrapper, packet testvectors.Packet) error {
	whole := raw(packet)
	o.layer, o.err = unwrapper.Unwrap(whole)
	return o.compare(whole)
}

// compare compares what the library returned, and the packet that it changed, with the verdict.
func (o *outcome) compare(changed []byte) error {
	if !errors.Is(o.err, o.want) || o.want == nil && o.err != nil {
		return fmt.Errorf("hop %d: the project says %v, must say %v", o.hop, o.err, o.want)
	}
	if o.err != nil {
		return nil
	}
	switch o.code.name {
	case "mix":
		return first(
			route(o.layer, sphinx.Relay),
			same("next hop", o.layer.Next[:], o.code.value),
			same("packet", changed, raw(o.next)),
		)
	case "process":
		return first(
			route(o.layer, sphinx.Exit),
			same("destination", o.layer.Destination, append(testvectors.Hex{}, o.destination...)),
			same("message", o.layer.Message, append(testvectors.Hex{}, o.projectMessage...)),
		)
	default:
		return first(
			route(o.layer, sphinx.Reply),
			same("client id", o.layer.Client, append(testvectors.Hex{}, o.code.value...)),
			same("message id", o.layer.MessageID[:], append(testvectors.Hex{}, o.messageID...)),
			same("payload", o.layer.Payload, append(testvectors.Hex{}, o.payload...)),
		)
	}
}

func route(layer sphinx.Layer, want sphinx.Route) error {
	if layer.Route != want {
		return fmt.Errorf("the project finds route %d, must be %d", layer.Route, want)
	}
	return nil
}

// checkStated compares the end of a packet's way with what the case states.
func (w *journey) checkStated(o outcome, err error) error {
	if err != nil {
		return err
	}
	if o.raised == "" && o.code.name == "client" && len(w.TokenKeys) > 0 {
		if _, raised := referenceOpen(w.params, w.TokenKeys, o.payload); raised != "" {
			o.client, o.raised = true, raised
		}
	}
	if err := sameError(o.raised, w.Error); err != nil {
		return err
	}
	where := fmt.Sprint(o.hop)
	if o.client {
		where = `"client"`
	}
	switch {
	case o.raised != "" && string(w.ErrorHop) != where:
		return fmt.Errorf("error_hop: %.20s, but it is refused at %s", w.ErrorHop, where)
	case o.raised != "":
		return nil
	case o.code.name == "process":
		if w.Exit == nil {
			return errors.New("exit: missing")
		}
		return first(same("exit.destination", o.destination, w.Exit.Destination), same("exit.message", o.message, w.Exit.Message))
	case w.Client == nil:
		return errors.New("client: missing")
	}
	return first(
		same("client.client_id", o.code.value, w.Client.ClientID),
		same("client.message_id", o.messageID, w.Client.MessageID),
		same("client.delta", o.payload, w.Client.Delta),
	)
}
