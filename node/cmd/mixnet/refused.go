package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"sphinxmix.example/client"
	"sphinxmix.example/node/directory"
)

// refusals says how many mixes of a view its policy refuses, and why the first of them is; "" where none is.
func refusals(view *directory.View) string {
	if view == nil || len(view.Refused) == 0 {
		return ""
	}
	first, count := view.Refused[0], "1 mix"
	if len(view.Refused) > 1 {
		count = fmt.Sprintf("%d mixes", len(view.Refused))
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

// withRefusals returns the error of a client with the policy's part in it.
func withRefusals(ctx context.Context, err error, from *directory.Client) error {
	if !errors.Is(err, client.ErrNetwork) && !errors.Is(err, client.ErrNoService) || from.Policy == nil {
		return err
	}
	view, failed := from.Fetch(ctx)
	if failed != nil || len(view.Refused) == 0 {
		return err
	}
	said := refusals(view)
	if first := view.Refused[0]; errors.Is(err, first.Err) { // how many, and why this one, is said already
		said = fmt.Sprintf("that is %s at %s; 'mixnet policy explain' says more", first.Node, first.Address)
	}
	return &refusedError{err, said}
}

// sayingRefusals makes connections by dial, and says the policy's part in it where there are too few mixes for one.
func sayingRefusals(dial dialFunc, from *directory.Client) dialFunc {
	return func(ctx context.Context, isolation, address string) (net.Conn, error) {
		conn, err := dial(ctx, isolation, address)
		if err != nil {
			return nil, withRefusals(ctx, err, from)
		}
		return conn, nil
	}
}
