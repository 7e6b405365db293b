package client

import (
	"crypto/rand"
	"time"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
)

// mailbox is where replies wait for the client at a gateway. SURBs lead to it by its name. A client that loses its link
// and is soon back at the same gateway goes on with the same mailbox, so that the SURBs that it has given out stay good,
// and gets what has come meanwhile. So that gateway can tell that the two links are of one client. Whenever it would not be
// of use, there is a new one.
type mailbox struct {
	secret  link.MailboxSecret
	name    []byte
	gateway *directory.Descriptor // as it was when the mailbox was made, or later; belongs to stay
	left    time.Time             // when the last session ended; belongs to stay
	out     chan outgoing         // packets for the gateway
	unsent  []outgoing            // of those, what was written to the link and may not have been sent; belongs to who writes
}

func (c *Client) newMailbox(gateway *directory.Descriptor) *mailbox {
	m := &mailbox{gateway: gateway, out: make(chan outgoing, c.cfg.Pace.queue())}
	rand.Read(m.secret[:])
	m.name = m.secret.ClientID()
	return m
}

// mailboxAt returns the mailbox for the next session, at a gateway: that of the last session, m, while that is of use, else
// a new one.
func (c *Client) mailboxAt(gateway *directory.Descriptor, m *mailbox) *mailbox {
	if m.gateway.ID() != gateway.ID() || renewed(m.gateway, gateway) || time.Since(m.left) >= c.retention() {
		return c.newMailbox(gateway)
	}
	return m
}

// retention is how long a gateway keeps a mailbox.
func (c *Client) retention() time.Duration { return min(link.Retention, c.known.epoch()) }

// abandon gives up a mailbox that no session will use again. Whoever waits for replies to it is told.
func (c *Client) abandon(m *mailbox) {
	c.lose(m)
	clear(m.secret[:])
}

// lose gives up what is expected in a mailbox.
func (c *Client) lose(m *mailbox) { c.covers.lost.Add(c.book.lose(m)) }

// renewed reports whether a mix has other keys than before for an epoch, as one has that was started anew. It can open
// nothing that was made for the keys before, SURBs among it.
func renewed(before, now *directory.Descriptor) bool {
	for _, k := range before.Keys {
		if key, ok := now.Key(k.Epoch); ok && key != k.Key {
			return true
		}
	}
	return false
}
