package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/tao"
)

// TestRefusalsSayHowManyAndWhy.
func TestRefusalsSayHowManyAndWhy(t *testing.T) {
	require.Empty(t, refusals(nil))
	require.Empty(t, refusals(new(directory.View)))
	view := &directory.View{Refused: []directory.Refusal{
		{Node: directory.NodeID{0xab}, Address: "mix.example.org:7000", Err: fmt.Errorf("%w: 12 has run", tao.ErrProgram)},
		{Node: directory.NodeID{0xcd}, Address: "other.example.org:7000", Err: tao.ErrRevoked},
	}}
	require.Equal(t, "the network's policy refuses 2 mixes, ab0000000000000000000000 at mix.example.org:7000 for one: "+
		"the policy does not know the program: 12 has run; 'mixnet policy explain' says more", refusals(view))
	view.Refused = view.Refused[:1]
	require.Contains(t, refusals(view), "refuses 1 mix, ab")
	err := error(&refusedError{fmt.Errorf("%w: paths of 3 take 4 mixes, and it has 0", client.ErrNetwork), refusals(view)})
	require.True(t, errors.Is(err, client.ErrNetwork))
	require.Contains(t, err.Error(), "the network is too small: paths of 3 take 4 mixes, and it has 0: the network's policy refuses")
}
