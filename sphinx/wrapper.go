package sphinx

import (
	"fmt"
	"io"

	"sphinxmix.example/lioness"
	"sphinxmix.example/sphinx/internal/schedule"
)

// Wrapper is what an end of the network needs: it makes packets and SURBs, alone or many at once, and uses SURBs and opens
// replies. The results are those of the calls of the same name of Params, SURB and ReplyKey. It works in its own memory,
// so that no call allocates once as many packets and as long a path were seen, but for what it returns; and erases that
// memory before a call returns. It is never printed.
//
// Use NewWrapper. A Wrapper is not safe for concurrent use: give each goroutine its own.
type Wrapper struct{ w secret[sender] }

// sender is what a Wrapper computes with and in.
type sender struct {
	params   Params
	schedule *schedule.Schedule
	composer *composer       // nil until a header is to be made, which some Wrappers never do
	cipher   *lioness.Cipher // nil until a reply is to be made or opened
	key      [lioness.KeySize]byte
}

// NewWrapper returns a Wrapper for a network of these parameters. Errors wrap ErrParams.
func NewWrapper(p Params) (*Wrapper, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return newWrapper(p), nil
}

// newWrapper is NewWrapper for parameters that were checked.
func newWrapper(p Params) *Wrapper {
	return &Wrapper{hide(&sender{params: p, schedule: schedule.New(p.insecure())})}
}

// Format prints nothing of packets, whatever the verb.
func (w Wrapper) Format(f fmt.State, _ rune) { io.WriteString(f, "sphinx.Wrapper(secret)") }

// composing returns what headers are made with.
func (s *sender) composing() *composer {
	if s.composer == nil {
		s.composer = newComposer(s.params, s.schedule)
	}
	return s.composer
}

// replying returns the cipher of replies.
func (s *sender) replying() *lioness.Cipher {
	if s.cipher == nil {
		s.cipher = lioness.New(&s.key)
	}
	return s.cipher
}

// wipeReply erases what a reply left.
func (s *sender) wipeReply() {
	clear(s.key[:])
	s.cipher.Wipe()
	s.schedule.Wipe()
}
