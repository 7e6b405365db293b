package vectors

import (
	"bytes"
	"crypto/subtle"
	"fmt"

	"sphinxmix.example/lioness"
	"sphinxmix.example/lioness/symmetric"
	"sphinxmix.example/sphinx"
	"sphinxmix.example/sphinx/internal/schedule"
	"sphinxmix.example/sphinx/internal/x25519"
	"sphinxmix.example/testvectors"
)

const kappa = 16 // κ

func betaSize(p sphinx.Params) int   { return (2*p.MaxHops + 1) * kappa }
func streamSize(p sphinx.Params) int { return (2*p.MaxHops + 3) * kappa }

// newSchedule returns the derivations of p's key schedule.
func newSchedule(p sphinx.Params) *schedule.Schedule {
	return schedule.New(p.Schedule != sphinx.BoundSchedule)
}

// opened is all that the owner of a node's private key can compute from a packet (§3.6).
type opened struct {
	s       x25519.Key
	zero    bool          // s is: α is of low order, and the rest is empty
	prk     schedule.Seed // schedule 1 alone
	keys    schedule.Keys
	mu      []byte // the μ key
	gamma   []byte // the MAC of β
	header  []byte // β ‖ zeros, decrypted; nil where β has not its size
	payload []byte // δ, decrypted once; nil where it is no block of LIONESS
}

// open computes every step of a packet's processing, whether or not the steps before it have succeeded.
func open(p sphinx.Params, key *sphinx.PrivateKey, packet testvectors.Packet) (o opened) {
	scalar, y, alpha := x25519.Key(key.Bytes()), x25519.Key(key.Public()), x25519.Key(packet.Alpha)
	if !x25519.Shared(&o.s, &scalar, &alpha) {
		o.zero = true
		return o
	}
	derive := newSchedule(p)
	o.prk = derive.Derive(&o.keys, &alpha, &y, &o.s)
	o.mu = derive.MACKey(&o.keys)
	o.gamma = derive.MAC(nil, &o.keys, packet.Beta)
	if len(packet.Beta) == betaSize(p) {
		o.header = xor(concat(packet.Beta, make([]byte, 2*kappa)), keystream(o.keys.Stream(), streamSize(p)))
	}
	if payload, err := lioness.New(o.keys.Payload()).AppendDecrypt(nil, packet.Delta); err == nil {
		o.payload = payload
	}
	return o
}

func keystream(key *[32]byte, size int) []byte {
	stream := make([]byte, size)
	symmetric.XORKeyStream(stream, stream, key)
	return stream
}

// split takes a packet apart.
func split(p sphinx.Params, packet []byte) testvectors.Packet {
	beta := 32 + betaSize(p)
	return testvectors.Packet{
		Header: splitHeader(p, packet[:beta+kappa]),
		Delta:  packet[beta+kappa:],
	}
}

func splitHeader(p sphinx.Params, header []byte) testvectors.Header {
	beta := 32 + betaSize(p)
	return testvectors.Header{Alpha: header[:32], Beta: header[32:beta], Gamma: header[beta:]}
}

// raw puts the packet of a vector together.
func raw(packet testvectors.Packet) []byte {
	return concat(rawHeader(packet.Header), packet.Delta)
}

func rawHeader(header testvectors.Header) []byte {
	return concat(header.Alpha, header.Beta, header.Gamma)
}

func concat(parts ...testvectors.Hex) []byte {
	whole := []byte{}
	for _, part := range parts {
		whole = append(whole, part...)
	}
	return whole
}

// node is a stop of a path with its private key.
type node struct {
	key *sphinx.PrivateKey
	hop sphinx.Hop
}

// nodes checks that the keys of a vector's nodes belong together.
func nodes(p sphinx.Params, list []testvectors.Node) ([]node, error) {
	if len(list) < 1 || len(list) > p.MaxHops {
		return nil, fmt.Errorf("%d nodes, must be 1 to %d", len(list), p.MaxHops)
	}
	path := make([]node, len(list))
	for i, v := range list {
		field := fmt.Sprintf("nodes[%d]", i)
		key, err := sphinx.NewPrivateKey(v.PrivateRaw)
		if err != nil {
			return nil, fmt.Errorf("%s.private_raw: %w", field, err)
		}
		public := key.Public()
		if err := first(same(field+".private_key", key.Bytes(), v.PrivateKey), same(field+".public_key", public[:], v.PublicKey)); err != nil {
			return nil, err
		}
		if len(v.ID) != sphinx.AddressSize || v.ID[0] != 0xff {
			return nil, fmt.Errorf("%s.id: not %d bytes that start with ff", field, sphinx.AddressSize)
		}
		path[i] = node{key, sphinx.Hop{Address: sphinx.Address(v.ID), Key: public}}
	}
	return path, nil
}

