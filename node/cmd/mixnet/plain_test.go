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
		"client: link: who answers is another":       "who answers is another",
		"keyring: folder: replay: the log is closed": "folder: the log is closed",
		"exit: stream: socks5: too long":             "too long",
		"node: ":                                     "",
	} {
		require.Equal(t, want, plain(errors.New(text)))
	}
	require.Equal(t, "address too long", plainOf(fmt.Errorf("node: %w: address too long", directory.ErrDescriptor)))
	require.Equal(t, "evil\ufffd[2J words", wrongs(errors.New("tao: evil\x1b[2J\nwords")))
	require.Equal(t, "evil words", cleaned{errors.New("tpm: evil\twords")}.Error())
}

// TestErrorsOfCommandsArePlain.
func TestErrorsOfCommandsArePlain(t *testing.T) {
	status, printed := result(t, append([]string{"ping"}, startLiar(t, 2)[:4]...)...)
	require.Equal(t, 1, status)
	require.Equal(t, "mixnet: the network is too small: paths of 3 take 4 mixes, and it has 2: start more mixes, "+
		"or wait some 20 seconds for those that have just started\n", printed)
}
