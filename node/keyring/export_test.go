package keyring

import (
	"errors"
	"fmt"
)

// Find returns the one of Epochs whose number is epoch mod 256, or nil.
func (r *Ring) Find(epoch uint8) *Epoch {
	for _, e := range r.Epochs() {
		if uint8(e.Number) == epoch {
			return e
		}
	}
	return nil
}

// Commit is [Epoch.Commit] for all epochs that there are, in use or not.
func (r *Ring) Commit() error {
	held := r.held.Load()
	if held.closed {
		return ErrClosed
	}
	var errs []error
	for _, epochs := range [...][]*Epoch{held.live, held.ahead, held.doomed} {
		for _, e := range epochs {
			if err := e.Commit(); err != nil {
				errs = append(errs, fmt.Errorf("keyring: epoch %d: %w", e.Number, err))
			}
		}
	}
	return errors.Join(errs...)
}
