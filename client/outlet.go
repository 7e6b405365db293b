package client

import (
	"slices"
	"time"

	"sphinxmix.example/node/link"
)

// write sends packets to the gateway, first those that the last session may not have sent.
func (c *Client) write(s *session) error {
	padding := make([]byte, c.params.PacketSize())
	unsent := s.mailbox.takeUnsent()
	for i, packet := range unsent {
		if err := s.send(packet, padding); err != nil {
			s.mailbox.unsent = append(s.mailbox.unsent, unsent[i+1:]...)
			return err
		}
	}
	if err := s.flush(); err != nil {
		return err
	}
	idle := time.NewTicker(link.KeepAlive)
	defer idle.Stop()
	for {
		var err error
		select {
		case packet := <-s.out:
			err = s.send(packet, padding)
		case <-idle.C:
			err = s.send(outgoing{}, padding)
		case <-s.ctx.Done():
			return nil
		}
		if err == nil && len(s.out) == 0 {
			err = s.flush()
		}
		if err != nil {
			return err
		}
	}
}

// send writes a packet to the link, or padding where it has no bytes. Until flush has sent it, it counts as unsent.
func (s *session) send(packet outgoing, padding []byte) error {
	if packet.bytes == nil {
		return s.conn.WriteFrame(link.Padding, 0, padding)
	}
	s.mailbox.keepUnsent(packet)
	return s.conn.WriteFrame(link.Packet, packet.epoch, packet.bytes)
}

// flush sends what the link has collected.
func (s *session) flush() error {
	err := s.conn.Flush()
	if err == nil {
		s.mailbox.takeUnsent()
	}
	return err
}

// maxRecord is more than a link collects before it sends by itself, in bytes.
const maxRecord = 16 << 10

// keepUnsent takes note of a packet that is written to a link. A gateway that gets it twice drops the second as a replay.
func (m *mailbox) keepUnsent(packet outgoing) {
	if len(m.unsent) > maxRecord/len(packet.bytes)+1 {
		m.unsent = slices.Delete(m.unsent, 0, 1)
	}
	m.unsent = append(m.unsent, packet)
}

// takeUnsent returns what may not have been sent, the oldest first, and forgets it.
func (m *mailbox) takeUnsent() []outgoing {
	unsent := m.unsent
	m.unsent = nil
	return unsent
}