func (s *setting) params(v testvectors.Params) sphinx.Params {
	return sphinx.Params{MaxHops: v.MaxHops, PayloadSize: v.PayloadSize, Schedule: s.schedule}
}

// network returns the library's parameters for those of a vector, and the path of its nodes.
func (s *setting) network(v testvectors.Params, list []testvectors.Node) (p sphinx.Params, path []node, err error) {
	p = s.params(v)
	if err := p.Validate(); err != nil {
		return p, nil, err
	}
	path, err = nodes(p, list)
	return p, path, err
}

func hopsOf(path []node) []sphinx.Hop {
	hops := make([]sphinx.Hop, len(path))
	for i := range path {
		hops[i] = path[i].hop
	}
	return hops
}

// newSURB makes a SURB that must draw all of random.
func newSURB(p sphinx.Params, path []node, clientID, id, random []byte) (*sphinx.SURB, *sphinx.ReplyKey, error) {
	if err := fixed("message_id", id, sphinx.MessageIDSize); err != nil {
		return nil, nil, err
	}
	drawn := bytes.NewReader(random)
	surb, key, err := p.NewSURB(drawn, hopsOf(path), clientID, sphinx.MessageID(id))
	return surb, key, first(err, allRead(drawn))
}

// allRead reports randomness that nobody has read. More than there is cannot be read.
func allRead(random *bytes.Reader) error {
	if random.Len() != 0 {
		return fmt.Errorf("random: %d bytes were not read", random.Len())
	}
	return nil
}

// stop is a packet at one node of its path.
type stop struct {
	unwrapper *sphinx.Unwrapper
	arrived   []byte // the packet, before it was opened
	found     sphinx.Layer
}

// walk opens packet, which it changes, at every node of path. It returns all stops, and what the last node finds.
func walk(p sphinx.Params, path []node, packet []byte) (stops []stop, last sphinx.Layer, err error) {
	for i := range path {
		unwrapper, err := sphinx.NewUnwrapper(p, path[i].key, make(sphinx.TagSet))
		if err != nil {
			return nil, last, err
		}
		arrived := bytes.Clone(packet)
		if last, err = unwrapper.Unwrap(packet); err != nil {
			return nil, last, fmt.Errorf("hop %d: %w", i, err)
		}
		relayed := last.Route == sphinx.Relay
		if relayed && (i+1 == len(path) || last.Next != path[i+1].hop.Address) {
			return nil, last, fmt.Errorf("hop %d: goes to %v, which is not the next node", i, last.Next)
		}
		if !relayed && i+1 < len(path) {
			return nil, last, fmt.Errorf("hop %d: goes no further", i)
		}
		stops = append(stops, stop{unwrapper, arrived, last})
	}
	return stops, last, nil
}

// peel returns what each node of path can compute from packet, up to one where s is zero.
func peel(p sphinx.Params, path []node, packet []byte) (all []opened) {
	layer := split(p, packet)
	for _, n := range path {
		steps := open(p, n.key, layer)
		all = append(all, steps)
		if steps.zero {
			break
		}
		layer.Alpha = multiply(layer.Alpha, steps.keys.Blinding()[:])
		layer.Gamma, layer.Beta = steps.header[kappa:2*kappa], steps.header[2*kappa:]
		layer.Delta = steps.payload
	}
	return all
}

// growFiller adds a hop's part to φ (§3.2).
func growFiller(filler []byte, p sphinx.Params, keys *schedule.Keys) []byte {
	grown := append(filler, make([]byte, 2*kappa)...)
	stream := keystream(keys.Stream(), streamSize(p))
	return xor(grown, stream[len(stream)-len(grown):])
}

// multiply is X25519(scalar, point). Both have 32 bytes.
func multiply(point, scalar []byte) []byte {
	var product x25519.Key
	x25519.Shared(&product, (*x25519.Key)(scalar), (*x25519.Key)(point))
	return product[:]
}

// xor returns a ⊕ b, which have one length.
func xor(a, b []byte) []byte {
	sum := make([]byte, len(a))
	subtle.XORBytes(sum, a, b)
	return sum
}
