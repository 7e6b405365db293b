package directory

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"sphinxmix.example/tao"
)

// What a policy means for a Server: whom it takes in, and whom it lists. A server without one has a nil judge.

// SetPolicy has the directory follow a newer policy, as tao.Policy.Sign returns it: all nodes are judged anew, and the
// next view is for it. The same one again is no error. The error wraps ErrPolicy and says more: ErrOlder,
// ErrTwoPolicies or tao.ErrPolicy; or says that the server has no PolicyKey.
func (s *Server) SetPolicy(signed []byte) error {
	if s.judge == nil {
		return errors.New("directory: a server without a policy key follows no policy")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next, err := s.policy.follow(signed, s.cfg.PolicyKey)
	if err == nil {
		err = next.goodAt(s.cfg.Now())
	}
	if err == nil && next.Policy != s.policy.Policy {
		s.obey(next)
	}
	return err
}

// obey makes a policy the server's own. It is called with mu held.
func (s *Server) obey(next policy) {
	s.policy, s.unjudged = next, true
	s.changes++
	s.cfg.Log.Info("policy", "version", next.Version, "expires", next.Expires)
}

// heed compares the policy of a view, which may be another server's, with the server's own, and follows the newer one.
// It is called with mu held.
func (s *Server) heed(p *publication) {
	switch {
	case s.judge == nil && len(p.SignedPolicy) == 0:
		return
	case s.judge == nil:
		s.cfg.Log.Error("another server of this directory has a policy: give this one the same policy key", "version", p.Version)
		return
	}
	if len(p.SignedPolicy) == 0 {
		s.changes++
		s.cfg.Log.Warn("the view in the store has no policy: there will be another", "version", p.Version)
		return
	}
	next, err := s.policy.follow(p.SignedPolicy, s.cfg.PolicyKey)
	switch {
	case err == nil && next.Policy != s.policy.Policy:
		s.obey(next)
	case errors.Is(err, ErrOlder):
		s.changes++
	case err != nil:
		s.changes++
		s.cfg.Log.Error("another server of this directory has another policy, which is not followed", "version", p.Version, "error", err)
	}
	if bytes.Equal(p.SignedPolicy, s.policy.signed) {
		p.Policy = s.policy.Policy
	}
}

// review judges all nodes that the policy has not judged yet, and returns it, with how many changes have been heeded.
// It is called with the turn.
func (s *Server) review() (by policy, changes uint64) {
	now := s.cfg.Now()
	s.mu.Lock()
	if s.roster.lapsed(now) {
		s.changes++
	}
	by, changes = s.policy, s.changes
	if !s.unjudged || by.GoodAt(now) != nil {
		s.mu.Unlock()
		return by, changes
	}
	s.unjudged = false
	var open []*record
	for _, r := range s.roster.records {
		if r.desc != nil && r.judged.policy != by.Policy && !r.desc.expired(now) {
			open = append(open, r)
		}
	}
	s.mu.Unlock()
	for i, r := range open {
		judged := *r
		judged.judged = s.judge.judge(r.desc, by.Policy, now)
		open[i] = &judged
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range open {
		if s.roster.judge(r) && r.judged.err != nil {
			s.cfg.Log.Info("the policy does not trust a node", "node", r.id.String(), "reason", r.judged.err)
		}
	}
	return by, changes
}

// listable returns whether the nodes that a policy has judged are to be listed.
func (s *Server) listable(by policy, now time.Time) func(*record) bool {
	if by.Policy == nil {
		return func(*record) bool { return true }
	}
	if err := by.goodAt(now); err != nil {
		s.cfg.Log.Error("the policy has expired, and NO NODE IS LISTED until there is a newer one", "version", by.Version, "expired", by.Expires)
		return func(*record) bool { return false }
	}
	return func(r *record) bool {
		j := r.judged
		return j.verdict != nil && j.policy.Version >= by.Version && now.Before(j.verdict.Until)
	}
}

// vet judges a descriptor that is to be stored. One that is refused is charged to where it comes from, as a refusal and
// neither as a node nor by its bytes. The error wraps ErrUntrusted and that of the rule.
func (s *Server) vet(r *record, from string) error {
	now := s.cfg.Now()
	s.mu.Lock()
	by := s.policy.Policy
	s.mu.Unlock()
	r.judged = s.judge.judge(r.desc, by, now)
	if r.judged.err == nil {
		return nil
	}
	s.mu.Lock()
	_, known := s.roster.records[r.id]
	s.mu.Unlock()
	s.guard.refuse(from, now, s.allowed, len(r.signed), !known)
	return untrusted(r.judged.err)
}

// doubt returns what vet would say of a descriptor that the roster holds already, as far as that is known. It is called
// with mu held.
func (s *Server) doubt(id NodeID, now time.Time) error {
	r := s.roster.records[id]
	switch {
	case r == nil || r.judged.policy == nil || r.judged.policy != s.policy.Policy:
		return nil
	case r.judged.err != nil:
		return untrusted(r.judged.err)
	case !now.Before(r.judged.verdict.Until):
		return untrusted(fmt.Errorf("%w: its evidence was good until %s, and now is %s", tao.ErrStale, date(r.judged.verdict.Until), date(now)))
	}
	return nil
}

func untrusted(reason error) error { return fmt.Errorf("%w: %w", ErrUntrusted, reason) }
