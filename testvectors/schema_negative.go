package testvectors

// Negative is one thing that must be refused. Exactly one of Unwrap, Reply, Parse, Build is present.
type Negative struct {
	Name    string   `json:"name"`
	Comment string   `json:"comment"`
	Flags   []string `json:"flags"`

	Unwrap *NegativeUnwrap `json:"unwrap,omitzero"`
	Reply  *NegativeReply  `json:"reply,omitzero"`
	Parse  *NegativeParse  `json:"parse,omitzero"`
	Build  *NegativeBuild  `json:"build,omitzero"`
}

// NegativeUnwrap gives packets to Nodes[0], in order. Every node has one replay set for the case. In one batch the
// packets must end in the same way.
type NegativeUnwrap struct {
	Params  Params           `json:"params"`
	Nodes   []Node           `json:"nodes"`
	Good    []Hex            `json:"good,omitzero"`     // each goes through all nodes
	MadeFor *MadeFor         `json:"made_for,omitzero"` // where Good does not: what it was made for
	Packets []NegativePacket `json:"packets"`
}

// MadeFor is the one thing in which the sender of a packet and Nodes[0] disagree.
type MadeFor struct {
	PrivateKey Hex     `json:"private_key,omitzero"`
	Params     *Params `json:"params,omitzero"`
	Schedule   *int    `json:"schedule,omitzero"`
}

// NegativePacket is Good[Of] with one Change or none, or was forged with a valid MAC.
type NegativePacket struct {
	Packet Hex     `json:"packet"`
	Of     int     `json:"of"`
	Change *Change `json:"change,omitzero"`
	Forged *Forged `json:"forged,omitzero"`
	Stage  string  `json:"stage"` // empty: it goes through all nodes
	Hop    int     `json:"hop"`   // the node that refuses it
}

// Change replaces the bytes From at Offset by To.
type Change struct {
	Offset int `json:"offset"`
	From   Hex `json:"from"`
	To     Hex `json:"to"`
}

// Forged is what the node that refuses a packet finds when it decrypts β ‖ zeros and δ.
type Forged struct {
	Header  Hex `json:"header"`
	Payload Hex `json:"payload"`
}

// NegativeReply hands Payload to the key of the SURB made from the other fields; then Good, which opens to Message.
type NegativeReply struct {
	Params    Params  `json:"params"`
	Nodes     []Node  `json:"nodes"`
	ClientID  Hex     `json:"client_id"`
	MessageID Hex     `json:"message_id"`
	Random    Hex     `json:"random"` // x ‖ padding ‖ k̃
	SURB      Hex     `json:"surb"`   // encoded
	Good      Hex     `json:"good"`
	Message   Hex     `json:"message"`
	Payload   Hex     `json:"payload"`
	Change    *Change `json:"change,omitzero"`
	Forged    Hex     `json:"forged,omitzero"`       // the plaintext that Payload decrypts to
	Other     Hex     `json:"other_random,omitzero"` // Payload opens with the SURB made from this, to Message
	OtherSURB Hex     `json:"other_surb,omitzero"`
	Stage     string  `json:"stage"`
}

// NegativeParse reads SURB, which is Good with one Change, or uses Good twice.
type NegativeParse struct {
	Params  Params  `json:"params"`
	Message Hex     `json:"message"`
	Good    Hex     `json:"good"`
	Packet  Hex     `json:"packet"` // that Good makes of Message
	SURB    Hex     `json:"surb"`
	Change  *Change `json:"change,omitzero"`
	Stage   string  `json:"stage"`
}

// NegativeBuild is a limit of what a sender may ask for: with Good it is built, with Bad it is not. What is not stated
// has the default that the README gives.
type NegativeBuild struct {
	Call              string `json:"call"`
	Field             string `json:"field"`
	MaxHops           int    `json:"max_hops,omitzero"`
	PayloadSize       int    `json:"payload_size,omitzero"`
	PathLength        int    `json:"path_length,omitzero"`
	DestinationLength int    `json:"destination_length,omitzero"`
	Good              *int   `json:"good,omitzero"`
	Bad               *int   `json:"bad,omitzero"`
	PublicKey         Hex    `json:"public_key,omitzero"`
	Reason            string `json:"reason"`
}
