package node

// How many packets wait at most for one peer or for the services, and for one client.
const (
	OutQueue    = outQueue
	ClientQueue = clientQueue
)

// MixKey returns the private key that n opens packets with.
func (n *Node) MixKey() []byte { return n.key.Bytes() }
