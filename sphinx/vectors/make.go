package vectors

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"sphinxmix.example/sphinx"
	"sphinxmix.example/testvectors"
)

// source is an endless reader of the ChaCha20 keystream of a key: all that is random in a vector comes from one.
type source struct {
	key    [32]byte
	stream []byte
	read   int
}

// newSource returns the source of the SHA-256 of label.
func newSource(label string) *source { return &source{key: sha256.Sum256([]byte(label))} }

// Read implements io.Reader. It never fails.
func (s *source) Read(b []byte) (int, error) {
	if need := s.read + len(b); need > len(s.stream) {
		s.stream = keystream(&s.key, 2*need)
	}
	s.read += copy(b, s.stream[s.read:])
	return len(b), nil
}

func (s *source) bytes(n int) []byte {
	b := make([]byte, n)
	s.Read(b)
	return b
}

// between returns a number from low to high. Its bias is too small to matter here.
func (s *source) between(low, high int) int {
	return low + int(binary.LittleEndian.Uint64(s.bytes(8))%uint64(high-low+1))
}

// edge is like between, but one time in five it is low or high.
func (s *source) edge(low, high int) int {
	switch s.between(0, 9) {
	case 0:
		return low
	case 1:
		return high
	}
	return s.between(low, high)
}

// node returns a node whose id is random behind its first byte.
func (s *source) node() testvectors.Node {
	id, private := append(testvectors.Hex{0xff}, s.bytes(sphinx.AddressSize-1)...), s.bytes(sphinx.KeySize)
	return newNode(id, private)
}

func (s *source) nodes(n int) []testvectors.Node {
	list := make([]testvectors.Node, n)
	for i := range list {
		list[i] = s.node()
	}
	return list
}

func newNode(id, private []byte) testvectors.Node {
	key, err := sphinx.NewPrivateKey(private)
	must(err)
	public := key.Public()
	return testvectors.Node{ID: id, PrivateKey: key.Bytes(), PublicKey: public[:], PrivateRaw: private}
}

// must stops the making of vectors, whose arguments are this package's own, at what cannot be.
func must(err error) {
	if err != nil {
		panic("vectors: " + err.Error())
	}
}

// shape is what a forward or a SURB case is to be like.
type shape struct {
	name     string
	maxHops  int
	hops     int
	payload  int
	message  int
	nameSize int // of the destination or of the client id
}

// largeDelta is the size of the payloads from which on the project's own vectors carry a hash in place of δ.
const largeDelta = 2048

// maker makes cases, of the project's own schema or of the reference's.
type maker struct {
	schedule sphinx.KeySchedule
	own      bool
}

// inputs draws what a case is made from. The bytes that the library reads are the keystream of seed.
func (m maker) inputs(s *source, kind string, v shape) (testvectors.Inputs, sphinx.Params, []node) {
	p := sphinx.Params{MaxHops: v.maxHops, PayloadSize: v.payload, Schedule: m.schedule}
	in := testvectors.Inputs{
		Name: v.name, Kind: kind, Params: testvectors.Params{MaxHops: v.maxHops, PayloadSize: v.payload},
		Seed: s.bytes(32), Nodes: s.nodes(v.hops),
	}
	path, err := nodes(p, in.Nodes)
	must(err)
	return in, p, path
}

// draws splits what the library read into the reads that the format names.
func draws(seed []byte, sizes ...int) []testvectors.Draw {
	drawn := &source{key: [32]byte(seed)}
	list := make([]testvectors.Draw, len(sizes))
	for i, size := range sizes {
		list[i] = testvectors.Draw{Use: []string{"x", "beta_padding", "ktilde"}[i], N: size, Hex: drawn.bytes(size)}
	}
	return list
}

// message draws a message. A large one stands in the project's own files as a key.
func (m maker) message(s *source, v shape) (testvectors.Message, []byte) {
	if m.own && v.message >= largeDelta {
		key := s.bytes(32)
		return testvectors.Message{Key: key, Length: v.message}, keystream((*[32]byte)(key), v.message)
	}
	text := s.bytes(v.message)
	return testvectors.Message{Text: text}, text
}

// large returns value itself, or its hash where it is large and the file is the project's own.
func (m maker) large(value []byte) (whole, hash testvectors.Hex) {
	if m.own && len(value) >= largeDelta {
		sum := sha256.Sum256(value)
		return nil, sum[:]
	}
	return append(testvectors.Hex{}, value...), nil
}

func (m maker) packet(p sphinx.Params, packet []byte) testvectors.Packet {
	v := split(p, bytes.Clone(packet))
	v.Delta, v.DeltaSHA256 = m.large(v.Delta)
	return v
}

