package stream

import (
	"errors"
	"fmt"
	"syscall"
)

// Code says why a stream was reset.
type Code byte

// The codes. All but the first two are an exit's answers to OPEN.
const (
	Aborted     Code = iota // by who had the other end
	Overloaded              // the exit has too many streams, or too little memory
	NotAllowed              // the exit's policy
	NotFound                // there is no host of that name
	Refused                 // the host refuses connections
	Unreachable             // the host
	NoNetwork               // the host's network is unreachable from the exit
	TimedOut                // the host does not answer
	Failed                  // for any other reason
)

// ErrOverloaded is what a dialler gets from an exit that has too many streams.
var ErrOverloaded = errors.New("stream: the exit is overloaded")

// ErrFailed is what a dialler gets from an exit that could not connect and has no better word for it.
var ErrFailed = errors.New("stream: the exit could not connect")

var meanings = [...]struct {
	text string
	err  error
}{
	Aborted:     {"the other end has reset the stream", syscall.ECONNRESET},
	Overloaded:  {"", ErrOverloaded},
	NotAllowed:  {"the exit's policy does not allow this address", syscall.EACCES},
	NotFound:    {"the exit finds no host of this name", syscall.EHOSTUNREACH},
	Refused:     {"the host refuses the exit's connection", syscall.ECONNREFUSED},
	Unreachable: {"the exit cannot reach the host", syscall.EHOSTUNREACH},
	NoNetwork:   {"the exit cannot reach the host's network", syscall.ENETUNREACH},
	TimedOut:    {"the host does not answer the exit", syscall.ETIMEDOUT},
	Failed:      {"", ErrFailed},
}

// Err returns the code as an error: one that wraps a [syscall.Errno] as package net's errors do (ECONNRESET, EACCES,
// ECONNREFUSED, EHOSTUNREACH also where there is no such name, ENETUNREACH, ETIMEDOUT), [ErrOverloaded] or [ErrFailed].
func (c Code) Err() error {
	if int(c) >= len(meanings) {
		c = Failed
	}
	if m := meanings[c]; m.text != "" {
		return fmt.Errorf("stream: %s: %w", m.text, m.err)
	} else {
		return m.err
	}
}
