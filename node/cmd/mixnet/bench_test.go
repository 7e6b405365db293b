package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBench measures a little, shows it, and writes what was asked for.
func TestBench(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	out, err := run(t, "", "bench", "--quick", "--only", "^(Unwrap|UnwrapBatch)/r=5/P=256",
		"--json", at("all.json"), "--text", at("all.txt"), "--plots", at("plots"))
	require.NoError(t, err)
	require.Contains(t, out, "U, the unit, is one crypto/ecdh X25519")
	require.Contains(t, out, "The same for other payloads and batches")
	require.Contains(t, out, "Drawn in "+at("plots")+": hop.svg")

	content, err := os.ReadFile(at("all.json"))
	require.NoError(t, err)
	var report struct {
		Machine      struct{ Version string }
		Measurements []struct{ Name string }
	}
	require.NoError(t, json.Unmarshal(content, &report))
	require.Len(t, report.Measurements, 8)
	require.Equal(t, version(), report.Machine.Version)
	content, err = os.ReadFile(at("all.txt"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, strings.Count(string(content), "\n"), 4+8*3)
	require.FileExists(t, at("plots/hop.svg"))

	shown, err := run(t, "", "bench", "--from", at("all.json"))
	require.NoError(t, err)
	require.Equal(t, out[:strings.Index(out, "Drawn in")], shown)

	for _, name := range []string{"all.json", "all.txt"} {
		info, err := os.Stat(at(name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o644), info.Mode(), name)
	}
	// What was written is on standard output as it is in a file, with nothing else.
	for flag, name := range map[string]string{"--json": "all.json", "--text": "all.txt"} {
		var out, errs bytes.Buffer
		root := command()
		root.SetArgs([]string{"bench", "--from", at("all.json"), flag, "-"})
		root.SetOut(&out)
		root.SetErr(&errs)
		require.NoError(t, root.ExecuteContext(t.Context()))
		requireContent(t, at(name), out.String())
		require.Equal(t, shown, errs.String())
	}

	out, err = run(t, "", "bench", "--quick", "--only", "^ChaCha20/size=208/", "--plots", at("none/below"))
	require.NoError(t, err)
	require.Contains(t, out, "Nothing is drawn")
	require.NoDirExists(t, at("none"))
}

// TestBenchRefuses before it measures.
func TestBenchRefuses(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.WriteFile(at("empty.json"), []byte("{}"), 0o600))
	require.NoError(t, os.Symlink("same", at("link")))
	for _, c := range []struct {
		flags []string
		want  string
	}{
		{[]string{"--from", at("empty.json")}, at("empty.json") + " is not what --json writes"},
		{[]string{"--from", at("empty.json"), "--quick"}, "--from shows what was measured before, and --quick"},
		{[]string{"--from", at("empty.json"), "--peers-dir", "x"}, "and --peers-dir says what to measure"},
		{[]string{"--json", at("same"), "--text", at("same")}, "--json and --text both name"},
		{[]string{"--json", at("same"), "--text", at("link")}, "--json and --text both name"},
		{[]string{"--json", "-", "--text", "-"}, "--json and --text both name -"},
		{[]string{"--json", at("none/x")}, "--json: there is no folder " + at("none")},
		{[]string{"--text", dir}, "--text: " + dir + " is a folder"},
		{[]string{"--plots", at("empty.json")}, "--plots: "},
		{[]string{"--peers-dir", dir}, "--peers-dir: " + dir + " is not the folder bench/peers"},
	} {
		_, err := run(t, "", append([]string{"bench"}, c.flags...)...)
		require.ErrorContains(t, err, c.want)
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2)
}

// TestBenchLeavesNothingHalf: where measuring fails, a file that was there is as it was.
func TestBenchLeavesNothingHalf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "old.json")
	require.NoError(t, os.WriteFile(file, []byte("old"), 0o600))
	plots := filepath.Join(filepath.Dir(file), "plots")
	_, err := run(t, "", "bench", "--only", "nothing has this name", "--json", file, "--plots", plots)
	require.ErrorContains(t, err, "nothing has this name")
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "old", string(content))
	left, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, left, 1)
}