func (m maker) forward(s *source, v shape) testvectors.Forward {
	in, p, path := m.inputs(s, "forward", v)
	message, text := m.message(s, v)
	destination := s.bytes(v.nameSize)
	drawn := &source{key: [32]byte(in.Seed)}
	packet, err := p.Wrap(nil, drawn, hopsOf(path), destination, text)
	must(err)
	in.Rand = draws(in.Seed, 32, drawn.read-32)
	sum := sha256.Sum256(packet)
	made := testvectors.Forward{
		Inputs: in, Destination: destination, Message: message, Packet: m.packet(p, packet),
		RawSHA256: sum[:], RawLen: len(packet),
	}
	made.Hops, made.Filler, _, _ = m.travel(p, path, packet)
	return made
}

func (m maker) surb(s *source, v shape) testvectors.SURB {
	in, p, path := m.inputs(s, "surb", v)
	message, text := m.message(s, v)
	clientID, id := s.bytes(v.nameSize), s.bytes(sphinx.MessageIDSize)
	drawn := &source{key: [32]byte(in.Seed)}
	surb, key, err := p.NewSURB(drawn, hopsOf(path), clientID, sphinx.MessageID(id))
	must(err)
	in.Rand = draws(in.Seed, 32, drawn.read-64, 32)
	encoded, err := surb.AppendBinary(nil)
	must(err)
	_, packet, err := surb.Use(nil, text)
	must(err)

	ktilde := encoded[len(encoded)-32:]
	made := testvectors.SURB{
		Inputs: in, MessageID: id, ClientID: clientID, DestEncoded: append([]byte{byte(len(clientID))}, clientID...),
		Message: message, Packet: m.packet(p, packet),
		ReplyBlock: testvectors.ReplyBlock{
			FirstHop: encoded[:sphinx.AddressSize],
			Header:   splitHeader(p, encoded[sphinx.AddressSize:len(encoded)-32]),
			Ktilde:   ktilde,
		},
	}
	hops, filler, keys, last := m.travel(p, path, packet)
	made.Hops, made.Filler = hops, filler
	made.Token = testvectors.Token{MessageID: id, Keys: append([]testvectors.Hex{ktilde}, keys...)}
	opened, err := key.Open(last.Payload)
	must(err)
	made.Decrypted, made.DecryptedSHA256 = m.large(opened)
	if m.own {
		var reply [192]byte
		newSchedule(p).ReplyKey(&reply, (*[32]byte)(ktilde))
		made.Encoded, made.ReplyKey = encoded, reply[:]
	}
	return made
}

// travel opens packet, which it changes, at every node of path.
func (m maker) travel(p sphinx.Params, path []node, packet []byte) (hops []testvectors.Hop, filler testvectors.Hex, keys []testvectors.Hex, last sphinx.Layer) {
	for i, n := range path {
		steps := open(p, n.key, split(p, packet))
		hop := testvectors.Hop{
			Hop: i, NodeID: n.hop.Address[:], S: steps.s[:], Tau: steps.keys.Tag()[:], BlindingFactor: steps.keys.Blinding()[:],
		}
		if m.own {
			hop.PRK, hop.Rho, hop.Mu, hop.Pi = steps.prk[:], steps.keys.Stream()[:], steps.mu, steps.keys.Payload()[:]
			filler = growFiller(filler, steps, i, len(path))
		}
		keys = append(keys, steps.keys.Payload()[:])

		unwrapper, err := sphinx.NewUnwrapper(p, n.key, make(sphinx.TagSet))
		must(err)
		last, err = unwrapper.Unwrap(packet)
		must(err)
		switch last.Route {
		case sphinx.Relay:
			next := m.packet(p, packet)
			hop.Result, hop.NextHop, hop.Packet = testvectors.ResultNextHop, bytes.Clone(last.Next[:]), &next
		case sphinx.Exit:
			hop.Result, hop.Destination = testvectors.ResultExit, bytes.Clone(last.Destination)
			hop.Message, hop.MessageSHA256 = m.large(last.Message)
		case sphinx.Reply:
			hop.Result, hop.ClientID, hop.MessageID = testvectors.ResultClient, bytes.Clone(last.Client), bytes.Clone(last.MessageID[:])
			hop.Delta, hop.DeltaSHA256 = m.large(last.Payload)
		default:
			panic(fmt.Sprintf("vectors: route %d", last.Route))
		}
		if m.own && i == len(path)-1 {
			hop.Plain = steps.header
		}
		hops = append(hops, hop)
	}
	return hops, filler, keys, last
}

// xor returns a ⊕ b, which have one length.
func xor(a, b []byte) []byte {
	sum := make([]byte, len(a))
	subtle.XORBytes(sum, a, b)
	return sum
}
