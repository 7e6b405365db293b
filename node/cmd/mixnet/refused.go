package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"sphinxmix.example/client"
	"sphinxmix.example/node/directory"
)

// refusals says how many mixes a policy refuses, of which there is one at least, and why the first of them is.
func refusals(refused []directory.Refusal) string {
	first, count := refused[0], "1 mix"
	if len(refused) > 1 {
		count = fmt.Sprintf("%d mixes", len(refused))
	}
	return fmt.Sprintf("the network's policy refuses %s, %s at %s for one: %s; 'mixnet policy explain' says more",
		count, first.Node, first.Address, plain(first.Err))
}

// refusedError is that there are too few mixes for a path, where a policy refuses others.
type refusedError struct {
	err  error
	said string // by refusals
}

func (e *refusedError) Error() string { return plain(e.err) + "; " + e.said }
func (e *refusedError) Unwrap() error { return e.err }

// withRefusals returns the error of a client with the policy's part in it. known tells which mixes the policy refuses.
func withRefusals(err error, known func() []directory.Refusal) error {
	if !errors.Is(err, client.ErrNetwork) && !errors.Is(err, client.ErrNoService) {
		return err
	}
	refused := known()
	if len(refused) == 0 {
		return err
	}
	said := refusals(refused)
	if first := refused[0]; errors.Is(err, first.Err) { // how many, and why this one, is said already
		said = fmt.Sprintf("that is %s at %s; 'mixnet policy explain' says more", first.Node, first.Address)
	}
	return &refusedError{err, said}
}

// asking asks a directory which mixes its policy refuses.
func asking(ctx context.Context, from *directory.Client) func() []directory.Refusal {
	return func() []directory.Refusal {
		if from.Policy == nil {
			return nil
		}
		view, err := from.Fetch(ctx)
		if err != nil {
			return nil
		}
		return view.Refused
	}
}

// sayingRefusals makes connections by dial, and says the policy's part in it where there are too few mixes for one. known
// tells which mixes the policy refuses, and asks nobody: a directory would learn when programs want connections.
func sayingRefusals(dial dialFunc, known func() []directory.Refusal) dialFunc {
	return func(ctx context.Context, isolation, address string) (net.Conn, error) {
		conn, err := dial(ctx, isolation, address)
		if err != nil {
			return nil, withRefusals(err, known)
		}
		return conn, nil
	}
}
