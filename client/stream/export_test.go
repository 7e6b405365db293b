package stream

import "fmt"

// State describes a session in one line, for those who look for the reason of a failure.
func (s *Session) State() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("streams %d flight %d window %d stock %d reported %d flying %d need %d round %v timeout %v backoff %d held %d lent %d control %d ready %d sent %d",
		len(s.streams), s.flight, s.pace.window, len(s.stock), s.reported, s.flying, s.supply.need, s.trips.round(),
		s.trips.timeout(), s.trips.backoff, s.held, s.lent, len(s.control), len(s.ready), len(s.sent))
}

// Sent returns how many cells a session has sent.
func (s *Session) Sent() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}
