package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/node/nodetest/loopback"
)

// run runs the program with arguments and returns what it printed and its error.
func run(t *testing.T, stdin string, arguments ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := command()
	root.SetArgs(arguments)
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

// TestErrorsSayWhatToDo, on one line, before anything is started or sent.
func TestErrorsSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	none := filepath.Join(dir, "none.json")
	dead := filepath.Join(dir, "dead.json")
	require.NoError(t, os.WriteFile(dead, fmt.Appendf(nil, `{"directory":"http://127.0.0.1:1","key":"%064d"}`, 2), 0o600))
	broken := filepath.Join(dir, "broken.json")
	require.NoError(t, os.WriteFile(broken, []byte("{"), 0o600))
	large := filepath.Join(dir, "large")
	require.NoError(t, os.WriteFile(large, nil, 0o600))
	require.NoError(t, os.Truncate(large, client.MaxMessage+1))
	good := strings.Repeat("2e", 32)
	var port string
	for port == "" { // one that is taken
		free := portOf(loopback.Free(t))
		if listener, err := net.Listen("tcp", "127.0.0.1:"+free); err == nil {
			defer listener.Close()
			port = free
		}
	}
	for arguments, want := range map[string]string{
		"nonsense":                                "--help",
		"vectors nonsense":                        "--help",
		"vectors check":                           "name the files",
		"send --nonsense":                         "send --help",
		"send hi --network " + none:               "start one with 'mixnet up'",
		"send hi --network " + dead:               "start one with 'mixnet up'",
		"send hi --network " + broken:             "is not a network file",
		"send hi --hops 2 --network " + dead:      "at least 3",
		"send hi --timeout -1s":                   "--timeout",
		"send hi --file x":                        "choose one",
		"send --file " + none:                     "no such file",
		"send --file " + large:                    "split it",
		"send hi --output " + none + "/x":         "--output",
		"ping -n 0":                               "--count",
		"ping extra":                              "no arguments",
		"ping --network " + none:                  "start one with 'mixnet up'",
		"ping --network x --directory http://x:1": "network",
		"ping --directory http://127.0.0.1:1":     "--key",
		"ping --directory 127.0.0.1:1 ":           `--directory "127.0.0.1:1" is not of the form http://host:port`,
		"ping --directory ftp://x --key " + good:  "http://host:port",
		"ping --directory http://x --key 12":      "64 hexadecimal digits",
		"ping --key " + good:                      "--directory",
		"ping --policy-key " + good:               "--policy-key is for the network of a directory",
		"ping --directory http://x --key " + good + " --policy-key 12": "--policy-key is not 64 hexadecimal digits",
		"ping --via abc --network " + dead:                             "--via abc",
		"init nonsense":                                                "init --help",
		"init node extra":                                              "no arguments",
		"init node --key 12":                                           "64 hexadecimal digits",
		"init node --key " + strings.Repeat("0", 64):                   "not a usable",
		"init node --directory here":                                   "http://host:port",
		"init node --policy-key 12":                                    "--policy-key is not 64 hexadecimal digits",
		"init node --attestor tpmrm0":                                  "--attestor is \"tpmrm0\", which is no attestor: give a TPM like",
		"init node --address here":                                     `--address: address "here" is not host:port`,
		"init node --address :7001":                                    `--address: address ":7001" has no IP address`,
		"init node --address foo:99999":                                "no port of 1 to 65535",
		"init node --address 0.0.0.0:7000":                             "where to listen, not where to dial",
		"init node --operator 9090":                                    "--operator is \"9090\", which is not host:port",
		"init node --operator :9090":                                   "--operator is \":9090\", which other machines can reach",
		"init node --listen :99999":                                    "--listen is \":99999\", which has no port",
		"init node --listen 7000":                                      "--listen is \"7000\", which is not host:port",
		"init node --dir " + large + "/x":                              "--dir",
		"init directory --url here":                                    "http://host:port",
		"init directory --policy-key 12":                               "--policy-key is not 64 hexadecimal digits",
		"init directory --policy policy.signed":                        "--policy needs the key that signed it",
		"init directory --listen 8080":                                 "--listen is \"8080\", which is not host:port",
		"init directory --listen :99999":                               "no port of 0 to 65535",
		"node --config " + none:                                        "mixnet init",
		"node extra":                                                   "no arguments",
		"directory --config " + none:                                   "mixnet init",
		"directory --check=maybe":                                      "directory --help",
		"status --operator 127.0.0.1:1":                                "no mix answers at 127.0.0.1:1",
		"status --operator here:port":                                  "--operator here:port",
		"status --operator x:1 --config y":                             "operator",
		"status --config " + none:                                      "mixnet init",
		"init proxy extra":                                             "no arguments",
		"init proxy --key 12":                                          "64 hexadecimal digits",
		"init proxy --listen :1080":                                    "--listen is \":1080\", which other machines can reach",
		"init proxy --dir " + large + "/x":                             "--dir",
		"proxy extra":                                                  "no arguments",
		"proxy --check":                                                "--config",
		"proxy --config x --listen 127.0.0.1:1080":                     "config",
		"proxy --config x --policy-key " + good:                        "config",
		"proxy --config " + none:                                       "mixnet init",
		"proxy --listen 1080":                                          "--listen is \"1080\", which is not host:port",
		"proxy --listen 0.0.0.0:1080":                                  "which other machines can reach",
		"proxy --network " + none:                                      "start one with 'mixnet up'",
		"proxy --network " + dead:                                      "start one with 'mixnet up'",
		"proxy --hops 2 --network " + dead:                             "at least 3",
		"proxy --directory http://127.0.0.1:1":                         "--key",
		"bench extra":                                                  "no arguments",
		"bench --rounds 0":                                             "--rounds 0: must be at least 1",
		"bench --only (":                                               "--only",
		"bench --from " + none:                                         "no such file",
		"bench --from " + broken:                                       "is not what --json writes",
		"bench --from x --quick":                                       "quick",
		"bench --json " + none + "/x":                                  "--json",
		"bench --plots " + large + "/x":                                "--plots",
		"bench --peers-dir " + none:                                    "--peers-dir",
		"up extra":                                                     "no arguments",
		"up --socks 65536":                                             "--socks",
		"up --allow here":                                              "--allow has \"here\"",
		"up --nodes 3":                                                 "4 to 50",
		"up --nodes 4 --socks 0 --network " + large + "/x/n":           "name another file with --network",
		"up --nodes 4 --socks 0 --network " + large + "/n":             "name another file with --network",
		"policy explain zzz":                                           "no node and no file is called zzz",
		"policy explain " + large + " --network " + none:               "with --policy, --policy-key and --key",
		"up --port 65534":                                              "--port",
		"up --nodes 4 --port " + port + " --network " + broken:         "--port 0",
	} {
		t.Run(arguments, func(t *testing.T) {
			out, err := run(t, "", strings.Fields(arguments)...)
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "\n")
			require.Empty(t, out)
		})
	}
}

