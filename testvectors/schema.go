package testvectors

// Stages at which something must be refused, by the name that negative vectors give them.
const (
	StageSize    = "size"
	StageGroup   = "group"
	StageMAC     = "mac"
	StageReplay  = "replay"
	StageRouting = "routing"
	StagePayload = "payload"
	StageReply   = "reply"
	StageSURB    = "surb"
	StageSpent   = "spent"
)

// What a hop does with a packet that it opened.
const (
	ResultNextHop = "next_hop"
	ResultExit    = "exit"
	ResultClient  = "client"
)

// File is one of the project's own vector files.
type File[Case any] struct {
	Source   string          `json:"source"`
	Note     string          `json:"note"`
	Schedule int             `json:"schedule"`
	Flags    map[string]Flag `json:"flags,omitzero"`
	Count    int             `json:"count"`
	Cases    []Case          `json:"cases"`
}

// Flag explains what a negative vector looks for.
type Flag struct {
	Bug    string `json:"bug"`
	Effect string `json:"effect"`
}

// Params are the network's parameters.
type Params struct {
	MaxHops     int `json:"max_hops"`
	PayloadSize int `json:"payload_size"`
}

// Draw is one read from the random source.
type Draw struct {
	Use string `json:"use"`
	N   int    `json:"n"`
	Hex Hex    `json:"hex"`
}

// Node is one stop of a path. PrivateKey is PrivateRaw, clamped.
type Node struct {
	ID         Hex `json:"id"`
	PrivateKey Hex `json:"private_key"`
	PublicKey  Hex `json:"public_key"`
	PrivateRaw Hex `json:"private_raw"`
}

// Header is α, β and γ.
type Header struct {
	Alpha Hex `json:"alpha"`
	Beta  Hex `json:"beta"`
	Gamma Hex `json:"gamma"`
}

// Packet is a header and δ, or the SHA-256 of a large δ.
type Packet struct {
	Header
	Delta       Hex `json:"delta,omitzero"`
	DeltaSHA256 Hex `json:"delta_sha256,omitzero"`
}

// Inputs are what a forward message and a SURB are both made from.
type Inputs struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Params Params `json:"params"`
	Seed   Hex    `json:"seed"`
	Rand   []Draw `json:"rand"`
	Nodes  []Node `json:"nodes"`
}

// Message is a message, or a large one as the first Length bytes of the ChaCha20 keystream of Key.
type Message struct {
	Text   Hex `json:"message,omitzero"`
	Key    Hex `json:"message_key,omitzero"`
	Length int `json:"message_length,omitzero"`
}

// Forward is a forward message on its way. Filler and all else that is marked omitzero stands only in the project's own
// files, or only where the result of the hop has it.
type Forward struct {
	Inputs
	Destination Hex `json:"destination"`
	Message
	Filler    Hex    `json:"filler,omitzero"`
	Packet    Packet `json:"packet"`
	RawSHA256 Hex    `json:"raw_sha256"`
	RawLen    int    `json:"raw_len"`
	Hops      []Hop  `json:"hops"`
	// Beyond marks a message that the Python reference cannot build or open, though the format allows it.
	Beyond bool `json:"beyond_reference,omitzero"`
}

// SURB is a single-use reply block and the reply through it.
type SURB struct {
	Inputs
	MessageID   Hex `json:"message_id"`
	ClientID    Hex `json:"client_id"`
	DestEncoded Hex `json:"dest_encoded"`
	Message
	Filler     Hex        `json:"filler,omitzero"`
	ReplyBlock ReplyBlock `json:"reply_block"`
	Encoded    Hex        `json:"encoded,omitzero"`
	Token      Token      `json:"token"`
	ReplyKey   Hex        `json:"reply_key,omitzero"`
	Packet     Packet     `json:"packet"`
	Hops       []Hop      `json:"hops"`
	Decrypted  Hex        `json:"decrypted,omitzero"`
	// DecryptedSHA256 stands in for a large Decrypted.
	DecryptedSHA256 Hex  `json:"decrypted_sha256,omitzero"`
	Beyond          bool `json:"beyond_reference,omitzero"`
}

// ReplyBlock is what the SURB's maker sends out.
type ReplyBlock struct {
	Header   Header `json:"header"`
	FirstHop Hex    `json:"first_hop"`
	Ktilde   Hex    `json:"ktilde"`
}

// Token is what the SURB's maker keeps: k̃ and then every hop's LIONESS key.
type Token struct {
	MessageID Hex   `json:"message_id"`
	Keys      []Hex `json:"keys"`
}

// Hop is what one node computes, and what comes of it.
type Hop struct {
	Hop    int `json:"hop"`
	NodeID Hex `json:"node_id"`
	S      Hex `json:"s"`

	PRK   Hex `json:"prk,omitzero"`
	Rho   Hex `json:"rho_key,omitzero"`
	Mu    Hex `json:"mu_key,omitzero"`
	Pi    Hex `json:"pi_key,omitzero"`
	Plain Hex `json:"header_plain,omitzero"` // β ‖ zeros, decrypted; at the last hop

	Tau            Hex    `json:"tau"`
	BlindingFactor Hex    `json:"blinding_factor"`
	Result         string `json:"result"`

	NextHop Hex     `json:"next_hop,omitzero"`
	Packet  *Packet `json:"packet,omitzero"`

	Destination   Hex `json:"destination,omitzero"`
	Message       Hex `json:"message,omitzero"`
	MessageSHA256 Hex `json:"message_sha256,omitzero"`

	ClientID    Hex `json:"client_id,omitzero"`
	MessageID   Hex `json:"message_id,omitzero"`
	Delta       Hex `json:"delta,omitzero"`
	DeltaSHA256 Hex `json:"delta_sha256,omitzero"`
}

// KDF is key schedule 1 for one hop, and for one k̃.
type KDF struct {
	Name       string `json:"name"`
	PrivateKey Hex    `json:"private_key"`
	PublicKey  Hex    `json:"public_key"`
	Alpha      Hex    `json:"alpha"`
	S          Hex    `json:"s"`
	PRK        Hex    `json:"prk"`
	Rho        Hex    `json:"rho_key"`
	Mu         Hex    `json:"mu_key"`
	Pi         Hex    `json:"pi_key"`
	Blinding   Hex    `json:"blinding_factor"`
	Tau        Hex    `json:"tau"`
	NextAlpha  Hex    `json:"next_alpha"`
	MACData    Hex    `json:"mac_data"`
	MAC        Hex    `json:"mac"`
	Ktilde     Hex    `json:"ktilde"`
	ReplyKey   Hex    `json:"reply_key"`
}

// Accumulated is the SHA-256 over what becomes of the packets 0 to Packets−1. First are the digests of the first few.
type Accumulated struct {
	Name    string `json:"name"`
	Packets int    `json:"packets"`
	First   []Hex  `json:"first,omitzero"`
	SHA256  Hex    `json:"sha256"`
}
