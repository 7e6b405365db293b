package tao_test

import "errors"

// noRandomness is what a caller must not get to.
type noRandomness struct{}

func (noRandomness) Read([]byte) (int, error) { return 0, errors.New("there is no randomness") }