// TestTruncatedVectorsFail with a line that names the file, and the closing count.
func TestTruncatedVectorsFail(t *testing.T) {
	whole, err := os.ReadFile("../../../testvectors/reference/surb_r03.json")
	require.NoError(t, err)
	cut := filepath.Join(t.TempDir(), "cut.json")
	require.NoError(t, os.WriteFile(cut, whole[:len(whole)/2], 0o600))
	out, err := run(t, "", "vectors", "check", cut)
	require.ErrorIs(t, err, errReported)
	require.Contains(t, out, cut)
	require.True(t, strings.HasSuffix(out, "\n0 passed, 1 failed\n"), out)
}

func TestVectorsPass(t *testing.T) {
	out, err := run(t, "", "vectors", "check", "../../../testvectors/kdf.json")
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(out, "\n7 passed, 0 failed\n"), out)
}

func TestHistogramHoldsEveryTrip(t *testing.T) {
	var trips []time.Duration
	for i := range 100 {
		trips = append(trips, time.Duration(i)*time.Millisecond)
	}
	var out bytes.Buffer
	histogram(&out, trips)
	require.Contains(t, out.String(), "min 0.0  median 50.0  90 % 89.0  max 99.0 ms")
	require.Equal(t, 10, strings.Count(out.String(), " 10\n"), out.String())
}

func TestReplyCannotCommandTheTerminal(t *testing.T) {
	require.Equal(t, "a\ufffd[2Jb\n\tü\ufffd", strings.Map(visible, "a\x1b[2Jb\n\tü\u202e"))
}

// TestReadingEndsWithItsContext, though what is read from does not end.
func TestReadingEndsWithItsContext(t *testing.T) {
	silent, write := io.Pipe()
	defer write.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := readAll(ctx, silent)
	require.ErrorIs(t, err, context.Canceled)

	all, err := readAll(t.Context(), strings.NewReader("whole"))
	require.NoError(t, err)
	require.Equal(t, "whole", string(all))
}
