package directory

import (
	"bytes"
	"context"
	"strings"
	"time"
)

// How a server uses its store.
const (
	readEvery    = time.Second     // the server looks this often for what other servers have changed
	retryEvery   = 2 * time.Second // and this often where the store failed
	storeTimeout = 3 * time.Second // for all that a view needs of the store; clients wait longer for their answer
	cleanAtOnce  = 16              // expired records are deleted with each look
)

// know makes sure that the server has read the store, that this was readEvery ago at most, and that it read further
// than to the mark lost. The error wraps ErrStore.
func (s *Server) know(ctx context.Context, lost int64) error {
	if due, err := s.due(lost); !due {
		return err
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.turn }()
	ctx, cancel := patience(ctx)
	defer cancel()
	return s.catchUp(ctx, lost)
}

// due reports whether it is time to read the store, and if not, why the server cannot know what is in it.
func (s *Server) due(lost int64) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := s.cfg.Now().Sub(s.read)
	switch {
	case s.read.IsZero() || since < 0: // never, or by a clock that has been put back
		return true, nil
	case s.failure != nil:
		return since >= retryEvery, s.failure
	}
	return since >= readEvery || s.mark <= lost, nil
}

// catchUp does what know does. It is called with the turn, and with patience.
func (s *Server) catchUp(ctx context.Context, lost int64) error {
	if due, err := s.due(lost); !due {
		return err
	}
	s.mu.Lock()
	mark := s.mark
	s.mu.Unlock()
	values, reached, err := s.cfg.Store.Since(ctx, mark)
	if err != nil {
		return s.failed(err)
	}
	s.load(values, reached)
	s.clean(ctx)
	return nil
}

// patience returns the context in which a request uses the store. It does not end with the request: what it brings is
// for others too, and a reader that goes away is not to look like a store that fails.
func patience(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
}

// failed remembers that the store failed, and returns what to tell others of it.
func (s *Server) failed(err error) error {
	s.cfg.Log.Warn("the store fails", "error", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure, s.read = ErrStore, s.cfg.Now()
	return s.failure
}

// load takes in what the store has up to reached. What another server put there is checked as if it came from outside.
func (s *Server) load(values map[string][]byte, reached int64) {
	now := s.cfg.Now()
	var (
		records []*record
		view    *publication
	)
	for name, value := range values {
		var err error
		if name == viewName {
			if !s.shows(value) {
				view, err = newPublication(value, s.publicKey())
			}
		} else if strings.HasPrefix(name, nodeFolder) && !s.holds(name, value) {
			var r *record
			if r, err = s.readRecord(name, value, now); err == nil {
				records = append(records, r)
			}
		}
		if err != nil {
			s.cfg.Log.Warn("skipped what is wrong in the store", "name", name, "error", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		s.cfg.Log.Info("the store answers again")
	}
	s.mark, s.read, s.failure = reached, now, nil
	for _, r := range records {
		s.take(r)
		if r.desc != nil {
			s.roster.renewals(r.id).take(1, now, s.allowed.renewals) // a node that asks each server once has asked often
		}
	}
	if len(records) > 0 {
		s.cfg.Log.Info("nodes read from the store", "changed", len(records), "known", len(s.roster.records))
	}
	if view != nil && view.Version > s.version {
		s.adopt(view) // whoever published it knew all that was in the view before
	}
}

// holds reports whether a value of the store is what the server has itself put there, or read before.
func (s *Server) holds(name string, value []byte) bool {
	var id NodeID
	if id.UnmarshalText([]byte(strings.TrimPrefix(name, nodeFolder))) != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.roster.records[id]
	return r != nil && r.signed != nil && string(r.encode()) == string(value)
}

// shows does the same for a view.
func (s *Server) shows(signed []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current != nil && bytes.Equal(s.current.signed, signed)
}

// clean deletes a few records from the store that have expired. Other servers do the same.
func (s *Server) clean(ctx context.Context) {
	s.mu.Lock()
	mark := s.mark
	var names []string
	for len(s.roster.expired) > 0 && len(names) < cleanAtOnce {
		name := s.roster.expired[0]
		s.roster.expired = s.roster.expired[1:]
		var id NodeID
		if id.UnmarshalText([]byte(strings.TrimPrefix(name, nodeFolder))) != nil || s.roster.records[id] == nil {
			names = append(names, name)
		}
	}
	s.mu.Unlock()
	for _, name := range names {
		if _, err := s.set(ctx, name, nil, mark); err != nil {
			return // the next start finds them again
		}
	}
}

// set changes the store unless something has changed name after mark. It is called with patience. The error wraps
// ErrStore.
func (s *Server) set(ctx context.Context, name string, value []byte, mark int64) (bool, error) {
	set, err := s.cfg.Store.Set(ctx, name, value, mark)
	if err != nil {
		return false, s.failed(err)
	}
	return set, nil
}
