package vectors

import (
	"bytes"

	"sphinxmix.example/lioness"
	"sphinxmix.example/sphinx"
	"sphinxmix.example/sphinx/internal/x25519"
	"sphinxmix.example/testvectors"
)

// verdict is what becomes of one packet at one node: what the reference raises, and what the project must return. Both
// are the zero value for a packet that is accepted. They may differ in kind alone where a packet is refused; where one
// side accepts and the other does not, the project is right to differ, and the comment there says why.
type verdict struct {
	raised string
	want   error

	code code // the routing block, as the reference reads it

	next                 testvectors.Packet // mix
	destination, message []byte             // process, as the reference returns them
	payload              []byte             // client

	projectMessage []byte // process, as the project must return it
	messageID      []byte // client, as the reference returns it
}

// referenceUnwrap takes packet through sphinx_packet_unwrap of sphinxmixcrypto 0.0.4, step by step, and judges beside
// each step what the format asks for. seen is the replay cache of the node that has key.
func referenceUnwrap(p sphinx.Params, key *sphinx.PrivateKey, seen sphinx.TagSet, packet testvectors.Packet) (v verdict) {
	// The project gets a packet as one string of bytes, and refuses any other length before all else. The reference
	// gets four, and has no check for β and γ: the MAC covers no length, and its XOR asserts one.
	wrongSize := len(raw(packet)) != p.PacketSize()
	if wrongSize {
		v.want = sphinx.ErrPacketSize
	}
	switch {
	case len(packet.Delta) != p.PayloadSize:
		v.raised = errBodySize
		return v
	case len(packet.Alpha) != x25519.Size:
		v.raised = errAlphaSize
		return v
	}
	steps := open(p, key, packet)
	if steps.zero {
		// libsodium refuses a point of low order with a stray exception; the project has an error for it.
		v.raised, v.want = errLowOrder, orSize(wrongSize, sphinx.ErrGroup)
		return v
	}
	tag, rightMAC := sphinx.Tag(*steps.keys.Tag()), bytes.Equal(packet.Gamma, steps.gamma)
	_, replayed := seen[tag]
	switch {
	case replayed:
		v.raised = errReplayed
	case !rightMAC:
		v.raised = errMAC
	}
	switch {
	case wrongSize:
	case !rightMAC: // the project looks at τ after γ: what fails authentication is no replay of anything
		v.want = sphinx.ErrMAC
	case replayed:
		v.want = sphinx.ErrReplay
	}
	if v.raised != "" {
		return v
	}
	seen[tag] = struct{}{}
	if steps.header == nil {
		v.raised = errAssertion // in xor
		return v
	}
	v.payload, v.code = steps.payload, referenceDecode(steps.header)
	switch v.code.name {
	case "mix":
		v.next.Alpha = multiply(packet.Alpha, steps.keys.Blinding()[:])
		v.next.Gamma, v.next.Beta = v.code.rest[:kappa], v.code.rest[kappa:]
		v.next.Delta = steps.payload
	case "process":
		v.exit(steps.payload)
	case "client":
		v.messageID = v.code.rest[:min(kappa, len(v.code.rest))]
		// A client id that does not fit, with its message id, in what is left of β is refused; the reference slices
		// both short.
		if 1+len(v.code.value)+kappa > betaSize(p) {
			v.want = sphinx.ErrRouting
		}
	default:
		v.raised, v.want = errType, sphinx.ErrRouting
	}
	return v
}

func orSize(wrongSize bool, otherwise error) error {
	if wrongSize {
		return sphinx.ErrPacketSize
	}
	return otherwise
}

// exit judges the decrypted payload of a packet that ends here.
func (v *verdict) exit(payload []byte) {
	inner := code{}
	if bytes.Equal(payload[:kappa], make([]byte, kappa)) {
		inner = referenceDecode(payload[kappa:])
	}
	if inner.name != "client" {
		v.raised, v.want = errDestination, sphinx.ErrPayload
		return
	}
	v.destination = inner.value
	v.message, v.raised = referenceUnpad(inner.rest)
	// A padding that does not hold its own count (0 or 1) or that reaches into the destination is refused, always in
	// the same way; one that leaves an empty message is not.
	if n, ok := unpad(inner.rest); ok && !inner.short {
		v.projectMessage = inner.rest[:n]
	} else {
		v.want = sphinx.ErrPayload
	}
}

// referenceOpen is the reference's ReplyBlockDecryptionToken.decrypt under k̃ and then every hop's LIONESS key.
func referenceOpen(p sphinx.Params, keys []testvectors.Hex, payload []byte) (message []byte, raised string) {
	block := bytes.Clone(payload)
	cipher := lioness.New((*[lioness.KeySize]byte)(make([]byte, lioness.KeySize)))
	for i := len(keys) - 1; i > 0; i-- {
		cipher.SetKey((*[lioness.KeySize]byte)(keys[i]))
		cipher.Encrypt(block)
	}
	var key [lioness.KeySize]byte
	newSchedule(p).ReplyKey(&key, (*[32]byte)(keys[0]))
	cipher.SetKey(&key)
	cipher.Decrypt(block)
	if !bytes.Equal(block[:kappa], make([]byte, kappa)) {
		return nil, errCorrupt
	}
	return referenceUnpad(block[kappa:])
}
