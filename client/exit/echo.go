// Package exit is what serves clients at the last hop of their paths.
package exit

import (
	"context"
	"errors"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/sphinx"
)

// Echo sends every cell back through the first SURB in it. It keeps nothing between cells, so there is nothing that
// a client could fill.
type Echo struct {
	params sphinx.Params
}

// NewEcho returns an echo service for a network of these parameters.
func NewEcho(params sphinx.Params) *Echo { return &Echo{params} }

var errNoSURB = errors.New("exit: the cell has no SURB to answer with")

// Handle answers one message, which is a cell, with a packet that it gives to send together with the address of that
// packet's first hop. An error says that there was no answer, and why.
func (e *Echo) Handle(_ context.Context, message []byte, send func(first sphinx.Address, packet []byte)) error {
	request, err := cell.Parse(message, e.params.SURBSize())
	if err != nil {
		return err
	}
	if len(request.SURBs) == 0 {
		return errNoSURB
	}
	surb, err := e.params.ParseSURB(request.SURBs[0])
	if err != nil {
		return err
	}
	request.SURBs = nil
	first, packet, err := surb.Use(nil, request.Append(nil))
	if err != nil {
		return err
	}
	send(first, packet)
	return nil
}
