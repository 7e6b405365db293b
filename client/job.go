package client

import (
	"crypto/rand"
	"encoding/binary"
	"errors"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/sphinx"
)

// job is one packet to be made and sent, by whoever has a gateway.
type job interface {
	// packet makes it. It has no bytes where nobody wants it any more.
	packet(c *Client, s *session) (outgoing, error)
	// done is told that the packet is among those that leave next, or why there is none. It must not wait.
	done(err error)
}

// wrap makes packets for one session.
func (c *Client) wrap(s *session) error {
	for {
		select {
		case j := <-c.jobs:
			packet, err := j.packet(c, s)
			switch {
			case errors.Is(err, errUnfit):
				j.done(errLost)
				return err
			case err != nil:
				j.done(err)
				continue
			case packet.bytes == nil:
				continue
			}
			select {
			case s.out <- packet:
				j.done(nil)
			case <-s.ctx.Done():
				j.done(errLost)
				return nil
			}
		case <-s.ctx.Done():
			return nil
		}
	}
}

// wayBack is a SURB as it goes into a cell, and what its reply is known and opened by.
type wayBack struct {
	id      sphinx.MessageID
	encoded []byte
	key     *sphinx.ReplyKey
}

// newSURBs makes a SURB for each way back.
func (c *Client) newSURBs(s *session, back ...[]sphinx.Hop) ([]wayBack, error) {
	addresses := make([]sphinx.ReturnAddress, len(back))
	for i, path := range back {
		addresses[i] = sphinx.ReturnAddress{Path: path, ClientID: s.mailbox.name}
		rand.Read(addresses[i].MessageID[:])
	}
	surbs, keys, err := c.params.NewSURBs(nil, addresses)
	if err != nil {
		return nil, err
	}
	made := make([]wayBack, len(back))
	for i, surb := range surbs {
		encoded, err := surb.AppendBinary(make([]byte, 0, c.params.SURBSize()))
		if err != nil {
			return nil, err
		}
		made[i] = wayBack{addresses[i].MessageID, encoded, keys[i]}
	}
	return made, nil
}

func ids(path []*directory.Descriptor) []directory.NodeID {
	ids := make([]directory.NodeID, len(path))
	for i, node := range path {
		ids[i] = node.ID()
	}
	return ids
}

func randomStream() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:])
}
