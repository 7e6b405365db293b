package client

import (
	"fmt"
	"time"

	"sphinxmix.example/node/directory"
)

// What views list is what the policy trusts, so that no path has a mix in its middle or at its end that it does not. A gateway
// is known from before, and a view may have forgotten it for a moment.

// trust is until when the policy trusts a gateway, by a view.
type trust struct {
	view  *directory.View
	until time.Time
}

// errUntrusted reports a gateway that the network's policy does not trust any more.
var errUntrusted = fmt.Errorf("%w: the network's policy does not trust the gateway any more", errUnfit)

// trusted returns errUntrusted, and ends the session, where the policy does not trust its gateway, by a view at a time.
func (c *Client) trusted(s *session, view *directory.View, now time.Time) error {
	if view.Policy == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trust.view != view {
		s.trust = trust{view, view.TrustedUntil(s.gateway, now)}
	}
	if now.Before(s.trust.until) {
		return nil
	}
	s.end(errUntrusted)
	return errUntrusted
}
