package link

import (
	"crypto/sha256"
	"fmt"
	"io"
	"time"
)

// KeepAlive is how often whoever writes to an idle link sends padding, well within the default ReadTimeout.
const KeepAlive = time.Minute

// The kinds of frame between mixes and clients. The link itself treats them all alike.
const (
	Packet    Kind = iota + 1 // arg: key epoch mod 256; body: a packet, for a mix
	Subscribe                 // body: a MailboxSecret, then zeros; from a client to its gateway
	Reply                     // body: message id ‖ payload, then zeros; from a gateway to its client
)

// DropService is the destination of messages that their last hop throws away: cover traffic.
const DropService = "drop"

// GatewayService is the service, as descriptors list it, of mixes that clients may link to: their gateways. No packet goes
// to it.
const GatewayService = "gateway"

// Retention is how long a gateway keeps replies for a client whose link has ended, where epochs are not shorter.
const Retention = time.Minute

// MailboxSecret is 32 random bytes by which a client claims the replies to its client id. It tells them to one gateway and
// to nobody else. A client whose link has ended names the same secret again if it comes back to that gateway within
// Retention, and gets what has come meanwhile; this tells the gateway that the two links are of one client. Otherwise it
// makes a new one for each link. Of several links that name one secret, the newest gets the replies and the others are
// closed.
type MailboxSecret [32]byte

// ClientID returns the 16 bytes that a reply's last hop knows the client by: the start of
// SHA-256("sphinxmix mailbox v1\x00" ‖ secret).
func (s MailboxSecret) ClientID() []byte {
	sum := sha256.Sum256(append([]byte("sphinxmix mailbox v1\x00"), s[:]...))
	return sum[:16]
}

// Format prints no part of the secret, whatever the verb.
func (s MailboxSecret) Format(f fmt.State, _ rune) { io.WriteString(f, "link.MailboxSecret(secret)") }
