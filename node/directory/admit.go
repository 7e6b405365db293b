package directory

import "time"

// What nodes may change in the store. A node renews its registration once an epoch, and once more when it restarts.
const (
	renewBurst = 10
	renewEvery = time.Minute // or four times an epoch, where that is more often

	// All nodes of one address together have room for descriptors of any size when they come, and for as much again in
	// each hour. Where epochs are short, each node that the address may bring has this many bytes an epoch.
	renewalSize = 512
	spareNodes  = 64 // that an address has room for beside the new ones

	// A node whose evidence is refused goes on trying, and must not use up what its neighbours may bring.
	refuseBurst = 64
	refuseEvery = time.Second
)

// allowance is what a directory takes from others.
type allowance struct {
	renewals rate // of each node
	newNodes rate // from each source
	bytes    rate // of descriptors, from each source
	refusals rate // of nodes that the policy does not trust, from each source
}

// allowanceOf returns the allowance of a directory whose configuration has its defaults.
func allowanceOf(c ServerConfig) allowance {
	atOnce := (c.MaxNewNodes + spareNodes) * MaxDescriptorSize
	hourly := max(int64(atOnce), int64(c.MaxNewNodes)*renewalSize*int64(time.Hour/time.Second)/int64(c.Network.Epoch/time.Second))
	return allowance{
		renewals: rate{min(renewEvery, c.Network.Epoch/4), renewBurst},
		newNodes: rate{time.Hour / time.Duration(c.MaxNewNodes), c.MaxNewNodes},
		bytes:    rate{time.Hour / time.Duration(hourly), atOnce},
		refusals: rate{refuseEvery, refuseBurst},
	}
}

// admit charges a record, which the roster would take, to the node and to where it comes from. The error is
// ErrTooOften, ErrTooMany, ErrTooMuch or ErrTooWrong, and nothing is charged then. It is called with mu held.
func (s *Server) admit(r *record, from string, now time.Time) error {
	held, known := s.roster.records[r.id]
	if known && held.desc != nil && r.desc == nil {
		return nil // to leave was paid for with the registration
	}
	renewals := s.roster.renewals(r.id)
	if known && !renewals.has(1, now, s.allowed.renewals) {
		return ErrTooOften
	}
	if r.desc != nil {
		if err := s.guard.admit(from, now, s.allowed, len(r.signed), !known); err != nil {
			return err
		}
	}
	if known {
		renewals.take(1, now, s.allowed.renewals)
	}
	return nil
}
