package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/directory"
)

// TestPlain: an error loses the names of the program's parts where it begins with them, and no other words.
func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"swtpm: no software TPM is installed":        "no software TPM is installed",
		"the program swtpm: not found":               "the program swtpm: not found",
		"tpm: cannot open /dev/tpmrm0: no such file": "cannot open /dev/tpmrm0: no such file",
		"node: mix: size is 0":                       "size is 0",
		"cannot start: directory: its role":          "cannot start: its role",
		"it wants to be a mix: that is no role":      "it wants to be a mix: that is no role",
		"tao: one\nnode: two":                        "one two",
		"node: or Config.Mix: mix: too small":        "too small",
		"node: ":                                     "",
	} {
		require.Equal(t, want, plain(errors.New(text)))
	}
	require.Equal(t, "address too long", plainOf(fmt.Errorf("node: %w: address too long", directory.ErrDescriptor)))
	require.Equal(t, "evil\ufffd[2J words", wrongs(errors.New("tao: evil\x1b[2J\nwords")))
	require.Equal(t, "evil words", cleaned{errors.New("tpm: evil\twords")}.Error())
}
