package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const printed = `{"peer":"a","version":"v1","operation":"unwrap","hops":5,"payload":1024,"packet":1248,"round":1,"ns":300,"note":"n"}
{"peer":"a","version":"v1","operation":"wrap","hops":5,"payload":1024,"packet":1248,"round":1,"ns":900,"note":"n"}

{"peer":"a","version":"v1","operation":"unwrap","hops":5,"payload":1024,"packet":1248,"round":2,"ns":500,"note":"n","new":true}
{"peer":"b","version":"v2","operation":"unwrap","round":1,"ns":700,"note":"m"}
`

func TestReadPeers(t *testing.T) {
	first, err := readPeers(strings.NewReader(printed), 100)
	require.NoError(t, err)
	second, err := readPeers(strings.NewReader(printed), 200)
	require.NoError(t, err)
	peers := peersOf(append(first, second...), 1000)
	require.Len(t, peers, 3)
	require.Equal(t, Peer{
		Peer: "a", Version: "v1", Operation: "unwrap", Hops: 5, Payload: 1024, Packet: 1248, Note: "n",
		Nanoseconds: Summary{400, 300, 500}, Units: Summary{2.75, 2.25, 3.5},
		Rounds: []PeerRound{{300, 100, true}, {500, 100, true}, {300, 200, true}, {500, 200, true}},
	}, peers[0])
	require.Equal(t, "wrap", peers[1].Operation)
	require.Equal(t, "b", peers[2].Peer)
}

// TestReadPeersKeepsWhatWasGood before what is not a measurement.
func TestReadPeersKeepsWhatWasGood(t *testing.T) {
	for _, bad := range []string{
		"Compiling", "{}", `{"peer":"a","operation":"unwrap","ns":0}`, `{"peer":"a","operation":"unwrap","ns":-1}`,
	} {
		lines, err := readPeers(strings.NewReader(printed+bad+"\n"+printed), 1)
		require.ErrorContains(t, err, "no measurement", bad)
		require.Len(t, lines, 4, bad)
	}
	_, err := readPeers(strings.NewReader(""), 1)
	require.ErrorContains(t, err, "no measurement")
}

// TestPeersThatCannotRun are named, with the reason, and do not spoil the rest.
func TestPeersThatCannotRun(t *testing.T) {
	folder := t.TempDir()
	script := "echo '" + strings.Split(printed, "\n")[0] + "'\necho first >&2\necho 'no network here' >&2\nexit 3\n"
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "python"), 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "python", "run.sh"), []byte(script), 0o777))
	r := &Report{Unit: Summary{Median: 1e9}}
	cfg := brief
	require.NoError(t, MeasurePeers(t.Context(), cfg, r, folder))
	require.Empty(t, r.Peers)
	require.Len(t, r.Missing, 3)
	require.Equal(t, "peers/python", r.Missing[2].What)
	require.Contains(t, r.Missing[2].Reason, "no network here")
	require.NotContains(t, r.Missing[2].Reason, "first")
	require.Contains(t, r.Missing[0].Reason, "no such folder")

	// What prepares well and fails later keeps what it printed before.
	require.NoError(t, os.WriteFile(filepath.Join(folder, "python", "run.sh"), []byte(`[ "$2" = 1 ] && [ "$4" = 1 ] && [ ! -e prepared ] && { touch prepared; exit 0; }`+"\n"+script), 0o777))
	r = &Report{Unit: Summary{Median: 1e9}}
	require.NoError(t, MeasurePeers(t.Context(), cfg, r, folder))
	require.Len(t, r.Peers, 1)
	require.Len(t, r.Missing, 3)
	require.Positive(t, r.Peers[0].Units.Median)

	// What leaves a peer out, and says so, is told.
	require.NoError(t, os.WriteFile(filepath.Join(folder, "python", "run.sh"), []byte(strings.ReplaceAll(script, "exit 3", "exit 0")), 0o777))
	r = &Report{Unit: Summary{Median: 1e9}}
	require.NoError(t, MeasurePeers(t.Context(), cfg, r, folder))
	require.Len(t, r.Peers, 1)
	require.Len(t, r.Peers[0].Rounds, cfg.Rounds)
	require.Equal(t, Missing{"peers/python", "no network here"}, r.Missing[2])
}

func TestPeersFolder(t *testing.T) {
	folder, err := PeersFolder(t.Context(), "")
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(folder, "..", "peers_test.go"))
	given, err := PeersFolder(t.Context(), "peers")
	require.NoError(t, err)
	require.Equal(t, "peers", given)
	for _, wrong := range []string{"none", ".", "peers_test.go"} {
		_, err = PeersFolder(t.Context(), wrong)
		require.ErrorContains(t, err, wrong+" is not the folder bench/peers")
	}

	t.Chdir(t.TempDir())
	t.Setenv("GOFLAGS", "-mod=mod")
	_, err = PeersFolder(t.Context(), "")
	require.ErrorContains(t, err, "checkout")
}
