package vectors

import (
	"crypto/sha256"
	"encoding/binary"

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

// inputs draws what a case is made from, but for rand, which is the keystream of seed.
func (s *setting) inputs(from *source, kind string, v shape) testvectors.Inputs {
	return testvectors.Inputs{
		Name: v.name, Kind: kind, Params: testvectors.Params{MaxHops: v.maxHops, PayloadSize: v.payload},
		Seed: from.bytes(32), Nodes: from.nodes(v.hops),
	}
}

// draws splits the keystream of seed into the reads that the format names.
func draws(seed []byte, sizes ...int) []testvectors.Draw {
	drawn := &source{key: [32]byte(seed)}
	list := make([]testvectors.Draw, len(sizes))
	for i, size := range sizes {
		list[i] = testvectors.Draw{Use: []string{"x", "beta_padding", "ktilde"}[i], N: size, Hex: drawn.bytes(size)}
	}
	return list
}

// drawMessage draws a message. A large one stands in the project's own files as a key.
func (s *setting) drawMessage(from *source, v shape) testvectors.Message {
	if s.own && v.message >= largeDelta {
		return testvectors.Message{Key: from.bytes(32), Length: v.message}
	}
	return testvectors.Message{Text: from.bytes(v.message)}
}

func (s *setting) drawForward(from *source, v shape) testvectors.Forward {
	in := testvectors.Forward{Inputs: s.inputs(from, "forward", v), Message: s.drawMessage(from, v), Destination: from.bytes(v.nameSize)}
	in.Rand = draws(in.Seed, 32, 32*(v.maxHops-v.hops)+31)
	made, err := s.forward(in)
	must(err)
	return made
}

func (s *setting) drawSURB(from *source, v shape) testvectors.SURB {
	in := testvectors.SURB{
		Inputs: s.inputs(from, "surb", v), Message: s.drawMessage(from, v),
		ClientID: from.bytes(v.nameSize), MessageID: from.bytes(sphinx.MessageIDSize),
	}
	in.Rand = draws(in.Seed, 32, 32*(v.maxHops-v.hops)+31-v.nameSize, 32)
	made, err := s.surb(in)
	must(err)
	return made
}
