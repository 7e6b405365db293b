package node

// How many packets a node keeps at most: for one peer or for the services, for one client, in the batch, and there of one
// sender. What else is opened when the batch is full may be MaxUnwrap packets at a time. And how many bytes all take.
const (
	OutQueue    = outQueue
	ClientQueue = clientQueue
	MaxHeld     = maxHeld
	SenderShare = senderShare
	MaxUnwrap   = maxUnwrap
	MaxMemory   = maxMemory
)

// MixKey returns the private key that n opens packets with.
func (n *Node) MixKey() []byte { return n.key.Bytes() }
